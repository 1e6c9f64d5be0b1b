"""Whatever a record holds, its events are valid, claim only what holds, and show nothing that a request kept secret."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.audit import events
from proeftuin.audit.events import EventType
from proeftuin.audit.record import NO_CONSENT_ON_FILE, Entry, Record, System
from proeftuin.audit.redaction import search_request, token_request
from proeftuin.fhir.validation import validate
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, UZI_SYSTEM
from proeftuin.reasons import NO_CONSENT
from proeftuin.tokens.access_token import Person
from proeftuin.transport.tracing import Trace
from services.logging.conformance.evaluation import deviations
from services.logging.conformance.profiles import of_url

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
KINDS = {name: kind for name, kind in vars(events).items() if isinstance(kind, EventType)}
CLIENT, OTHER = "999910000", "999918138"
CALLER = System((URA_SYSTEM, "90000101"), "Ziekenhuis De Linde", "203.0.113.7", "thumbprint")
HERE = System((URA_SYSTEM, "90000103"), "Verpleeghuis Avondrood", "https://localhost:8440")
UNKNOWN = System(None, "unknown", "unknown")
NURSE = Person("900000011", UZI_SYSTEM, "30.000", "90000101")


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Anything that a handler can leave behind, sensible or not."""
    client = draw(st.sampled_from([CALLER, UNKNOWN]))
    record = Record(
        KINDS[draw(st.sampled_from(sorted(KINDS)))], Trace.new(), client, HERE, draw(st.sampled_from([client, HERE])),
        patients=draw(st.sampled_from([[], [CLIENT], [CLIENT, OTHER]])),
        person=draw(st.sampled_from([None, NURSE, Person("900000011", UZI_SYSTEM), Person(CLIENT, BSN_SYSTEM)])),
        purpose=draw(st.sampled_from([None, "TREAT", "ETREAT", "BTG"])),
        token=draw(st.sampled_from([None, "urn:ietf:params:oauth:jti:q3v9"])),
        client_id=draw(st.sampled_from([None, "ura:90000101"])),
        query=draw(st.sampled_from([None, b"", b"Condition?code=x"])),
        data=draw(st.sampled_from([[], [{"reference": "Condition/1"}], [{"reference": "Condition/1"}, {"type": "List"}]])),
        entries=draw(st.sampled_from([[], [Entry(events.CREATE, (CLIENT, OTHER), "List/1"), Entry(events.DELETE, (), "List")]])),
        consents=draw(st.sampled_from([[], ["Consent/1"], [NO_CONSENT_ON_FILE]])),
        details=draw(st.sampled_from([{}, {"category": "Condition"}, {"category": " "}])),
        responsible=draw(st.sampled_from([None, NURSE])),
        policies=draw(st.sampled_from([[], ["urn:proeftuin:policy:1:x"]])),
    )  # fmt: skip
    if draw(st.booleans()):
        record.refuse(NO_CONSENT, "no permit", draw(st.sampled_from(["4", "8", "12"])))
    return record


@settings(deadline=None, max_examples=300)
@given(records())
def test_no_event_claims_what_it_is_not(record: Record) -> None:
    for event in record.to_events(NOW):
        assert validate(event) == []
        for url in event.get("meta", {}).get("profile", []):
            profile = of_url(url)
            assert profile is not None
            assert deviations(event, profile) == []
        assert sum(agent["requestor"] for agent in event["agent"]) == 1


def event_of(kind: EventType, **over: Any) -> dict[str, Any]:
    (event,) = Record(kind, Trace.new(), CALLER, HERE, HERE, client_id="ura:90000101", **over).to_events(NOW)
    return event


def agents(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["type"]["coding"][0]["code"]: each for each in event["agent"]}


def test_one_agent_has_the_types_of_the_interaction_and_of_the_use_of_the_token() -> None:
    event = event_of(events.READ, person=NURSE, token="urn:ietf:params:oauth:jti:q3v9", data=[{"reference": "Condition/1"}])
    codes = [[coding["code"] for coding in agent["type"]["coding"]] for agent in event["agent"]]
    assert codes == [["110152", "110150"], ["110153"], ["IRCP", "UserOauthAgent"], ["PROV"]]
    assert agents(event)["IRCP"]["policy"] == ["urn:ietf:params:oauth:jti:q3v9"]


@pytest.mark.parametrize("purpose", ["ETREAT", "BTG"])
def test_an_emergency_has_its_code(purpose: str) -> None:
    event = event_of(events.READ, person=NURSE, purpose=purpose, data=[{"reference": "Condition/1"}])
    assert [each["code"] for each in event["subtype"]] == ["read", "110127"]
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == purpose
    assert event["meta"]["profile"][0].endswith("IHE.BasicAudit.Read")


def test_who_is_who() -> None:
    event = event_of(events.READ, person=NURSE, responsible=Person("900000037", UZI_SYSTEM, "01.015"), purpose="TREAT")
    by_type = agents(event)
    assert by_type["110152"]["who"]["identifier"]["value"] == "ura:90000101"
    assert by_type["110152"]["network"] == {"address": "203.0.113.7", "type": "2"}
    assert by_type["110153"]["network"]["type"] == "5"
    assert by_type["PROV"]["who"] == {"identifier": {"system": URA_SYSTEM, "value": "90000101"}, "display": "Ziekenhuis De Linde"}
    assert by_type["responsible"]["role"][0]["coding"][0]["code"] == "01.015"
    assert [agent["requestor"] for agent in event["agent"]] == [False, False, True, False, False]
    assert event["source"]["site"] == event["source"]["observer"]["identifier"]["value"] == "90000103"


@pytest.mark.parametrize(("kind", "expected"), [
    (events.READ, "6"), (events.CREATE, "1"), (events.UPDATE, "3"), (events.DELETE, "14"), (events.ERASURE, "15"),
    (events.TRANSACTION, "2"),
])  # fmt: skip
def test_what_happens_to_the_data_is_told(kind: EventType, expected: str) -> None:
    event = event_of(kind, data=[{"reference": "List/1"}])
    assert [entity["lifecycle"]["code"] for entity in event["entity"] if "lifecycle" in entity] == [expected]


def test_a_token_request_shows_what_was_asked_and_no_secret() -> None:
    form = {
        "grant_type": "authorization_code", "client_id": "ura:90000101", "scope": "patient/Condition.rs 999910000", "code": "s1",
        "code_verifier": "s2", "client_assertion": "s3", "id_token": "s4", "authorization_details": f'[{{"patient": "{CLIENT}"}}]',
        "999910000": "s5", "resource": "https://localhost:8440/a b",
    }  # fmt: skip
    shown = token_request("/oauth2/vws/token", form).decode()
    assert shown == (
        "POST /oauth2/vws/token\n\ngrant_type=authorization_code&client_id=ura:90000101&scope=***&code=***&code_verifier=***"
        "&client_assertion=***&id_token=***&authorization_details=***&***=***&resource=https://localhost:8440/a+b"
    )
    claimed = event_of(events.TOKEN_REQUEST, query=shown.encode())
    assert [url.rpartition("/")[2] for url in claimed["meta"]["profile"]] == ["IHE.IUA.71"]
    assert base64.b64decode(claimed["entity"][0]["query"]).decode() == shown


@given(
    st.lists(st.tuples(st.text(), st.sampled_from(["code", CLIENT, f"{BSN_SYSTEM}|{CLIENT}", "\ud800", "x" * 9000])), max_size=5)
)
def test_a_search_is_shown_without_the_client(pairs: list[tuple[str, str]]) -> None:
    shown = search_request("Condition", pairs).decode()
    assert CLIENT not in shown
    assert len(shown) < 5 * 20000
