"""The export as Logius has it: each field from its place in the event, no BSN, and every kind of event the network logs."""

import base64
import hashlib
import json
from datetime import datetime
from typing import Any

import pytest

from proeftuin.audit import events as kinds
from proeftuin.audit.events import EventType
from proeftuin.audit.record import CLIENT_ID_SYSTEM, Record, System
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, UZI_SYSTEM
from proeftuin.reasons import INTERNAL, NO_CONSENT, Reason
from proeftuin.tokens.access_token import Person
from proeftuin.transport.tracing import Trace
from services.logging import ldv
from tests.unit.services.logging.logbook import CLIENT, FORM, HOME, HOSPITAL, OTHER, READ, URA, Logbook, event, refused

pytestmark = pytest.mark.anyio
KINDS = [(name, kind) for name, kind in vars(kinds).items() if isinstance(kind, EventType)]
TRACE = Trace("ab" * 16, "cd" * 8, "ef" * 8, "12" * 8)  # as a server has it: another's span called it
POLICY = "urn:ietf:params:oauth:jti:1"


def whole(kind: EventType = kinds.READ, patient: str | None = CLIENT) -> dict[str, Any]:
    """An event of the network with all that a Record can say."""
    home = System((URA_SYSTEM, URA[HOME]), "Avondrood", "https://localhost:8448/avondrood")
    hospital = System((URA_SYSTEM, URA[HOSPITAL]), "De Linde", "127.0.0.1", "ab" * 32)
    nurse = Person("900000011", UZI_SYSTEM, "30.000", URA[HOSPITAL])
    record = Record(
        kind, TRACE, hospital, home, home, [patient] if patient else [], nurse, "TREAT", POLICY, "ura:90000101",
        b"Condition?patient=1", f"search about {CLIENT}", [{"reference": "Condition/1"}], consents=["Consent/7"],
        details={"count": "3"},
    )  # fmt: skip
    (made,) = record.to_events(datetime.fromisoformat("2026-03-01T10:00:00.123+00:00"))
    found: dict[str, Any] = made
    return found


def exported(made: dict[str, Any]) -> dict[str, Any]:
    return ldv.record(made, {"seq": 3}, lambda bsn: f"pseudonym-of-{hashlib.sha256(bsn.encode()).hexdigest()[:8]}")


SUBJECT = f"pseudonym-of-{hashlib.sha256(CLIENT.encode()).hexdigest()[:8]}"


def at(path: str, found: Any) -> Any:
    for step in path.split("/"):
        found = found[int(step)] if isinstance(found, list) else found[step]
    return found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trace_id", "ab" * 16),
        ("span_id", "cd" * 8),
        ("parent_span_id", "ef" * 8),
        ("foreign_operation", {"trace_id": "ab" * 16, "span_id": "ef" * 8, "entity": f"{URA_SYSTEM}#90000101"}),
        ("status_code", 1),
        ("name", "R"),
        ("start_time", 1772359200123),
        ("end_time", 1772359200123),
        ("resource/attributes/nen7513.AuditEnterpriseSiteID", "90000103"),
        ("resource/attributes/nen7513.AuditSourceId", f"{URA_SYSTEM}|90000103"),
        ("resource/attributes/nen7513.AuditSourceTypeCode", "4"),
        ("attributes/dpl.core.processing_activity_id", "http://terminology.hl7.org/CodeSystem/audit-event-type#rest"),
        ("attributes/dpl.core.data_subject_id", SUBJECT),
        ("attributes/dpl.core.data_subject_id_type", "BSN"),
        ("attributes/dpl.nen7513.eventTypeCode", "http://hl7.org/fhir/restful-interaction#read"),
        ("attributes/dpl.nen7513.users/1/userID", f"{URA_SYSTEM}|90000103"),
        ("attributes/dpl.nen7513.users/0/userName", "De Linde"),
        ("attributes/dpl.nen7513.users/0/userIsRequestor", False),
        ("attributes/dpl.nen7513.users/0/networkAccessPointTypeCode", "2"),
        ("attributes/dpl.nen7513.users/0/networkAccessPointID", "127.0.0.1"),
        ("attributes/dpl.nen7513.users/2/userID", f"{UZI_SYSTEM}|900000011"),
        ("attributes/dpl.nen7513.users/2/userIsRequestor", True),
        ("attributes/dpl.nen7513.users/2/roleIDCode/0", "http://fhir.nl/fhir/NamingSystem/uzi-rolcode#30.000"),
        ("attributes/dpl.nen7513.users/2/purposeOfUse", ["http://terminology.hl7.org/CodeSystem/v3-ActReason#TREAT"]),
        ("attributes/dpl.nen7513.participants/0/participantObjectTypeCode", "1"),
        ("attributes/dpl.nen7513.participants/0/participantObjectTypeCodeRole", "1"),
        ("attributes/dpl.nen7513.participants/0/participantObjectIDTypeCode", BSN_SYSTEM),
        ("attributes/dpl.nen7513.participants/0/participantObjectID", SUBJECT),
        ("attributes/dpl.nen7513.participants/0/participantObjectPermissionPolicySet", [POLICY]),
        ("attributes/dpl.nen7513.participants/1/participantObjectDescription", f"search about {SUBJECT}"),
        ("attributes/dpl.nen7513.participants/2/participantObjectID", "Condition/1"),
        ("attributes/dpl.nen7513.participantSegments/0/participantObjectID", "12" * 8),
        ("attributes/dpl.nen7513.participantSegments/2/participantObjectDetail", [{"type": "count", "value": "3"}]),
        ("attributes/dpl.nen7513.autorisatieProtocol", [POLICY]),
        ("attributes/dpl.nen7513.toestemmingsProfiel", ["Consent/7"]),
        ("attributes/dpl.nen7513.controles", {"seq": 3}),
        ("attributes/dpl.proeftuin.outcome", "0"),
    ],
)
def test_each_field_comes_from_its_place(path: str, value: Any) -> None:
    assert at(path, exported(whole())) == value


@pytest.mark.parametrize(
    ("over", "path", "value"),
    [
        ({"period": {"start": "2026-03-01T09:00:00Z", "end": "2026-03-01T09:30:00+00:00"}}, "end_time", 1772357400000),
        ({"outcome": "8"}, "status_code", 0),
        ({"outcome": "12", "outcomeDesc": f"internal: {CLIENT}"}, "status_code", 2),
        ({"outcomeDesc": f"no: {CLIENT}"}, "attributes/dpl.proeftuin.outcome_description", f"no: {SUBJECT}"),
        ({"entity": [{"what": {"reference": "https://x/fhir/CareTeam/1"}}]}, "attributes/dpl.nen7513.behandelrelatieProtocol",
         ["https://x/fhir/CareTeam/1"]),
        ({"entity": [{"what": {"reference": "Condition/1"}, "lifecycle": {"code": "6"}}]},
         "attributes/dpl.nen7513.participantSegments/0/participantObjectDataLifeCycle", "6"),
        ({"entity": [{"name": "a", "securityLabel": [{"system": "s", "code": "V"}]}]},
         "attributes/dpl.nen7513.participantSegments/0", {"participantObjectSensitivity": ["s#V"], "participantObjectName": "a"}),
        ({"agent": [{"altId": "nurse-7", "requestor": True}]}, "attributes/dpl.nen7513.users/0/alternateUserID", "nurse-7"),
        ({"agent": [{"who": {"identifier": {"system": BSN_SYSTEM, "value": CLIENT}}, "requestor": True}]},
         "attributes/dpl.nen7513.users/0/userID", f"{BSN_SYSTEM}|{SUBJECT}"),
    ],
)  # fmt: skip
def test_what_only_some_events_say_has_its_place_too(over: dict[str, Any], path: str, value: Any) -> None:
    assert at(path, exported(event(HOME, CLIENT, **over))) == value


@pytest.mark.parametrize(
    ("trace", "observer", "kind", "parent", "foreign"),
    [
        (Trace("ab" * 16, "cd" * 8), HOME, kinds.READ, None, None),  # the first of its trace
        (Trace("ab" * 16, "cd" * 8, "ef" * 8), HOSPITAL, kinds.READ, "ef" * 8, None),  # a call, on account of a request of its own
        (Trace("ab" * 16, "cd" * 8, "ef" * 8, "ef" * 8), HOSPITAL, kinds.READ, "ef" * 8, None),  # a service that asks itself
        (Trace("ab" * 16, "cd" * 8, "ef" * 8, "ef" * 8), HOME, kinds.READ, "ef" * 8, f"{URA_SYSTEM}#90000101"),
        (Trace("ab" * 16, "cd" * 8, "ef" * 8, "ef" * 8), HOME, kinds.TOKEN_REQUEST, "ef" * 8, f"{CLIENT_ID_SYSTEM}#ura:90000101"),
        (Trace("ab" * 16, "cd" * 8, "ef" * 8, "ef" * 8), HOSPITAL, kinds.TOKEN_REQUEST, "ef" * 8, None),
    ],
)
def test_an_action_names_what_called_it_and_who_when_that_is_another(
    trace: Trace, observer: str, kind: EventType, parent: str | None, foreign: str | None
) -> None:
    hospital, server = (System((URA_SYSTEM, URA[each]), each, "127.0.0.1") for each in (HOSPITAL, observer))
    query = b"grant_type=client_credentials" if kind is kinds.TOKEN_REQUEST else None
    record = Record(kind, trace, hospital, server, server, client_id="ura:90000101", query=query)
    found = exported(record.to_events(datetime.fromisoformat("2026-03-01T10:00:00+00:00"))[0])
    assert (found.get("parent_span_id"), found.get("foreign_operation", {}).get("entity")) == (parent, foreign)


def test_a_parent_that_is_no_span_is_left_out() -> None:
    over = [{"url": "https://vendor.example/parent-span-id", "valueString": CLIENT}]
    assert "parent_span_id" not in exported(event(HOME, extension=over))


def test_what_an_event_does_not_say_is_left_out() -> None:
    found = exported(event(HOME, entity=None))
    assert "dpl.core.data_subject_id" not in found["attributes"]
    assert "dpl.nen7513.participants" not in found["attributes"]
    assert found["trace_id"].endswith(found["span_id"])


@pytest.mark.parametrize("failed", [None, NO_CONSENT, INTERNAL])
async def test_every_kind_of_event_goes_in_and_comes_out(logbook: Logbook, failed: Reason | None) -> None:
    sent = {}
    for name, kind in KINDS:
        made = whole(kind)
        if failed:
            made |= {"outcome": "12" if failed is INTERNAL else "8", "outcomeDesc": f"{failed.code}: no"}
        assert (await logbook.post(made)).status_code == 201, name
        sent[made["id"]] = made
    found = {each["attributes"]["dpl.proeftuin.event_id"]: each for each in await lines(logbook, "?date=ge2020&_count=500")}
    assert found.keys() == sent.keys()
    for known, made in sent.items():
        attributes = found[known]["attributes"]
        assert [(user["userIsRequestor"], user["userID"].rpartition("|")[2]) for user in attributes["dpl.nen7513.users"]] == [
            (agent["requestor"], agent["who"]["identifier"]["value"]) for agent in made["agent"]
        ]
        assert (
            attributes["dpl.core.processing_activity_id"].rpartition("#")[2],
            attributes["dpl.nen7513.eventTypeCode"].rpartition("#")[2],
            found[known]["name"], attributes["dpl.proeftuin.outcome"],
            sum(len(attributes[f"dpl.nen7513.{part}"]) for part in ("participants", "participantSegments")),
        ) == (made["type"]["code"], made["subtype"][0]["code"], made["action"], made["outcome"], len(made["entity"]))  # fmt: skip
    assert CLIENT not in json.dumps(found)


async def lines(logbook: Logbook, query: str = "?date=ge2020-01-01", party: str = HOME) -> list[dict[str, Any]]:
    answer = await logbook.call("GET", f"/ldv{query}", party=party, token=logbook.token(party, READ))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_party_exports_its_own_events_by_pages_and_the_export_is_logged(logbook: Logbook) -> None:
    sent = [event(HOME, CLIENT) for _ in range(5)]
    for each in sent:
        await logbook.post(each)
    await logbook.post(event(HOSPITAL, CLIENT), HOSPITAL)
    await logbook.logged()
    found, path = [], "/ldv?date=ge2020-01-01&_count=2"
    while path:
        answer = await logbook.call("GET", path, party=HOME, token=logbook.token(HOME, READ))
        found += [json.loads(line)["attributes"]["dpl.proeftuin.event_id"] for line in answer.text.splitlines()]
        link = answer.headers.get("Link")
        path = link.partition(">")[0].removeprefix("<https://localhost:8440") if link else ""
    assert found == [each["id"] for each in reversed(sent)]
    logged = await logbook.logged()
    assert {(each["type"]["code"], each["subtype"][0]["code"]) for each in logged} == {("110106", "extract")}


async def test_two_parties_cannot_link_their_exports(logbook: Logbook) -> None:
    await logbook.post(event(HOME, CLIENT))
    await logbook.post(event(HOSPITAL, CLIENT), HOSPITAL)
    (one,), (two,) = await lines(logbook), await lines(logbook, party=HOSPITAL)
    assert one["attributes"]["dpl.core.data_subject_id"] != two["attributes"]["dpl.core.data_subject_id"]


async def test_one_client_is_exported_by_form(logbook: Logbook) -> None:
    for client in (CLIENT, OTHER):
        await logbook.post(event(HOME, client))
    form = {"date": "ge2020-01-01", "patient.identifier": f"{BSN_SYSTEM}|{OTHER}"}
    answer = await logbook.call("POST", "/ldv", party=HOME, token=logbook.token(HOME, READ), headers=FORM, data=form)
    (found,) = answer.text.splitlines()
    assert json.loads(found)["attributes"]["dpl.core.data_subject_id_type"] == "BSN"
    assert OTHER not in found


async def test_the_controls_are_those_of_the_log(logbook: Logbook) -> None:
    await logbook.post(event())
    await logbook.post(event())
    newest = (await lines(logbook))[0]["attributes"]["dpl.nen7513.controles"]
    tile = (await logbook.open("/tile/0/000.p/2")).content
    assert newest == {"seq": 1, "leaf": base64.b64encode(tile[32:]).decode(), "size": 2}


async def test_a_collector_gets_otlp(logbook: Logbook) -> None:
    await logbook.post(whole())
    answer = await logbook.call(
        "GET", "/ldv?date=ge2020-01-01", party=HOME, token=logbook.token(HOME, READ), headers={"Accept": "application/json"}
    )
    (spans,) = answer.json()["resourceSpans"]
    (span,) = spans["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["spanId"], span["parentSpanId"], span["name"]) == ("ab" * 16, "cd" * 8, "ef" * 8, "R")
    assert span["startTimeUnixNano"] == "1772359200123000000"
    attributes = {each["key"]: each["value"] for each in span["attributes"]}
    assert attributes["dpl.core.data_subject_id_type"] == {"stringValue": "BSN"}
    foreign = attributes["dpl.core.foreign_operation"]["kvlistValue"]["values"]
    assert [each["key"] for each in foreign] == ["trace_id", "span_id", "entity"]
    user = attributes["dpl.nen7513.users"]["arrayValue"]["values"][2]["kvlistValue"]["values"]
    assert {"key": "userIsRequestor", "value": {"boolValue": True}} in user
    assert attributes["dpl.nen7513.controles"]["kvlistValue"]["values"][0] == {"key": "seq", "value": {"intValue": "0"}}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "parameter_invalid"),
        (f"?date=2026&patient.identifier={CLIENT}", "identifier_in_url"),
        ("?date=2026&x=1", "parameter_unknown"),
    ],
)
async def test_an_export_that_cannot_be_made_is_refused(logbook: Logbook, query: str, reason: str) -> None:
    answer = await logbook.call("GET", f"/ldv{query}", party=HOME, token=logbook.token(HOME, READ))
    await refused(logbook, answer, 400, reason)
