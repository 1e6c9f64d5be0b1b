"""ITI-81: each organisation finds its own events and no other's, page after page, and asking is logged."""

import base64
import json

import pytest

from proeftuin.identifiers import AGB_SYSTEM, BSN_SYSTEM, UZI_SYSTEM
from tests.unit.services.logging.logbook import (
    CLIENT,
    FORM,
    HOME,
    HOSPITAL,
    OTHER,
    READ,
    URA,
    UZI,
    Logbook,
    event,
    ids,
    next_link,
    refused,
)  # fmt: skip

pytestmark = pytest.mark.anyio
SINCE = "?date=ge2026-01-01"
BY_BSN = {"who": {"identifier": {"system": BSN_SYSTEM, "value": CLIENT}}, "requestor": True}


async def test_a_party_finds_its_own_events_newest_first(logbook: Logbook) -> None:
    for number in range(3):
        await logbook.post(event(id=f"home-{number}"))
    await logbook.post(event(HOSPITAL, id="hospital-1"), HOSPITAL)
    assert ids(await logbook.get(SINCE)) == ["home-2", "home-1", "home-0"]
    assert ids(await logbook.get(SINCE, HOSPITAL)) == ["hospital-1"]


async def test_what_another_delivers_in_my_name_is_not_mine(logbook: Logbook) -> None:
    await logbook.post(event(HOME, id="forged"), HOSPITAL)
    assert ids(await logbook.get(SINCE)) == []
    assert ids(await logbook.get(SINCE, HOSPITAL)) == []
    await logbook.logged()
    await refused(logbook, await logbook.get("/forged"), 404, "not_found")


async def test_the_same_number_in_another_system_is_not_me(logbook: Logbook) -> None:
    observer = {"observer": {"identifier": {"system": AGB_SYSTEM, "value": URA[HOME]}}}
    await logbook.post(event(source=observer))
    assert ids(await logbook.get(SINCE)) == []


async def test_an_event_is_read_under_the_id_of_its_location(logbook: Logbook) -> None:
    sent = event(id=None)
    stored = await logbook.post(sent, headers={"Idempotency-Key": "span-1"})
    place = stored.headers["Location"].rpartition("/")[2]
    answer = await logbook.get(f"/{place}")
    assert answer.json() == sent | {"id": place} == stored.json()
    (logged,) = await logbook.logged()
    assert logged["type"]["code"] == "110101"
    assert f"AuditEvent/{place}" in json.dumps(logged["entity"])
    found = await logbook.get(f"{SINCE}&_id={place}")
    assert found.json()["entry"][0]["fullUrl"] == stored.headers["Location"]
    await logbook.logged()
    await refused(logbook, await logbook.get(f"/{place}", HOSPITAL), 404, "not_found")
    await refused(logbook, await logbook.get("/unknown"), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=rest", "ab"), ("type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest", "ab"), ("type=110100", "c"),
        ("subtype=read,search-type", "ac"), ("subtype=update", "b"), ("action=U", "b"), ("outcome=8", "b"), ("outcome=0,8", "abc"),
        (f"agent.identifier={UZI_SYSTEM}|{UZI}", "ac"), ("_id=b", "b"), ("_id=b&outcome=0", ""), ("trace=f00d", "c"),
        ("date=2026-03-02", "b"), ("date=gt2026-03-01&date=le2026-03-02", "b"), ("date=lt2026-03-02", "a"),
        ("date=ge2026-03-02&date=ge2026-03-03&date=le2026-03-09", "c"), ("date=le2026-03-01&date=le2026-03-09", "a"),
        ("date=ge2026-03-01T11:00:00%2B01:00&date=lt2026-03-02T00:00:00Z", "a"), ("date=ge2027", ""),
    ],
)  # fmt: skip
async def test_search_parameters(logbook: Logbook, query: str, found: str) -> None:
    trace = [{"url": "http://koppeltaal.nl/fhir/StructureDefinition/trace-id", "valueId": "f00d"}]
    await logbook.post(event(id="a"))
    await logbook.post(event(
        id="b", recorded="2026-03-02T10:00:00Z", subtype=[{"code": "update"}], action="U", outcome="8",
        agent=[{"requestor": False, "who": {"identifier": {"value": UZI}}}, {"requestor": True, "who": {"display": "x"}}],
    ))  # fmt: skip
    await logbook.post(event(
        id="c", recorded="2026-03-03T10:00:00Z", type={"code": "110100"}, subtype=[{"code": "search-type"}], extension=trace,
    ))  # fmt: skip
    text = query if "date=" in query else f"date=ge2026-01-01&{query}"
    assert ids(await logbook.get(f"?{text}")) == list(reversed(found))
    form = dict(pair.split("=", 1) for pair in text.replace("%2B", "+").split("&"))
    if text.count("date=") == 1:
        assert ids(await logbook.ask(form)) == list(reversed(found))


async def test_a_client_is_searched_by_form_and_the_search_is_logged_on_the_client(logbook: Logbook) -> None:
    await logbook.post(event(HOME, CLIENT, id="one"))
    await logbook.post(event(HOME, OTHER, id="another"))
    await logbook.post(event(HOME, OTHER, CLIENT, id="both"))
    await logbook.post(event(HOSPITAL, CLIENT), HOSPITAL)
    for name in ("patient.identifier", "entity.identifier"):
        for value in (CLIENT, f"{BSN_SYSTEM}|{CLIENT}"):
            assert ids(await logbook.ask({"date": "ge2026-01-01", name: value})) == ["both", "one"]
            (logged,) = await logbook.logged()
            assert logged["type"]["code"] == "110101"
            patients = [each["what"] for each in logged["entity"] if each.get("what", {}).get("type") == "Patient"]
            assert [each["identifier"]["value"] for each in patients] == [CLIENT]
            (query,) = [base64.b64decode(e["query"]).decode() for e in logged["entity"] if "query" in e]
            assert query.startswith("AuditEvent/_search?date=ge2026-01-01&")


async def test_a_client_who_was_the_user_is_found_without_the_number_in_the_index(logbook: Logbook) -> None:
    await logbook.post(event(id="own", agent=[BY_BSN]))
    for value in (CLIENT, f"{BSN_SYSTEM}|{CLIENT}"):
        assert ids(await logbook.ask({"date": "ge2026", "agent.identifier": value})) == ["own"]
    columns = "SELECT event_id, source, observer, agent, type, subtype, trace_id FROM event"
    rows = logbook.database(lambda connection: [tuple(row) for row in connection.exec_driver_sql(columns)])
    assert CLIENT not in str(rows)


async def test_pages_stay_as_they_are_while_events_arrive(logbook: Logbook) -> None:
    for number in range(7):
        await logbook.post(event(id=f"old-{number}"))
    first = await logbook.get(f"{SINCE}&_count=3")
    found, place = ids(first), next_link(first)
    while place:
        await logbook.post(event(), HOME)  # arrives while the caller reads
        page = await logbook.call("GET", place, party=HOME, token=logbook.token(HOME, READ))
        found += ids(page)
        place = next_link(page)
    assert found == [f"old-{number}" for number in reversed(range(7))]


async def test_pages_of_a_client_are_had_by_the_same_form_and_no_link_has_the_number(logbook: Logbook) -> None:
    for number in range(5):
        await logbook.post(event(HOME, CLIENT, id=f"old-{number}", agent=[BY_BSN]))
    for name in ("patient.identifier", "agent.identifier"):
        form = {"date": "ge2026-01-01", name: CLIENT, "_count": "2"}
        found, place = [], "/fhir/AuditEvent/_search"
        while place:
            page = await logbook.ask(form, place=place)
            assert CLIENT not in json.dumps(page.json()["link"])
            found += ids(page)
            place = next_link(page) or ""
        assert found == [f"old-{number}" for number in reversed(range(5))]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "parameter_invalid"), ("?type=rest", "parameter_invalid"), ("?date=yesterday", "parameter_invalid"),
        ("?date=ne2026", "parameter_invalid"), (f"{SINCE}&observer=x", "parameter_unknown"),
        (f"{SINCE}&_sort=x", "parameter_unknown"),
        (f"{SINCE}&_count=many", "parameter_invalid"), (f"{SINCE}&_count=%C2%B2", "parameter_invalid"),
        (f"{SINCE}&_cursor=x", "parameter_invalid"), (f"{SINCE}&_cursor=YWJj", "parameter_invalid"),
        (f"{SINCE}&outcome=0&outcome=8", "parameter_invalid"), (f"{SINCE}&entity.identifier=abc", "parameter_invalid"),
        (f"{SINCE}&patient.identifier={CLIENT}", "identifier_in_url"), (f"{SINCE}&type={BSN_SYSTEM}|1", "identifier_in_url"),
        (f"{SINCE}&agent.identifier={CLIENT}", "identifier_in_url"),
    ],
)  # fmt: skip
async def test_a_search_that_cannot_be_done_is_refused(logbook: Logbook, query: str, reason: str) -> None:
    logged = await refused(logbook, await logbook.get(query), 400, reason)
    assert CLIENT not in json.dumps(logged)


async def test_a_form_that_cannot_be_searched_by_is_refused(logbook: Logbook) -> None:
    since = {"date": "ge2026"}
    place = f"/fhir/AuditEvent/_search?patient.identifier={CLIENT}"
    await refused(logbook, await logbook.ask(since, place=place), 400, "identifier_in_url")
    await refused(logbook, await logbook.ask(since | {"patient.identifier": "123"}), 400, "parameter_invalid")
    both = since | {"patient.identifier": CLIENT, "entity.identifier": OTHER}
    await refused(logbook, await logbook.ask(both), 400, "parameter_invalid")
    token = logbook.token(HOME, READ)
    answer = await logbook.call("POST", "/fhir/AuditEvent/_search", party=HOME, token=token, json=since)
    await refused(logbook, answer, 415, "content_type")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"/fhir/AuditEvent{SINCE}"), ("POST", "/fhir/AuditEvent/_search"), ("GET", "/fhir/AuditEvent/1")]
)
async def test_only_a_party_with_the_scope_reads(logbook: Logbook, method: str, path: str) -> None:
    async def attempt(status: int, reason: str, token: str | None, party: str | None = HOME) -> None:
        answer = await logbook.call(method, path, party=party, token=token, headers=FORM)
        logged = await refused(logbook, answer, status, reason)
        assert logged["type"]["code"] == "110101"

    await attempt(401, "certificate_invalid", None, None)
    await attempt(401, "token_missing", None)
    await attempt(403, "insufficient_scope", logbook.token(HOME, "system/AuditEvent.c"))
    await attempt(401, "token_binding", logbook.token(HOME, READ), HOSPITAL)
