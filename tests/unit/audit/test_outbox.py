"""The courier: what the log does not take stays, and holds nobody else up."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from proeftuin.audit import outbox
from proeftuin.storage.database import Database

pytestmark = pytest.mark.anyio
REAL_SLEEP = asyncio.sleep
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Database:
    made = Database(database_url)
    outbox.metadata.create_all(made.engine)
    return made


async def test_events_that_the_log_refuses_do_not_hold_up_the_others(database: Database) -> None:
    events = [{"id": f"{'bad' if number < outbox.BATCH else 'good'}-{number}"} for number in range(outbox.BATCH + 10)]
    taken: list[str] = []

    async def deliver(batch: list[dict[str, Any]]) -> set[str]:
        good = {event["id"] for event in batch if event["id"].startswith("good")}
        taken.extend(good)
        return good

    await database.write(outbox.store, events, NOW)
    courier = outbox.Courier(database, deliver)
    assert await courier._round()
    assert await courier._round()
    with pytest.raises(RuntimeError, match="does not take"):  # the courier says so, waits and begins anew
        await courier._round()
    assert len(taken) == 10
    assert await database.read(outbox.undelivered) == outbox.BATCH
    assert await courier._round()
    assert len(taken) == 10


async def test_the_courier_waits_as_long_as_the_log_asks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, slept = [3.0, 0.0, 600.0, None], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def deliver(batch: list[dict[str, Any]]) -> set[str]:
        seconds = asked.pop(0)
        if seconds is None:
            return {event["id"] for event in batch}
        raise outbox.LaterError("503", seconds)

    await database.write(outbox.store, [{"id": "1"}], NOW)
    courier = outbox.Courier(database, deliver)
    monkeypatch.setattr("proeftuin.audit.outbox.asyncio.sleep", sleep)
    courier.start()
    while await database.read(outbox.undelivered):
        await REAL_SLEEP(0.001)
    assert [each for each in slept if each != outbox.GATHER] == [3.0, 0.2, 10.0]
    await courier.stop()


async def test_what_no_utf_8_can_hold_is_stored_all_the_same(database: Database) -> None:
    await database.write(outbox.store, [{"id": "1", "outcomeDesc": "\ud800 and \x00"}], NOW)
    ((_, event),) = await database.read(outbox.oldest, 1)
    assert event["outcomeDesc"] == "? and \x00"
