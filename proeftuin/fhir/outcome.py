"""OperationOutcome: what is wrong, where, and under which reason of the catalogue (FHIR R4 §2.28)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REASON_SYSTEM = "https://proeftuin.example/CodeSystem/reason"


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault. `severity` fatal|error|warning|information, `code` of issue-type, `expression` FHIRPath, `reason` a reason code.

    `diagnostics` never repeats a value that was sent: it may be personal.
    """

    severity: str
    code: str
    diagnostics: str
    expression: str | None = None
    reason: str | None = None


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return the OperationOutcome resource with these issues, in their order."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    content: dict[str, Any] = {"severity": issue.severity, "code": issue.code}
    if issue.reason is not None:
        content["details"] = {"coding": [{"system": REASON_SYSTEM, "code": issue.reason}]}
    content["diagnostics"] = issue.diagnostics
    if issue.expression is not None:
        content["expression"] = [issue.expression]
    return content
