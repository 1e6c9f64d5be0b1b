"""What a care system exports: taken whole, or refused with every fault named by its element."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.datastation.station import CLIENT, HOLDER, HOSPITAL, OTHER, Resource, Station

pytestmark = pytest.mark.anyio


def named(events: list[Resource]) -> list[str]:
    """The clients whom the events name."""
    entities = (entity.get("what", {}) for event in events for entity in event["entity"])
    return [what["identifier"]["value"] for what in entities if what.get("type") == "Patient"]


def first(bundle: Resource, kind: str) -> Resource:
    found: Resource = next(entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind)
    return found


async def test_records_are_stored_once_and_then_as_next_versions(tmp_path: Path, database_url: str) -> None:
    station = Station(tmp_path, database_url)
    async with station.running(station.app):
        bundle = station.records(CLIENT)
        for status, version in (("201 Created", "1"), ("200 OK", "2")):
            answers = (await station.load(bundle)).json()["entry"]
            assert {entry["response"]["status"] for entry in answers} == {status}
            assert {entry["response"]["etag"] for entry in answers} == {f'W/"{version}"'}
            assert len(answers) == len(bundle["entry"])
        events = await station.logged()
        entries = len(bundle["entry"])
        assert [event["subtype"][0]["code"] for event in events] == ["transaction", *["update"] * entries] * 2
        assert {event["outcome"] for event in events} == {"0"}
        assert named(events) == [CLIENT] * entries * 2


async def test_a_bundle_may_hold_two_clients_and_each_token_finds_its_own(tmp_path: Path, database_url: str) -> None:
    station = Station(tmp_path, database_url)
    own, other = (station.records(bsn) for bsn in (CLIENT, OTHER))
    async with station.running(station.app):
        assert (await station.load(own | {"entry": own["entry"] + other["entry"]})).status_code == 200
        assert named(await station.logged()) == [CLIENT] * len(own["entry"]) + [OTHER] * len(other["entry"])
        for bsn, bundle, stranger in ((CLIENT, own, other), (OTHER, other, own)):
            for kind in ("Patient", "Condition", "MedicationRequest", "CarePlan"):
                brought = {entry["resource"]["id"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind}
                found = (await station.ask(f"/{kind}", patient=bsn)).json()["entry"]
                assert {entry["resource"]["id"] for entry in found} == brought
                answer = await station.ask(f"/{kind}/{first(stranger, kind)['id']}", patient=bsn)
                assert (answer.status_code, answer.headers["X-Reason"]) == (403, "subject_mismatch")


async def test_references_by_full_url_become_references_within_the_source(station: Station) -> None:
    bundle = station.records(CLIENT)
    patient = next(entry for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Patient")
    for entry in bundle["entry"]:
        if "subject" in entry["resource"]:
            entry["resource"]["subject"] = {"reference": patient["fullUrl"]}
    assert (await station.load(bundle)).status_code == 200
    found = (await station.ask("/CarePlan")).json()["entry"][0]["resource"]
    assert found["subject"]["reference"] == f"Patient/{patient['resource']['id']}"


def _type(bundle: Resource) -> None:
    bundle["entry"].insert(0, {"fullUrl": "urn:uuid:1d7a1c0e-2f2f-4f6e-8d1d-3a0a6f0e9a11", "resource": {
        "resourceType": "Endpoint", "status": "active", "address": "https://example.org", "connectionType": {"code": "x"},
        "payloadType": [{"text": "x"}]}})  # fmt: skip
    first(bundle, "CarePlan").pop("subject")
    first(bundle, "CarePlan")["subject"] = {"display": "somebody"}


def _no_bsn(bundle: Resource) -> None:
    first(bundle, "Patient")["identifier"][0]["system"] = "urn:local"


def _two_bsns(bundle: Resource) -> None:
    patient = first(bundle, "Patient")
    patient["identifier"].append(patient["identifier"][0] | {"value": OTHER})


def _wrong_bsn(bundle: Resource) -> None:
    first(bundle, "Patient")["identifier"][0]["value"] = "999910001"


def _another_id(bundle: Resource) -> None:
    patient = first(bundle, "Patient")
    bundle["entry"] = [entry for entry in bundle["entry"] if entry["resource"] is patient]
    patient["id"] = "another"


def _repeated(bundle: Resource) -> None:
    bundle["entry"].append(bundle["entry"][0])


def _client_twice(bundle: Resource) -> None:
    copy = first(bundle, "Patient") | {"id": "another"}
    bundle["entry"].append({"fullUrl": "urn:uuid:1d7a1c0e-2f2f-4f6e-8d1d-3a0a6f0e9a12", "resource": copy})


def _no_reference(bundle: Resource) -> None:
    first(bundle, "Condition")["subject"] = {"identifier": first(bundle, "Patient")["identifier"][0]}


def _stranger(bundle: Resource) -> None:
    bundle["entry"] = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] != "Patient"]
    first(bundle, "CarePlan")["subject"] = {"reference": "Patient/nobody"}


def _element(bundle: Resource) -> None:
    first(bundle, "Condition")["onsetDateTime"] = "yesterday"


def _nameless(bundle: Resource) -> None:
    first(bundle, "MedicationRequest")["dose"] = 1


@pytest.mark.parametrize(
    ("change", "elements"),
    [
        (_type, ["Bundle.entry[0].resource", "Bundle.entry[{CarePlan}].resource.subject.reference"]),
        (_no_bsn, ["Bundle.entry[{Patient}].resource.identifier"]),
        (_two_bsns, ["Bundle.entry[{Patient}].resource.identifier"]),
        (_wrong_bsn, ["Bundle.entry[{Patient}].resource.identifier[0].value"]),
        (_another_id, ["Bundle.entry[0].resource.id"]),
        (_repeated, ["Bundle.entry[{last}].fullUrl"]),
        (_client_twice, ["Bundle.entry[{last}].resource.id"]),
        (_no_reference, ["Bundle.entry[{Condition}].resource.subject.reference"]),
        (_stranger, ["Bundle.entry[{CarePlan}].resource.subject.reference"]),
        (_element, ["Bundle.entry[{Condition}].resource.onsetDateTime"]),
        (_nameless, ["Bundle.entry[{MedicationRequest}].resource.dose"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_fault_is_named_by_its_element_and_nothing_is_stored(
    station: Station, change: Callable[[Resource], Any], elements: list[str]
) -> None:
    bundle = station.records(CLIENT)
    before = (await station.ask("/Condition")).json()
    await station.logged()
    change(bundle)
    places = {entry["resource"]["resourceType"]: place for place, entry in reversed(list(enumerate(bundle["entry"])))}
    places["last"] = len(bundle["entry"]) - 1
    answer = await station.load(bundle)
    assert (answer.status_code, answer.headers["X-Reason"]) == (422, "profile"), answer.text
    told = [element for issue in answer.json()["issue"] for element in issue["expression"]]
    assert told == [element.format_map(places) for element in elements]
    assert CLIENT not in answer.text
    events = await station.logged()
    assert {event["outcome"] for event in events} == {"8"}
    clients = named(events)  # one event for each client whom the Bundle names
    assert len(events) == max(1, len(clients)) == max(1, len(set(clients)))
    assert (await station.ask("/Condition")).json() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"{", "malformed"), (b"[]", "malformed"), (b'{"resourceType":"Patient"}', "malformed"),
     (b'{"resourceType":"Bundle"}', "profile"), (b'{"resourceType":"Bundle","type":"collection","entry":[{}]}', "profile"),
     (b'{"resourceType":"Bundle","type":"collection","entry":[7]}', "profile")],
)  # fmt: skip
async def test_garbage_is_refused_with_its_reason(station: Station, content: bytes, reason: str) -> None:
    answer = await station.load(content)
    assert answer.headers["X-Reason"] == reason, answer.text
    assert len(await station.logged()) == 1


async def test_only_the_party_itself_brings_records_in(station: Station) -> None:
    answer = await station.load(station.records(CLIENT), by=HOSPITAL)
    assert (answer.status_code, answer.headers["X-Reason"]) == (403, "party_mismatch")
    (event,) = await station.logged()
    assert event["source"]["site"] == station.seed.party(HOLDER).ura


async def test_a_client_keeps_the_id_and_an_id_its_client_and_each_is_told(station: Station) -> None:
    taken, other = station.records(CLIENT), station.records(OTHER)
    moved = first(taken, "Patient") | {"id": "another"}
    stolen = first(other, "Patient") | {"id": first(taken, "Patient")["id"]}
    assert (await station.load(taken)).status_code == 200
    for patient, told in ((moved, "this source has this BSN already"), (stolen, "in this source it is of another BSN")):
        answer = await station.load({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]})
        (issue,) = answer.json()["issue"]
        assert (answer.status_code, issue["expression"]) == (422, ["Bundle.entry[0].resource.id"])
        assert told in issue["diagnostics"]
        assert CLIENT not in answer.text
        assert OTHER not in answer.text
