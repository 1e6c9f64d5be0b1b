"""A consent between the forms of Mitz and of IHE PCF."""

import copy
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.consent import Consent as R4Consent

from proeftuin.fhir.refusal import InvalidResource
from services.consent import pcf, subscriptions
from services.consent.app import create_app
from services.consent.mitz import notification
from services.consent.model import Consent, Whom
from tests.harness import Harness

SUBSCRIPTION = subscriptions.Subscription("1", "ura:90000103", "90000103", "X3", "1.2.3", "1.2.4", {"channel": {}})
STORED = [Consent("a", True, Whom(), Whom(kind="ziekenhuis"), frozenset({"GGC013"}))]


def told() -> list[dict[str, Any]]:
    """Return the Consents of a real notification: a permit and refusals."""
    bundle = notification.bundle(SUBSCRIPTION, "999910000", STORED, "2026-06-01T12:00:00.000Z")
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Consent"]


def same(consent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in consent.items() if name != "text"}


def test_there_and_back_says_the_same() -> None:
    statuses = set()
    for consent in told():
        converted = pcf.from_mitz(consent, "1")
        R4Consent.model_validate(converted)
        assert converted["status"] == "active"
        assert converted["provision"]["type"] == ("permit" if consent["status"] == "active" else "deny")
        assert {"performer", "organization", "policy", "sourceReference"} <= converted.keys()
        assert not {"class", "code", "action"} & converted["provision"].keys()
        assert pcf.to_mitz(converted) == same(consent)
        statuses.add(consent["status"])
    assert statuses == {"active", "inactive"}


MITZ: list[tuple[str, Any]] = [
    ("status", "proposed"), ("status", "inactive"), ("category", []), ("extension", []), ("patient", {}), ("meta", {}),
    ("provision", {"type": "deny", "actor": []}),
]  # fmt: skip
PCF: list[tuple[str, Any]] = [
    ("status", "inactive"), ("performer", []), ("organization", []), ("policy", []), ("sourceReference", None),
    ("verification", []), ("extension", []), ("patient", {}), ("dateTime", None),
]  # fmt: skip
PROVISION: list[tuple[str, Any]] = [
    ("class", []), ("code", []), ("action", []), ("securityLabel", []), ("period", {}), ("dataPeriod", {}), ("data", []),
    ("provision", []), ("purpose", []), ("actor", []), ("type", None),
]  # fmt: skip


@pytest.mark.parametrize(("element", "value"), MITZ)
def test_what_is_not_as_mitz_has_it_is_named(element: str, value: Any) -> None:
    permit = next(each for each in told() if each["status"] == "active")
    with pytest.raises(InvalidResource) as refused:
        pcf.from_mitz(permit | {element: value}, "1")
    assert any(str(issue.expression).startswith(("Consent." + element, "Consent.status")) for issue in refused.value.issues)


@pytest.mark.parametrize(("element", "value", "inside"), [(*each, False) for each in PCF] + [(*each, True) for each in PROVISION])
def test_what_is_not_as_pcf_has_it_or_mitz_cannot_say_is_named(element: str, value: Any, inside: bool) -> None:
    consent = copy.deepcopy(pcf.from_mitz(told()[0], "1"))
    place = consent["provision"] if inside else consent
    place[element] = value
    if value is None:
        del place[element]
    with pytest.raises(InvalidResource) as refused:
        pcf.to_mitz(consent)
    assert len(refused.value.issues) == 1


@pytest.mark.anyio
async def test_the_route_converts_and_stores_nothing(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "consent", ["toestemmingsregister"])
    async with harness.running(create_app(harness.settings, harness.wiring)):
        there = await harness.call("POST", "/fhir/Consent/$convert?to=pcf", party="zorgsoft", json=told()[0])
        assert there.status_code == 200, there.text
        back = await harness.call("POST", "/fhir/Consent/$convert?to=mitz", party="zorgsoft", json=there.json())
        assert back.status_code == 200, back.text
        assert back.json() == same(told()[0]) | {"dateTime": back.json()["dateTime"]}
        wrong = await harness.call("POST", "/fhir/Consent/$convert?to=mitz", party="zorgsoft", json=told()[0])
        assert (wrong.status_code, wrong.headers["X-Reason"]) == (422, "profile")
        assert (await harness.call("POST", "/fhir/Consent/$convert", party="zorgsoft", json=told()[0])).status_code == 400
