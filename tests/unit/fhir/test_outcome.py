"""OperationOutcome."""

from fhir.resources.R4B.operationoutcome import OperationOutcome

from proeftuin.fhir.outcome import REASON_SYSTEM, Issue, operation_outcome


def test_an_issue_names_place_and_reason() -> None:
    outcome = operation_outcome(
        [Issue("error", "value", "is not a date", "Patient.birthDate", "profile"), Issue("warning", "code-invalid", "x")]
    )
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "details": {"coding": [{"system": REASON_SYSTEM, "code": "profile"}]},
                "diagnostics": "is not a date",
                "expression": ["Patient.birthDate"],
            },
            {"severity": "warning", "code": "code-invalid", "diagnostics": "x"},
        ],
    }
    OperationOutcome.model_validate(outcome)
