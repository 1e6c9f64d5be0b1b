"""One process writes the log: a second one stands by, says so, serves what is read, and takes over; the first is fenced off."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from proeftuin.reasons import Refused
from services.logging import sequencer as sequencing
from services.logging.leadership import Leadership
from tests.unit.services.logging.logbook import CLIENT, HOME, REGISTER, Logbook, event, refused

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread or in the database
            await asyncio.sleep(0.05)


def lead_of(app: object) -> Leadership:
    return app.state.service.checks["log"].__self__  # type: ignore[attr-defined, no-any-return] # a FastAPI application


async def test_who_stands_by_refuses_events_serves_reads_and_takes_over(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    second = logbook.another()
    async with logbook.running(logbook.app):
        sent = event(HOME, CLIENT)
        assert (await logbook.post(sent)).status_code == 201
        async with logbook.running(second):
            answer = await logbook.post(event())
            await refused(logbook, answer, 503, "standby")
            assert answer.headers["Retry-After"] == "1"
            assert answer.json()["resourceType"] == "OperationOutcome"
            order = {"order": "ECLI:NL:RBPT:2026:1", "index": [0]}
            headers = {"Content-Type": "application/json"}
            erased = await logbook.call("POST", "/retention/erase", party=REGISTER, headers=headers, json=order)
            assert (erased.status_code, erased.headers["X-Reason"]) == (503, "standby")
            assert (await logbook.get("?date=ge2020-01-01")).json()["entry"][0]["resource"]["id"] == sent["id"]
            assert (await logbook.checkpoint()).size == 1
            health = (await logbook.call("GET", "/health", party=HOME)).json()["components"]["log"]
            assert health == {"status": "up", "role": "standby"}
            await lead_of(logbook.app).stop()
            await until(lambda: lead_of(second).leading)
            assert (await logbook.post(sent)).status_code == 200
            assert (await logbook.post(event())).headers["Audit-Index"] == "1"
    assert logbook.report().fault is None


async def test_a_leader_whose_session_ends_writes_nothing_more_and_comes_back(tmp_path: Path, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("on SQLite the kernel keeps the lock as long as the process lives")
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await logbook.post(event())
        session = lead_of(logbook.app)._session  # type: ignore[attr-defined]
        pid = session.connection.driver_connection.info.backend_pid
        logbook.sql("SELECT pg_terminate_backend(:pid)", pid=pid)
        sent = event()
        answer = await logbook.post(sent)
        assert (answer.status_code, answer.headers["X-Reason"]) == (503, "standby")
        await until(lambda: lead_of(logbook.app).leading)
        assert (await logbook.post(sent)).headers["Audit-Index"] == "1"
    assert (logbook.report().fault, logbook.report().events) == (None, 2)


async def test_without_the_lead_no_other_session_appends(tmp_path: Path, database_url: str) -> None:
    """Even code that goes round the lead waits at the database for as long as another has it."""
    if database_url.startswith("sqlite"):
        pytest.skip("the lock of a session is PostgreSQL's")
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):

        def take(connection: sa.Connection) -> None:
            connection.execute(sa.text("SET LOCAL lock_timeout = '300ms'"))
            sequencing._lock(connection)

        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            logbook.database(take)


async def test_a_log_that_was_changed_is_not_taken_over(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        for _ in range(2):
            await logbook.post(event())
    second = logbook.another()
    logbook.sql("DELETE FROM event WHERE seq = 1")
    async with logbook.running(second):
        health = (await logbook.call("GET", "/health", party=HOME)).json()
        assert health["status"] == "down"
        assert "was changed outside the service" in health["components"]["log"]["detail"]
        assert (await logbook.post(event())).headers["X-Reason"] == "standby"


async def test_the_queue_is_bounded_in_bytes_and_told_in_the_metrics(logbook: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencing, "WAITING_BYTES", 3000)
    large = event(outcomeDesc="x" * 4000)
    answer = await logbook.post(large)
    assert (answer.status_code, answer.headers["X-Reason"], answer.headers["Retry-After"]) == (503, "overloaded", "1")
    monkeypatch.setattr(sequencing, "WAITING_BYTES", 1 << 20)
    assert (await logbook.post(large)).status_code == 201
    told = (await logbook.call("GET", "/metrics", party=HOME)).text
    for line in ("proeftuin_log_waiting 0.0", "proeftuin_log_waiting_bytes 0.0", "proeftuin_log_leading 1.0"):
        assert line in told.splitlines()


async def test_what_waits_is_counted_until_it_is_taken(logbook: Logbook) -> None:
    sequencer = lead_of(logbook.app)._begin.__self__  # type: ignore[attr-defined]
    deliveries = [sequencer.prepare(HOME, each["id"], each) for each in (event(), event())]
    waiting = asyncio.ensure_future(sequencer.append(deliveries))
    await asyncio.sleep(0)
    assert (sequencer.waiting, sequencer.waiting_bytes) == (2, sum(len(each.document) for each in deliveries))
    await waiting
    assert (sequencer.waiting, sequencer.waiting_bytes) == (0, 0)
    with pytest.raises(Refused, match="standby"):
        await Leadership(sequencer.database, sequencer.begin, lambda: None).write(sequencer.begin)
