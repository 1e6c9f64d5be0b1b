"""Reading a consent: what a decision would not weigh is refused, so that nothing permits more than the client said."""

from typing import Any

import pytest

from proeftuin.fhir.refusal import InvalidResource
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from services.consent.model import CATEGORY_SYSTEM, KIND_SYSTEM, PRIVACY, TREATMENT, Consent, Whom, read_consent

BSN = "999910012"


def actor(value: str, system: str = URA_SYSTEM, *roles: str) -> dict[str, Any]:
    coding = [{"code": role} for role in roles or ("IRCP",)]
    return {"role": {"coding": coding}, "reference": {"identifier": {"system": system, "value": value}}}


def resource(**provision: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent", "id": "1", "status": "active",
        "scope": {"coding": [{"system": PRIVACY[0], "code": PRIVACY[1]}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"identifier": {"system": BSN_SYSTEM, "value": BSN}},
        "policy": [{"uri": "https://proeftuin.example/policy/opt-in"}],
        "provision": {"type": "permit", "class": [{"system": CATEGORY_SYSTEM, "code": "Condition"}]} | provision,
    }  # fmt: skip


def test_what_is_read() -> None:
    whole = resource(
        actor=[actor("90000103", URA_SYSTEM, "CST"), actor("ziekenhuis", KIND_SYSTEM)],
        purpose=[{"system": TREATMENT[0], "code": TREATMENT[1]}],
        period={"start": "2026-01-01T01:00:00+01:00", "end": "2026-12-31"},
    )
    assert read_consent(whole, BSN) == Consent(
        "1", True, Whom(ura="90000103"), Whom(kind="ziekenhuis"), frozenset({"Condition"}), False,
        "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z",
    )  # fmt: skip
    anyone = read_consent(resource(type="deny") | {"status": "inactive"}, BSN)
    assert (anyone.permit, anyone.withdrawn, anyone.holder, anyone.user) == (False, True, Whom(), Whom())


@pytest.mark.parametrize(("element", "value"), [
    ("purpose", [{"system": TREATMENT[0], "code": "HRESCH"}]),
    ("purpose", [{"system": TREATMENT[0], "code": "TREAT"}, {"system": TREATMENT[0], "code": "HRESCH"}]),
    ("dataPeriod", {"end": "2020"}),
    ("securityLabel", [{"code": "R"}]),
    ("action", [{"text": "access"}]),
    ("code", [{"text": "a code"}]),
    ("data", [{"meaning": "instance", "reference": {"reference": "Condition/1"}}]),
    ("provision", [{"type": "deny"}]),
    ("period", {"end": "9999-12-31"}),
    ("period", {"start": "0001-01-01T00:00:00+02:00"}),
    ("period", {"start": "2027-01-01", "end": "2026-01-01"}),
    ("actor", [actor("9000101")]),
    ("actor", [actor("kliniek", KIND_SYSTEM)]),
    ("actor", [actor("90000101", "https://proeftuin.example/other")]),
    ("actor", [actor("90000101", URA_SYSTEM, "CST", "IRCP")]),
    ("actor", [actor("90000101", URA_SYSTEM, "AUT")]),
    ("actor", [actor("90000101"), actor("90000102")]),
    ("class", [{"system": CATEGORY_SYSTEM, "code": "Everything"}]),
    ("class", [{"system": "https://proeftuin.example/other", "code": "Condition"}]),
])  # fmt: skip
def test_what_a_decision_would_not_weigh_is_refused_where_it_stands(element: str, value: Any) -> None:
    with pytest.raises(InvalidResource) as refused:
        read_consent(resource(**{element: value}), BSN)
    assert [str(issue.expression).partition("[")[0] for issue in refused.value.issues] == [f"Consent.provision.{element}"]
    assert "9999" not in refused.value.detail.replace("9998", "")
