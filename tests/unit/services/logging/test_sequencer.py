"""The sequencer on both databases: gapless under concurrency, one tree over restarts and processes, all or nothing."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proeftuin.clock import SystemClock
from proeftuin.storage.database import Database
from proeftuin.storage.migrations import upgrade
from proeftuin.transparency.checkpoint import verifier_line
from proeftuin.transparency.tiles import Tree
from services.logging import store
from services.logging.sequencer import Delivery, LogDamagedError, Sequencer
from services.logging.verify import verify
from tests.unit.services.logging.logbook import CLIENT, HOME, Logbook, event

pytestmark = pytest.mark.anyio
MIGRATIONS = Path("services/logging/migrations").absolute()
KEY, INDEX_KEY, ORIGIN = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32), b"\x02" * 32, "log.example/log"


def sequencer_on(url: str) -> Sequencer:
    sequencer = Sequencer(Database(url), SystemClock(), ORIGIN, KEY, INDEX_KEY)
    upgrade(sequencer.database.engine, MIGRATIONS)
    with sequencer.database.engine.begin() as connection:
        sequencer.begin(connection)
    return sequencer


def deliveries(sequencer: Sequencer, count: int, source: str = HOME) -> list[Delivery]:
    made = [event(HOME, CLIENT) for _ in range(count)]
    return [sequencer.prepare(source, each["id"], each) for each in made]


def check(url: str, events: int) -> None:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        report = verify(connection, verifier_line(ORIGIN, KEY.public_key()), INDEX_KEY)
        places = [row.seq for row in connection.execute(sa.select(store.events.c.seq).order_by(store.events.c.seq))]
    engine.dispose()
    assert (report.fault, report.events) == (None, events)
    assert places == list(range(events))


@pytest.fixture
async def sequencer(database_url: str) -> AsyncIterator[Sequencer]:
    made = sequencer_on(database_url)
    yield made
    await made.database.close()


async def test_concurrent_senders_get_places_without_gaps(sequencer: Sequencer, database_url: str) -> None:
    batches = [deliveries(sequencer, 1 + number % 7, f"party-{number}") for number in range(40)]
    answers = await asyncio.gather(*(sequencer.append(batch) for batch in batches))
    places = [appended.index for answer in answers for appended in answer]
    assert sorted(places) == list(range(sum(map(len, batches))))
    again = await asyncio.gather(*(sequencer.append(batch) for batch in batches))
    assert [appended.index for answer in again for appended in answer] == places
    assert all(appended.repeated and not appended.conflicting for answer in again for appended in answer)
    check(database_url, len(places))


async def test_the_same_event_in_one_batch_is_stored_once(sequencer: Sequencer, database_url: str) -> None:
    (sent,) = deliveries(sequencer, 1)
    first, second = await sequencer.append([sent, sent])
    assert (first.index, first.repeated, second.index, second.repeated) == (0, False, 0, True)
    check(database_url, 1)


async def test_what_arrives_in_one_turn_shares_a_checkpoint(sequencer: Sequencer) -> None:
    await asyncio.gather(*(sequencer.append(deliveries(sequencer, 1)) for _ in range(20)))
    sizes = await sequencer.database.read(lambda connection: [row.size for row in connection.execute(store.checkpoints.select())])
    assert sorted(sizes) == [0, 20]


async def test_a_write_that_fails_leaves_nothing_and_the_next_succeeds(
    sequencer: Sequencer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sequencer.append(deliveries(sequencer, 3))

    def broken(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "put_tile", broken)
        waiting = deliveries(sequencer, 2)
        with pytest.raises(OSError, match="disk full"):
            await sequencer.append(waiting)
    assert [appended.index for appended in await sequencer.append(waiting)] == [3, 4]
    check(database_url, 5)


async def test_a_restart_continues_the_same_tree(sequencer: Sequencer, database_url: str) -> None:
    for _ in range(2):
        await sequencer.append(deliveries(sequencer, 255))
    for count in (1, 1, 3):
        second = sequencer_on(database_url)
        await second.append(deliveries(second, count))
        await second.database.close()
    check(database_url, 515)


def _append_elsewhere(url: str, source: str, rounds: int) -> None:
    async def work() -> None:
        sequencer = sequencer_on(url)
        for _ in range(rounds):
            await sequencer.append(deliveries(sequencer, 3, source))
        await sequencer.database.close()

    asyncio.run(work())


async def test_two_processes_never_fork_the_log(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("on SQLite the log has one process")
    context = multiprocessing.get_context("spawn")
    first = sequencer_on(database_url)
    await first.database.close()
    processes = [context.Process(target=_append_elsewhere, args=(database_url, f"party-{n}", 20)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    check(database_url, 180)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE tile SET hashes = {other}", "was changed outside the service"),
        ("DELETE FROM tile", "tiles are incomplete"),
        ("DELETE FROM event WHERE seq = 1", "was changed outside the service"),
        ("DELETE FROM checkpoint WHERE size = 5", "was changed outside the service"),
        ("UPDATE checkpoint SET note = replace(note, 'log.example', 'log.elsewhere')", "not one that this log signed"),
    ],
)
async def test_a_log_that_was_changed_does_not_start(sequencer: Sequencer, database_url: str, change: str, told: str) -> None:
    for count in (3, 2):
        await sequencer.append(deliveries(sequencer, count))
    other = "x'" + "00" * 160 + "'" if database_url.startswith("sqlite") else "'\\x" + "00" * 160 + "'::bytea"
    with sequencer.database.engine.begin() as connection:
        connection.exec_driver_sql(change.format(other=other))
    with pytest.raises(LogDamagedError, match=told):
        sequencer_on(database_url)


async def test_rewriting_tiles_and_root_together_is_not_enough(sequencer: Sequencer, database_url: str) -> None:
    await sequencer.append(deliveries(sequencer, 4))
    forged = Tree()
    tiles = forged.append([bytes([number]) * 32 for number in range(4)])
    with sequencer.database.engine.begin() as connection:
        for (level, position), hashes in tiles.items():
            store.put_tile(connection, level, position, hashes)
        connection.execute(store.checkpoints.update().where(store.checkpoints.c.size == 4).values(root=b"\x00" * 32))
    with pytest.raises(LogDamagedError, match="was changed outside the service"):
        sequencer_on(database_url)


async def test_a_service_with_another_key_does_not_take_up_the_log(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path)
    async with logbook.running(logbook.app):
        await logbook.post(event())
    (logbook.secrets / "checkpoint.key").unlink()
    with pytest.raises(LogDamagedError, match="not one that this log signed"):
        logbook.another()


async def test_the_service_restarts_on_its_own_log(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path)
    async with logbook.running(logbook.app):
        sent = event(HOME, CLIENT)
        await logbook.post(sent)
        before = logbook.verifier
    app = logbook.another()
    async with logbook.running(app):
        assert (await logbook.post(sent)).status_code == 200
        assert (await logbook.post(event())).headers["Audit-Index"] == "1"
        assert logbook.verifier == before
    assert (logbook.report().ok, logbook.report().events) == (True, 2)


async def test_the_logs_own_events_stand_in_the_log_itself(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, to_itself=True)
    async with logbook.running(logbook.app):
        await logbook.post(event(HOME, CLIENT))
        await logbook.get("?date=ge2026-01-01")
        await logbook.inspect()
        await logbook.call("GET", "/checkpoint", party=None)
        await logbook.logged()
        rows = (await logbook.inspect()).json()["rows"]
        assert [row["delivered_by"] for row in rows] == [logbook.peer("logboek").client_id, logbook.peer(HOME).client_id]
    assert (logbook.report().events, logbook.report().ok) == (5, True)  # the last overview was delivered at the stop
