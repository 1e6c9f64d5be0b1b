"""The auditor: a privacy officer sees the party's own events, the supervisor all with a legal basis; each question is logged."""

import base64
import json
import runpy
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from proeftuin.clock import instant
from proeftuin.identifiers import URA_SYSTEM, UZI_ROLE_SYSTEM, UZI_SYSTEM
from services.logging import store, uses
from services.logging.patterns import RULES
from tests.unit.services.logging.logbook import (
    CLIENT,
    FORM,
    HOME,
    HOSPITAL,
    OTHER,
    URA,
    Logbook,
    client_entity,
    event,
    ids,
    next_link,
    refused,
)

pytestmark = pytest.mark.anyio
SUPERVISOR = "igj"
SEARCH, PATTERNS, WATCHED = "/audit/AuditEvent/_search", "/audit/patterns", "/audit/watched"
OFFICER = {"officer": "FG 12"}
GROUND = {"legal_basis": "wkkgz-24", "case": "2026-0042"}
SINCE = {"date": "ge2026-01-01"}
NURSE, DOCTOR = "900010001", "900010002"
MIGRATIONS = Path(store.__file__).parent / "migrations"


def read_by(observer: str, nurse: str = NURSE, *clients: str, request: str = "", **over: Any) -> dict[str, Any]:
    """What an end logs of the hospital's nurse who reads at the nursing home."""
    agents: list[dict[str, Any]] = [
        {"who": {"identifier": {"system": URA_SYSTEM, "value": URA[party]}}, "requestor": False} for party in (HOSPITAL, HOME)
    ]
    role = [{"coding": [{"system": UZI_ROLE_SYSTEM, "code": "30.000"}]}]
    agents.append({"who": {"identifier": {"system": UZI_SYSTEM, "value": nurse}}, "role": role, "requestor": True})
    entities = [client_entity(bsn) for bsn in clients or (CLIENT,)]
    trace = [{"url": "http://koppeltaal.nl/fhir/StructureDefinition/trace-id", "valueId": "t" * 32}]
    if request:
        entities.append({"type": {"code": "XrequestId"}, "what": {"identifier": {"value": request}}})
    made = event(observer, agent=agents, entity=entities, extension=trace)
    made["purposeOfEvent"] = [{"coding": [{"code": "TREAT"}]}]
    return made | over


async def ask(logbook: Logbook, path: str, form: dict[str, str], party: str = HOME, scope: str = "log:audit") -> httpx.Response:
    return await logbook.call("POST", path, party=party, token=logbook.token(party, scope), headers=FORM, data=form)


async def own(logbook: Logbook, form: dict[str, str], path: str = SEARCH, party: str = HOME) -> httpx.Response:
    return await ask(logbook, path, OFFICER | form, party)


async def supervise(logbook: Logbook, form: dict[str, str], path: str = SEARCH) -> httpx.Response:
    return await ask(logbook, path, GROUND | form, SUPERVISOR, "log:supervise")


async def watch(logbook: Logbook, content: Any, party: str = HOSPITAL, scope: str = "log:audit") -> httpx.Response:
    return await logbook.call("POST", WATCHED, party=party, token=logbook.token(party, scope), json=content)


def bsns(number: int) -> list[str]:
    """So many fictitious BSNs that pass the 11-proef."""
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    candidates = (f"{each}" for each in range(999940000, 999990000))
    passing = (each for each in candidates if sum(w * int(d) for w, d in zip(weights, each, strict=True)) % 11 == 0)
    return [next(passing) for _ in range(number)]


async def test_an_officer_sees_the_own_events_and_the_supervisor_all(logbook: Logbook) -> None:
    await logbook.post(event(HOME, CLIENT, id="home"))
    await logbook.post(event(HOSPITAL, CLIENT, id="hospital"), HOSPITAL)
    await logbook.post(event(HOME, id="pretended"), HOSPITAL)  # the hospital says that the home observed it
    assert ids(await own(logbook, SINCE)) == ["home"]
    assert ids(await own(logbook, SINCE, party=HOSPITAL)) == ["hospital"]
    assert ids(await own(logbook, SINCE | {"source.identifier": f"{URA_SYSTEM}|{URA[HOSPITAL]}"})) == []
    assert ids(await supervise(logbook, SINCE)) == ["pretended", "hospital", "home"]


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ({"party": "ura:90000101"}, "cba"), ({"party": f"{URA_SYSTEM}|90000101"}, "cba"), ({"party": "ura:90000103"}, ""),
        ({"agent.identifier": DOCTOR}, "b"), ({"patient.identifier": OTHER}, "b"), ({"purpose": "TREAT"}, "ba"),
        ({"denied": "true"}, "b"), ({"emergency": "true"}, "c"), ({"emergency": "true", "denied": "true"}, ""),
        ({"date": "lt2026-02-01"}, ""), ({"denied": "true", "agent.identifier": NURSE}, ""),
    ],
)  # fmt: skip
async def test_each_parameter_narrows_and_they_combine(logbook: Logbook, form: dict[str, str], found: str) -> None:
    await logbook.post(read_by(HOME, id="a"))
    await logbook.post(read_by(HOME, DOCTOR, OTHER, id="b", outcome="8"))
    await logbook.post(read_by(HOME, id="c", purposeOfEvent=[{"coding": [{"code": "ETREAT"}]}]))
    assert "".join(ids(await supervise(logbook, SINCE | form))) == found


async def test_each_question_is_logged_with_what_was_asked_and_on_which_ground(logbook: Logbook) -> None:
    for path in (SEARCH, PATTERNS):
        await supervise(logbook, (SINCE | {"patient.identifier": CLIENT}) if path == SEARCH else {"from": "2026-11-20"}, path)
        (logged,) = await logbook.logged()
        assert (logged["type"]["code"], logged["outcome"]) == ("110101", "0")
        details = {detail["type"]: detail["valueString"] for e in logged["entity"] for detail in e.get("detail", [])}
        assert details == GROUND
        (query,) = [base64.b64decode(e["query"]).decode() for e in logged["entity"] if "query" in e]
        assert query.startswith(path)
        assert "wkkgz-24" in query
        assert (CLIENT in json.dumps([e["what"] for e in logged["entity"] if "what" in e])) == (path == SEARCH)


@pytest.mark.parametrize("path", [SEARCH, PATTERNS])
async def test_no_ground_no_answer(logbook: Logbook, path: str) -> None:
    asked = SINCE if path == SEARCH else {}
    no_ground: list[dict[str, str]] = [
        {}, {"legal_basis": "wkkgz-24"}, {"case": "1"}, {"legal_basis": "curiosity", "case": "1"}, OFFICER,
    ]  # fmt: skip
    for ground in no_ground:
        await refused(logbook, await ask(logbook, path, asked | ground, SUPERVISOR, "log:supervise"), 403, "legal_basis")
    await refused(logbook, await ask(logbook, path, asked), 400, "invalid_request")
    for officer in (CLIENT, "", "x" * 65, "a\nb"):
        await refused(logbook, await ask(logbook, path, asked | {"officer": officer}), 400, "parameter_invalid")


@pytest.mark.parametrize("path", [SEARCH, PATTERNS, WATCHED])
async def test_only_who_may_audit_is_admitted(logbook: Logbook, path: str) -> None:
    async def attempt(status: int, reason: str, scope: str | None, party: str = HOME) -> None:
        token = logbook.token(party, scope) if scope else None
        answer = await logbook.call("POST", path, party=party, token=token, headers=FORM, data=GROUND | OFFICER | SINCE)
        await refused(logbook, answer, status, reason)

    await attempt(401, "token_missing", None)
    for scope in ("system/AuditEvent.rs", "patient/AuditEvent.rs"):
        await attempt(403, "insufficient_scope", scope)
    if path == WATCHED:
        await attempt(403, "insufficient_scope", "log:supervise", SUPERVISOR)
    else:
        await attempt(403, "party_mismatch", "log:supervise", HOSPITAL)  # whatever its token says, it is no supervisor


@pytest.mark.parametrize(
    ("path", "form", "reason"),
    [
        (SEARCH, {}, "parameter_invalid"), (SEARCH, SINCE | {"denied": "no"}, "parameter_invalid"),
        (SEARCH, SINCE | {"party": "nobody"}, "parameter_invalid"), (SEARCH, SINCE | {"x": "y"}, "parameter_unknown"),
        (SEARCH, SINCE | {"denied": "true", "outcome": "0"}, "parameter_invalid"),
        (f"{SEARCH}?date=ge2026", SINCE, "parameter_invalid"), (f"{SEARCH}?_cursor={CLIENT}", SINCE, "parameter_invalid"),
        (PATTERNS, {"from": "x"}, "parameter_invalid"), (PATTERNS, {"from": "2026-01-01", "to": "2026-03-01"}, "parameter_invalid"),
        (PATTERNS, {"from": "2026-01-02", "to": "2026-01-01"}, "parameter_invalid"),
        (PATTERNS, {"from": "0001"}, "parameter_invalid"),
        (PATTERNS, {"pattern": "many-clients,x"}, "parameter_invalid"), (PATTERNS, {"agent": "x"}, "parameter_unknown"),
        (PATTERNS, {"party": "nobody"}, "parameter_invalid"), (PATTERNS, {"from": "9999-12-31"}, "parameter_invalid"),
    ],
)  # fmt: skip
async def test_what_cannot_be_answered_is_refused(logbook: Logbook, path: str, form: dict[str, str], reason: str) -> None:
    await refused(logbook, await supervise(logbook, form, path), 400, reason)


async def test_pages_stay_as_they_are_and_no_link_has_a_bsn(logbook: Logbook) -> None:
    for number in range(5):
        await logbook.post(event(HOME, CLIENT, id=f"old-{number}"))
    form = SINCE | {"patient.identifier": CLIENT, "_count": "2"}
    found, place = [], SEARCH
    while place:
        page = await supervise(logbook, form, place)
        assert CLIENT not in json.dumps(page.json()["link"])
        found += ids(page)
        await logbook.post(event(HOME, CLIENT))
        place = next_link(page) or ""
    assert found == [f"old-{number}" for number in reversed(range(5))]


async def test_the_list_of_the_watched_holds_tokens_and_replaces_itself(logbook: Logbook) -> None:
    answer = await watch(logbook, {"staff": [CLIENT], "vip": [OTHER, CLIENT]})
    assert (answer.status_code, answer.json()) == (200, {"staff": 1, "vip": 2})
    (logged,) = await logbook.logged()
    assert logged["subtype"][0]["code"] == "110129"
    assert CLIENT not in json.dumps(logged)
    rows = logbook.database(lambda connection: [tuple(row) for row in connection.execute(sa.select(store.watched))])
    assert len(rows) == 3
    assert CLIENT not in str(rows)
    await watch(logbook, {"vip": []})
    assert logbook.database(lambda connection: connection.execute(sa.select(store.watched)).all()) == []


@pytest.mark.parametrize(
    "content", [{"vip": CLIENT}, {"vip": ["123456789"]}, {"vip": [999910000]}, {"friends": []}, {"vip": [CLIENT] * 10_001}]
)
async def test_a_list_that_cannot_be_kept_is_refused(logbook: Logbook, content: Any) -> None:
    await refused(logbook, await watch(logbook, content), 400, "invalid_request")


async def test_patterns_are_found_through_the_door_on_both_databases(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        now = logbook.clock.now()
        many = bsns(RULES["many-clients"]["clients"])
        entries = []
        for number, bsn in enumerate(many):
            recorded = instant(now - timedelta(minutes=90, seconds=-number))
            entries.append({"resource": read_by(HOME, NURSE, bsn, request=f"r{number}", recorded=recorded)})
        await logbook.batch(*entries)
        mirrored = [{"resource": read_by(HOSPITAL, NURSE, many[0], request="r0", recorded=instant(now - timedelta(minutes=90)))}]
        await logbook.batch(*mirrored, party=HOSPITAL)
        await watch(logbook, {"vip": [many[0]]})
        answer = await supervise(logbook, {}, PATTERNS)
        assert answer.status_code == 200, answer.text
        found = {each["pattern"]: each for each in answer.json()["findings"]}
        assert found.keys() == {"many-clients", "watched"}
        assert answer.json()["looked_at"] == len(many)  # both ends of r0 are one use
        browsing = found["many-clients"]
        assert (browsing["agent"], browsing["organization"]) == (NURSE, f"{URA_SYSTEM}|{URA[HOSPITAL]}")
        assert (browsing["count"], browsing["clients"], len(browsing["events"])) == (len(many), len(many), len(many) + 1)
        assert browsing["innocent"] == RULES["many-clients"]["innocent"]
        assert [each["index"] for each in found["watched"]["events"]] == [0, len(many)]
        assert not any(bsn in answer.text for bsn in many)
        of_home = {each["pattern"] for each in (await own(logbook, {}, PATTERNS)).json()["findings"]}
        assert of_home == {"many-clients"}  # the hospital's list is not the home's to see
        of_hospital = {each["pattern"] for each in (await own(logbook, {}, PATTERNS, HOSPITAL)).json()["findings"]}
        assert of_hospital == {"watched"}
        assert (await supervise(logbook, {"party": "ura:90000103"}, PATTERNS)).json()["findings"] == []
        only = await supervise(logbook, {"pattern": "watched", "party": HOSPITAL}, PATTERNS)
        assert list(only.json()["rules"]) == ["watched"]


async def test_what_one_end_says_twice_under_one_number_is_not_hidden(logbook: Logbook) -> None:
    """The caller chooses the number of a request: refusals under one number are as many refusals."""
    moment = logbook.clock.now() - timedelta(minutes=5)
    for number in range(RULES["denied-then-given"]["denials"]):
        await logbook.post(read_by(HOME, request="same", outcome="8", recorded=instant(moment + timedelta(seconds=number))))
    await logbook.post(read_by(HOME, request="same", recorded=instant(moment + timedelta(seconds=30))))
    (found,) = (await own(logbook, {}, PATTERNS)).json()["findings"]
    assert (found["pattern"], found["count"]) == ("denied-then-given", RULES["denied-then-given"]["denials"])


async def test_systems_clients_and_bringing_in_are_no_use(logbook: Logbook) -> None:
    await watch(logbook, {"vip": [CLIENT]}, HOME)
    recorded = instant(logbook.clock.now() - timedelta(minutes=1))
    system = {"who": {"identifier": {"system": URA_SYSTEM, "value": URA[HOME]}}, "requestor": True}
    client = {"who": client_entity(CLIENT)["what"], "requestor": True}
    organization = {"who": {"identifier": {"system": URA_SYSTEM, "value": URA[HOME]}}, "requestor": False}
    for agents in ([system], [client, organization]):
        await logbook.post(event(HOME, CLIENT, recorded=recorded, agent=agents))
    for code in ("create", "AuthZ-Consent"):
        await logbook.post(read_by(HOME, recorded=recorded, subtype=[{"code": code}]))
    assert (await own(logbook, {}, PATTERNS)).json()["looked_at"] == 0


async def test_too_many_events_are_refused_and_none_is_left_out(logbook: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "MOST", 2)
    recorded = instant(logbook.clock.now() - timedelta(minutes=1))
    for _ in range(2):
        await logbook.post(read_by(HOME, recorded=recorded))
    assert (await own(logbook, {}, PATTERNS)).status_code == 200
    await logbook.post(read_by(HOME, recorded=recorded))
    await logbook.logged()
    await refused(logbook, await own(logbook, {}, PATTERNS), 400, "parameter_invalid")


async def test_a_log_of_before_gets_the_columns_filled(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await logbook.post(read_by(HOME, request="r1"))

    def again(connection: sa.Connection) -> None:
        """Take away what revision 0005 adds, and run it."""
        for what in ("TABLE watched", "INDEX ix_event_observer_recorded", "INDEX ix_event_organization_recorded"):
            connection.exec_driver_sql(f"DROP {what}")
        for column in ("role", "request_id"):
            connection.exec_driver_sql(f"ALTER TABLE event DROP COLUMN {column}")
        connection.exec_driver_sql("CREATE INDEX ix_event_observer ON event (observer)")
        with Operations.context(MigrationContext.configure(connection)):
            runpy.run_path(str(MIGRATIONS / "versions" / "0005_audit.py"))["upgrade"]()

    logbook.database(again)
    indexes = {each["name"] for each in logbook.database(lambda connection: sa.inspect(connection).get_indexes("event"))}
    assert indexes >= {"ix_event_observer_recorded", "ix_event_organization_recorded"}
    assert "ix_event_observer" not in indexes
    rows = logbook.database(lambda connection: connection.execute(sa.select(store.events.c.role, store.events.c.request_id)).all())
    assert [tuple(row) for row in rows] == [("30.000", "r1")]
    assert logbook.report((logbook.secrets / "index.key").read_bytes()).ok


async def test_uses_are_found_by_an_index(tmp_path: Path, database_url: str) -> None:
    """However large the log: no question reads it from end to end."""
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        moment = logbook.clock.now()
        for start in range(0, 3000, 500):
            entries = [
                {"resource": read_by(HOME, recorded=instant(moment - timedelta(hours=start + number)))} for number in range(500)
            ]
            await logbook.batch(*entries)
    within = uses.Within(moment - timedelta(days=1), moment, observer=f"{URA_SYSTEM}|{URA[HOME]}")

    def plan(connection: sa.Connection) -> str:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE event")
            connection.exec_driver_sql("ANALYZE subject")
        text = uses.statement(within).compile(connection, compile_kwargs={"literal_binds": True})
        prefix = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        return " ".join(str(row) for row in connection.exec_driver_sql(f"{prefix} {text}".replace("%", "%%")))

    told = logbook.database(plan)
    if "SEARCH" in told:  # SQLite
        assert "SEARCH event USING INDEX ix_event_observer_recorded (observer=? AND recorded>? AND recorded<?)" in told
        assert "SEARCH subject USING" in told
    assert "Seq Scan on event" not in told
    assert "SCAN" not in told.replace("Scan", "")
