"""The FHIR door: the client of the token and nobody else, and only while consent and issuer stand for it."""

import httpx
import pytest

from proeftuin.identifiers import BSN_SYSTEM
from tests.harness import BASE
from tests.unit.services.datastation.station import CLIENT, HOLDER, HOSPITAL, OTHER, OTHER_HOLDER, Station

pytestmark = pytest.mark.anyio


async def ids(station: Station, bsn: str, kind: str, holder: str = HOLDER) -> set[str]:
    answer = await station.ask(f"/{kind}", patient=bsn, holder=holder)
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", [])}


async def refused(station: Station, answer: httpx.Response, status: int, reason: str) -> None:
    """Check reason and status, and the one audit event that tells it, at the party's own name."""
    assert (answer.status_code, answer.headers["X-Reason"]) == (status, reason), answer.text
    (event,) = await station.logged()
    assert (event["outcome"], event["outcomeDesc"].partition(":")[0]) == ("8", reason)


@pytest.mark.parametrize("kind", ["Patient", "Condition", "MedicationRequest", "CarePlan"])
async def test_each_client_has_its_own_records_and_each_party_its_own_source(station: Station, kind: str) -> None:
    own, others = await ids(station, CLIENT, kind), await ids(station, OTHER, kind)
    elsewhere = await ids(station, CLIENT, kind, OTHER_HOLDER)
    assert own
    assert not own & others
    assert not own & elsewhere
    for each in own:
        assert (await station.ask(f"/{kind}/{each}")).json()["id"] == each
    await station.logged()
    await refused(station, await station.ask(f"/{kind}/{next(iter(others))}"), 403, "subject_mismatch")
    await refused(station, await station.ask(f"/{kind}/not-there"), 403, "subject_mismatch")


@pytest.mark.parametrize(
    "pair",
    [("patient", "Patient/somebody"), ("subject", "somebody"), ("patient.identifier", f"{BSN_SYSTEM}|{OTHER}"),
     ("subject.identifier", OTHER), ("patient:identifier", f"{BSN_SYSTEM}|{OTHER}")],
)  # fmt: skip
async def test_a_search_about_another_client_is_refused(station: Station, pair: tuple[str, str]) -> None:
    await refused(station, await station.ask("/Condition/_search", form=dict([pair])), 403, "subject_mismatch")


@pytest.mark.parametrize("name", ["patient.identifier", "subject:identifier"])
async def test_the_client_may_be_named_in_a_form_and_never_in_the_url(station: Station, name: str) -> None:
    form = {name: f"{BSN_SYSTEM}|{CLIENT}"}
    assert (await station.ask("/Condition/_search", form=form)).json()["total"] == len(await ids(station, CLIENT, "Condition"))
    await station.logged()
    await refused(station, await station.ask(f"/Condition?{name}={CLIENT}"), 400, "identifier_in_url")


@pytest.mark.parametrize(
    ("path", "scopes", "status", "reason"),
    [
        ("/Condition", ("patient/Patient.rs",), 403, "insufficient_scope"),
        ("/Condition", ("system/kik-v.s",), 403, "insufficient_scope"),
        ("/Condition/some-id", ("patient/Patient.rs",), 403, "insufficient_scope"),
        ("/Observation", ("patient/Patient.rs",), 404, "not_found"),
        ("/Observation/some-id", ("patient/Patient.rs",), 404, "not_found"),
        ("/Condition?colour=red", (), 400, "parameter_unknown"),
        ("/Condition?_count=many", (), 400, "parameter_invalid"),
        ("/Condition?_revinclude=CarePlan:patient", (), 400, "parameter_unknown"),
        ("/Patient?_id=somebody", (), 403, "subject_mismatch"),
    ],
)
async def test_what_is_not_offered(station: Station, path: str, scopes: tuple[str, ...], status: int, reason: str) -> None:
    await refused(station, await station.ask(path, *scopes), status, reason)


async def test_a_client_whom_the_source_does_not_know(station: Station) -> None:
    await refused(station, await station.ask("/Patient", patient="999912347"), 403, "subject_mismatch")


async def test_a_token_for_nobody_and_one_for_another_party(station: Station) -> None:
    await refused(station, await station.ask("/Patient", patient=None), 403, "subject_missing")
    token = station.token(HOSPITAL, "patient/Patient.rs", patient=CLIENT, audience=f"{BASE}/{OTHER_HOLDER}")
    await refused(station, await station.call("GET", f"/{HOLDER}/fhir/Patient", party=HOSPITAL, token=token), 401, "token_audience")
    answer = await station.call("GET", "/nobody/fhir/Patient", party=HOSPITAL, token=token)
    await refused(station, answer, 404, "not_found")


@pytest.mark.parametrize("reason", ["no_consent", "consent_withdrawn", "consent_objection", "consent_expired"])
async def test_what_consent_decides_now_holds(station: Station, reason: str) -> None:
    station.consent = ("deny", reason)
    await refused(station, await station.ask("/Condition"), 403, reason)
    await refused(station, await station.ask(f"/Condition/{(await _any(station))}"), 403, reason)


async def _any(station: Station) -> str:
    """The id of a Condition of the client, read while consent permits."""
    kept, station.consent = station.consent, ("permit", None)
    found = next(iter(await ids(station, CLIENT, "Condition")))
    station.consent = kept
    await station.logged()
    return found


async def test_a_token_that_its_issuer_does_not_stand_for(station: Station) -> None:
    station.live = False
    await refused(station, await station.ask("/Condition"), 401, "token_revoked")


async def test_without_a_decision_nothing_is_given(station: Station) -> None:
    station.reachable = False
    answer = await station.ask("/Condition")
    assert answer.status_code == 503
    assert answer.headers["X-Reason"] in ("consent_unavailable", "upstream")
    assert "entry" not in answer.text
    station.reachable, station.consent = True, ("not a word of ours", None)
    await station.logged()
    await refused(station, await station.ask("/Condition"), 403, "no_consent")


async def test_what_is_given_is_logged_with_client_user_consent_and_category(station: Station) -> None:
    await station.ask("/CarePlan")
    (event,) = await station.logged()
    assert event["outcome"] == "0"
    assert {entity["what"]["reference"] for entity in event["entity"] if "reference" in entity.get("what", {})} == {"Consent/1"}
    details = {detail["type"]: detail["valueString"] for entity in event["entity"] for detail in entity.get("detail", [])}
    assert details["category"] == "Episode"
    who = [agent["who"].get("identifier", {}).get("value") for agent in event["agent"]]
    assert {"90000101", "900000011"} <= set(who)
