"""The log on PostgreSQL by month: nothing is lost in the conversion, and what holds for one month holds across them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from proeftuin.storage.migrations import upgrade
from services.logging import partitions, store
from services.logging.sequencer import Sequencer
from tests.harness import MovableClock
from tests.unit.services.logging.logbook import HOME
from tests.unit.services.logging.test_sequencer import MIGRATIONS, check, deliveries, sequencer_on

pytestmark = pytest.mark.anyio


@pytest.fixture
def postgres(database_url: str) -> str:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no partitions")
    return database_url


@pytest.fixture
async def sequencer(postgres: str) -> AsyncIterator[Sequencer]:
    made = sequencer_on(postgres)
    made.clock = MovableClock()
    yield made
    await made.database.close()


def at(sequencer: Sequencer, *moment: int) -> None:
    sequencer.clock.moment = datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, attr-defined, misc] # it is a MovableClock


def names(sequencer: Sequencer, table: str) -> list[str]:
    statement = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table) ORDER BY 1")
    with sequencer.database.engine.connect() as connection:
        return list(connection.scalars(statement, {"table": table}))


async def test_each_month_gets_its_partitions_also_when_the_clock_jumps(sequencer: Sequencer, postgres: str) -> None:
    for moment in ((2026, 11, 30, 23, 59), (2026, 12, 1), (2027, 1, 1), (2031, 6, 30), (2026, 11, 2), (2024, 2, 29)):
        at(sequencer, *moment)
        await sequencer.append(deliveries(sequencer, 3))
    months = ["2024_02", "2026_11", "2026_12", "2027_01", "2031_06"]
    assert names(sequencer, "event") == [f"event_{month}" for month in months]
    assert names(sequencer, "subject") == [f"subject_{month}" for month in months]
    check(postgres, 18)


async def test_a_repeat_in_another_month_is_the_same_event(sequencer: Sequencer, postgres: str) -> None:
    sent = deliveries(sequencer, 20)
    at(sequencer, 2026, 11, 30)
    first = await sequencer.append(sent)
    at(sequencer, 2027, 3, 1)
    again = await sequencer.append([*deliveries(sequencer, 1), *sent])
    assert [each.index for each in again] == [20, *(each.index for each in first)]
    assert [each.repeated for each in again] == [False] + 20 * [True]
    check(postgres, 21)


@pytest.mark.parametrize(
    "insert",
    [
        "INSERT INTO delivery VALUES (0, 'x', 'y', '2026-01')",
        "INSERT INTO delivery SELECT 99, source, event_id, received FROM delivery",
    ],
)
async def test_the_database_itself_holds_no_place_and_no_delivery_twice(sequencer: Sequencer, insert: str) -> None:
    await sequencer.append(deliveries(sequencer, 1))
    with pytest.raises(sa.exc.IntegrityError), sequencer.database.engine.begin() as connection:
        connection.exec_driver_sql(insert)


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM delivery WHERE seq = 3", "UPDATE delivery SET event_id = 'x' WHERE seq = 3",
     "UPDATE delivery SET received = '2020-01-01T00:00:00.000Z' WHERE seq = 3"],
)  # fmt: skip
async def test_a_changed_table_of_deliveries_is_found(sequencer: Sequencer, postgres: str, change: str) -> None:
    await sequencer.append(deliveries(sequencer, 5))
    with sequencer.database.engine.begin() as connection:
        connection.exec_driver_sql(change)
    with pytest.raises(AssertionError, match="event 3 is not among the deliveries"):
        check(postgres, 5)


async def test_a_partition_made_in_a_write_that_fails_is_made_again(
    sequencer: Sequencer, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(sequencer, 2026, 11, 30)
    await sequencer.append(deliveries(sequencer, 1))
    at(sequencer, 2026, 12, 1)
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_checkpoint", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await sequencer.append(deliveries(sequencer, 2))
    assert names(sequencer, "event") == ["event_2026_11"]
    await sequencer.append(deliveries(sequencer, 2))
    check(postgres, 3)


async def test_a_reader_who_takes_long_does_not_hold_up_a_new_month(sequencer: Sequencer, postgres: str) -> None:
    at(sequencer, 2026, 11, 30)
    await sequencer.append(deliveries(sequencer, 1))
    with sequencer.database.engine.connect() as reading:
        reading.execute(sa.select(store.events.c.seq)).all()
        at(sequencer, 2026, 12, 1)
        await asyncio.wait_for(sequencer.append(deliveries(sequencer, 1)), 20)
    check(postgres, 2)


async def test_a_filled_log_is_converted_without_losing_an_event(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log as the revision before partitions left it: filled, then brought to the newest."""
    with monkeypatch.context() as patched:
        patched.setattr(partitions, "convert", lambda _connection: None)
        patched.setattr(partitions, "ensure_month", lambda *_: None)
        made = sequencer_on(postgres)
        with made.database.engine.begin() as connection:
            partitions.metadata.create_all(connection)  # only the code of today asks for it
        made.clock = MovableClock()
        for month in (10, 11, 12):
            at(made, 2026, month, 15)
            await made.append(deliveries(made, 100, f"party-{month % 2}"))
        (sent,) = deliveries(made, 1)
        await made.append([sent])
    with made.database.engine.begin() as connection:
        before = {name: connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY seq")).all() for name in ("event", "subject")}
        indexes = {each["name"] for each in sa.inspect(connection).get_indexes("event")}
        partitions.metadata.drop_all(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0010'")
    upgrade(made.database.engine, MIGRATIONS)
    with made.database.engine.begin() as connection:
        for name, rows in before.items():
            assert connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY seq")).all() == rows
        kept = {each["name"] for each in sa.inspect(connection).get_indexes("event")}
    assert len(before["event"]) == len(before["subject"]) == 301
    assert kept >= {name for name in indexes if name and name.startswith("ix_")}
    assert names(made, "event") == ["event_2026_10", "event_2026_11", "event_2026_12"]
    check(postgres, 301)
    (again,) = await made.append([sent])
    assert (again.index, again.repeated) == (300, True)
    await made.append(deliveries(made, 30, HOME))
    check(postgres, 331)
    token = before["subject"][0].patient_token
    with made.database.engine.connect() as connection:
        assert len(store.search(connection, store.Query({}, token, count=500))[0]) == 331
    await made.database.close()
