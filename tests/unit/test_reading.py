"""What an audit event tells the client: what was done, to which data, on what ground, and by whom - without a name."""

import base64
from typing import Any

import pytest

from proeftuin.identifiers import BSN_SYSTEM, OIN_SYSTEM, URA_SYSTEM, UZI_SYSTEM
from proeftuin.overview.reading import professional, read

HOSPITAL = {"who": {"identifier": {"system": URA_SYSTEM, "value": "90000101"}, "display": "De Linde"}}
REGISTER = {"who": {"identifier": {"system": OIN_SYSTEM, "value": "1"}, "display": "Register"}}
NURSE = {"who": {"identifier": {"system": UZI_SYSTEM, "value": "900010001"}, "display": "A. Veenstra"}, "requestor": True}
CLIENT = {"who": {"identifier": {"system": BSN_SYSTEM, "value": "999910000"}}, "requestor": True}


def event(**over: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": {"code": "rest"}, "subtype": [{"code": "read"}], "recorded": "2026-03-01T10:00:00Z", "outcome": "0",
        "agent": [HOSPITAL, REGISTER, NURSE], "source": {"observer": HOSPITAL["who"]},
    }  # fmt: skip
    return made | over


def purpose(code: str) -> list[dict[str, Any]]:
    return [{"coding": [{"code": code}]}]


def consent(*references: str) -> list[dict[str, Any]]:
    return [{"type": {"code": "Consent"}, "what": {"reference": each}} for each in references]


def by(acting: str, client: str) -> dict[str, Any]:
    """Who asked, a client of care, and about whom."""
    known = {"identifier": {"system": BSN_SYSTEM, "value": client}}
    agent = {"who": {"identifier": {"system": BSN_SYSTEM, "value": acting}}, "requestor": True}
    return {"agent": [agent], "entity": [{"what": known}]}


def detail(**values: str) -> dict[str, Any]:
    return {"detail": [{"type": name, "valueString": value} for name, value in values.items()]}


@pytest.mark.parametrize(
    ("over", "kind", "consents"),
    [
        ({"entity": consent("Consent/2", "Consent/1")}, "consent", ["Consent/1", "Consent/2"]),
        ({"entity": consent("Consent/1"), "outcome": "8"}, "none", ["Consent/1"]),  # it was weighed, and did not permit
        ({"entity": consent("Consent/1"), "purposeOfEvent": purpose("BTG")}, "emergency", ["Consent/1"]),
        ({"purposeOfEvent": purpose("ETREAT")}, "emergency", []), ({"purposeOfEvent": purpose("PATRQT")}, "own request", []),
        ({"purposeOfEvent": purpose("PATRQT")} | by("999910000", "999910000"), "own request", []),
        ({"purposeOfEvent": purpose("PATRQT")} | by("999918138", "999910000"), "representative", []),
        ({"purposeOfEvent": purpose("TREAT")} | by("999918138", "999910000"), "none", []),
        ({"purposeOfEvent": purpose("HPAYMT")}, "legal task", []), ({"entity": [detail(legal_basis="wkkgz-24")]}, "legal task", []),
        ({"purposeOfEvent": purpose("TREAT")}, "none", []), ({}, "none", []),
    ],
)  # fmt: skip
def test_the_ground(over: dict[str, Any], kind: str, consents: list[str]) -> None:
    assert read(event(**over))["basis"] == {"kind": kind, "consents": consents}


@pytest.mark.parametrize(
    ("over", "what"),
    [
        *(({"subtype": [{"code": code}]}, "made available") for code in ("create", "update", "patch", "transaction")),
        *(({"subtype": [{"code": code}]}, "viewed") for code in ("read", "vread", "search-type", "history-instance")),
        ({"subtype": [{"code": "delete"}]}, "removed"), ({"subtype": [{"code": "ITI-71"}]}, "requested"),
        ({"subtype": []}, "requested"),
        ({"outcome": "8"}, "refused"), ({"entity": [detail(reason="no_consent")]}, "refused"),
    ],
)  # fmt: skip
def test_what_was_done(over: dict[str, Any], what: str) -> None:
    assert read(event(**over))["what"] == what


@pytest.mark.parametrize(
    ("entity", "categories"),
    [
        (detail(category="Condition Episode"), ["Condition", "Episode"]),
        (detail(scope="patient/Condition.rs patient/CarePlan.rs openid"), ["CarePlan", "Condition"]),
        ({"query": base64.b64encode(b"MedicationRequest?patient").decode()}, ["MedicationRequest"]),
        ({"type": {"code": "2"}, "what": {"reference": "Condition/1"}}, ["Condition"]),
        ({"type": {"code": "1"}, "what": {"reference": "Patient/1"}}, []),
        ({"query": "not base64"}, []), ({}, []),
    ],
)  # fmt: skip
def test_which_data(entity: dict[str, Any], categories: list[str]) -> None:
    assert read(event(entity=[entity]))["categories"] == categories


def test_a_person_is_no_organisation_and_is_not_named() -> None:
    for agents in ([HOSPITAL, REGISTER, NURSE], [NURSE, HOSPITAL, REGISTER], [CLIENT, HOSPITAL, REGISTER]):
        said = read(event(agent=agents))
        assert said["organisation"] == {"name": "De Linde", "identifier": "90000101"}
        assert said["asked_of"] == {"name": "Register", "identifier": "1"}
        assert "Veenstra" not in str(said)
        assert "999910000" not in str(said)
    assert professional(event()) == (UZI_SYSTEM, "900010001")
    assert professional(event(agent=[CLIENT, HOSPITAL])) is None


@pytest.mark.parametrize(("observer", "end"), [(HOSPITAL, "asking"), (REGISTER, "asked"), (CLIENT, None), ({"who": {}}, None)])
def test_which_end_tells_it(observer: dict[str, Any], end: str | None) -> None:
    assert read(event(source={"observer": observer["who"]}))["end"] == end
