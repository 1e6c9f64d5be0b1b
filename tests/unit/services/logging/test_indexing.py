"""What an event is found by, for every parameter of ITI-81 and for what an auditor asks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from services.logging import store
from services.logging.indexing import indexed
from services.logging.store import encoded
from tests.unit.services.logging.logbook import CLIENT, HOME, HOSPITAL, OTHER, URA, Logbook, client_entity, event, ids, refused

pytestmark = pytest.mark.anyio
KEY = b"k" * 32
SINCE = "?date=ge2026-01-01"
ORGANIZATION = {
    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "PROV"}]},
    "who": {"identifier": {"system": URA_SYSTEM, "value": URA[HOSPITAL]}},
    "requestor": False,
}
SYSTEM = {
    "who": {"identifier": {"system": URA_SYSTEM, "value": URA[HOME]}}, "requestor": False,
    "network": {"address": "https://10.0.0.1/fhir?a b", "type": "5"},
}  # fmt: skip
QUERY = {
    "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "2"},
    "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "24"},
}


def emergency() -> dict[str, Any]:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "ETREAT"}
    return event(purposeOfEvent=[{"coding": [coding]}])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("address=https://10.0.0.1/fhir?a%20b", "b"), ("address=10.0.0.1", ""), ("address=%25", ""),
        ("entity-type=2", "c"), ("entity-type=http://terminology.hl7.org/CodeSystem/audit-entity-type|2", "c"),
        ("entity-role=24,20", "c"), ("entity-role=2", ""), ("entity-role=24&entity-type=3", ""),
        ("purpose=ETREAT,BTG", "a"), (f"organization={URA_SYSTEM}|{URA[HOSPITAL]}", "b"),
        (f"source.identifier={URA_SYSTEM}|{URA[HOME]}", "abc"), (f"source.identifier={URA_SYSTEM}|{URA[HOSPITAL]}", ""),
        ("_lastUpdated=ge2020", "abc"), ("_lastUpdated=lt2020", ""),
    ],
)  # fmt: skip
async def test_the_parameters_beside_the_columns(logbook: Logbook, query: str, found: str) -> None:
    await logbook.post(emergency() | {"id": "a"})
    await logbook.post(event(id="b", agent=[*event()["agent"], SYSTEM, ORGANIZATION]))
    await logbook.post(event(id="c", entity=[QUERY]))
    assert "".join(sorted(ids(await logbook.get(f"{SINCE}&{query}")))) == found


async def test_asking_for_another_source_does_not_open_its_events(logbook: Logbook) -> None:
    await logbook.post(event(HOSPITAL, id="theirs"), HOSPITAL)
    query = f"{SINCE}&source.identifier={URA_SYSTEM}|{URA[HOSPITAL]}"
    assert ids(await logbook.get(query)) == []
    assert ids(await logbook.get(query, HOSPITAL)) == ["theirs"]


@pytest.mark.parametrize("name", ["source.identifier", "organization"])
async def test_an_organisation_is_asked_for_with_its_system(logbook: Logbook, name: str) -> None:
    await refused(logbook, await logbook.get(f"{SINCE}&{name}={URA[HOME]}"), 400, "parameter_invalid")


def test_who_asked_is_never_a_person_known_by_bsn() -> None:
    client = {"who": {"identifier": {"system": BSN_SYSTEM, "value": CLIENT}}, "requestor": True}
    alone = indexed(encoded(event(agent=[client])), KEY).columns
    assert alone["organization"] is None
    assert CLIENT not in json.dumps(alone)
    assert indexed(encoded(event(agent=[client, SYSTEM])), KEY).columns["organization"] == f"{URA_SYSTEM}|{URA[HOME]}"


def test_each_client_once() -> None:
    both = indexed(encoded(event(entity=[client_entity(each) for each in (CLIENT, OTHER, CLIENT)])), KEY)
    assert len(both.patients) == 2
    assert both.patients == sorted(both.patients)


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b"\x00", b'{"id":1}'])
def test_what_is_no_event_raises_value_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        indexed(document, KEY)


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_text_is_indexed_within_its_column(system: str, value: str) -> None:
    agent = {"who": {"identifier": {"system": system, "value": value}}, "requestor": True, "network": {"address": value}}
    try:
        document = encoded(event(agent=[agent], trace=None))
    except ValueError:
        return
    columns = indexed(document, KEY).columns
    assert len(columns["organization"] or "") <= 64
    assert len(columns["agent"] or "") <= 128
    assert "\x00" not in json.dumps(columns, ensure_ascii=False)


def plan(logbook: Logbook, query: store.Query) -> list[str]:
    statement = store.matching(query).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    rows = logbook.database(lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all())
    return [row[-1] for row in rows]


EVERYTHING = {"source": ["client-1"], "observer": ["urn:x|1"], "agent": ["1"], "organization": ["urn:x|1"], "trace_id": ["1"]}


async def test_a_search_by_trace_is_answered_from_the_index_of_traces(logbook: Logbook) -> None:
    steps = plan(logbook, store.Query(EVERYTHING, None, "2020", "2030", "2020", "2030", (frozenset({"x"}),), 99))
    assert steps[0] == "SEARCH event USING INDEX ix_event_trace_id (trace_id=?)", steps


async def test_a_search_by_client_is_answered_from_the_index_of_clients(logbook: Logbook) -> None:
    """Whatever else is asked: the events of one party are nearly the whole log, those of a client are few."""
    steps = plan(logbook, store.Query(EVERYTHING, "token", "2020", "2030", "2020", "2030", (frozenset({"x"}),), 99))
    assert [step.split(" USING ")[0] for step in steps] == ["SEARCH subject", "SEARCH event"], steps
