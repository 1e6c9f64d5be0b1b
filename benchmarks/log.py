"""Measure the log itself, without HTTP: appending, proving, verifying and searching, small against large in one run."""

import asyncio
import os
import statistics
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proeftuin.audit.events import SEARCH
from proeftuin.audit.record import Record, System
from proeftuin.clock import SystemClock
from proeftuin.identifiers import URA_SYSTEM, UZI_SYSTEM
from proeftuin.storage.database import Database
from proeftuin.tokens.access_token import Person
from proeftuin.transparency import merkle
from proeftuin.transparency.checkpoint import verifier_line
from proeftuin.transparency.tiles import Tree, hash_at
from proeftuin.transport.tracing import Trace
from services.logging import store
from services.logging.indexing import Indexed, patient_token
from services.logging.sequencer import LARGEST_BATCH, Delivery, Sequencer
from services.logging.verify import verify

CONNECTIONS, TURNS, TURN = 16, 5, 1.5
VERIFIED, PER_CHECKPOINT = 500_000, 50  # a courier brings at most 50 events at once
PROVED = 1_000_000
SEARCHED = (100_000, 10_000_000)
EVENTS_OF_CLIENT = 40
ORIGIN = "log.example/log"
CLIENT = "999910000"


def make(folder: Path, name: str, largest: int = LARGEST_BATCH) -> Sequencer:
    """Return the sequencer of a new log in `folder`."""
    database = Database(f"sqlite:///{folder / name}.sqlite")
    store.metadata.create_all(database.engine)
    made = Sequencer(database, SystemClock(), ORIGIN, Ed25519PrivateKey.generate(), os.urandom(32), largest)
    with database.engine.begin() as connection:
        made.begin(connection)
    return made


def delivery(sequencer: Sequencer) -> Delivery:
    """Return an event as the network writes it: a search by a professional about one client."""
    hospital = System((URA_SYSTEM, "90000101"), "Ziekenhuis De Linde", "127.0.0.1", "ab" * 32)
    home = System((URA_SYSTEM, "90000103"), "Verpleeghuis Avondrood", "https://localhost:8448/avondrood")
    nurse = Person("900000011", UZI_SYSTEM, "30.000", "90000101")
    record = Record(
        SEARCH, Trace.new(), hospital, home, home, [CLIENT], nurse, "TREAT", f"urn:ietf:params:oauth:jti:{uuid.uuid4()}",
        "client-1", b"Condition?patient=Patient/1",
    )  # fmt: skip
    (event,) = record.to_events(datetime.now(UTC))
    return sequencer.prepare("client-1", event["id"], event)


async def appending(folder: Path) -> list[tuple[float, float]]:
    """Return, for each turn, the durable events per second with one commit for each, and with what waits in one commit."""
    each, together = make(folder, "each", 1), make(folder, "together")

    async def rate(sequencer: Sequencer) -> float:
        done, end = 0, time.perf_counter() + TURN

        async def worker() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await sequencer.append([delivery(sequencer)])
                done += 1

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        return done / TURN

    found = [(await rate(each), await rate(together)) for _ in range(TURNS)]
    for sequencer in (each, together):
        await sequencer.database.close()
    return found


def verifying(folder: Path) -> tuple[float, float]:
    """Return the events per second that `verify` checks in a log of VERIFIED, without and with all by which they are found."""
    sequencer = make(folder, "verified")
    model = delivery(sequencer)

    def like(model: Delivery) -> Delivery:
        event_id = str(uuid.uuid4())
        document = model.document.replace(model.event_id.encode(), event_id.encode())
        return Delivery(model.source, document, Indexed(model.index.columns | {"event_id": event_id}, model.index.patients))

    with sequencer.database.engine.begin() as connection:
        for _ in range(VERIFIED // PER_CHECKPOINT):
            sequencer.write(connection, [like(model) for _ in range(PER_CHECKPOINT)], datetime.now(UTC))
    verifier = verifier_line(ORIGIN, sequencer.key.public_key())

    def rate(key: bytes | None) -> float:
        with sequencer.database.engine.connect() as connection:
            started = time.perf_counter()
            report = verify(connection, verifier, key)
            assert report.ok and report.events == VERIFIED, report  # noqa: S101, PT018 - a log that fails would be a false figure
            return VERIFIED / (time.perf_counter() - started)

    return max(rate(None) for _ in range(3)), max(rate(sequencer.index_key) for _ in range(2))


def proving(folder: Path) -> float:
    """Return the median milliseconds of an inclusion proof from stored tiles in a tree of PROVED, none of them kept from before."""
    engine = sa.create_engine(f"sqlite:///{folder / 'proved'}.sqlite")
    store.metadata.create_all(engine)
    tree = Tree()
    with engine.begin() as connection:
        for start in range(0, PROVED, 100_000):
            leaves = [merkle.leaf_hash(b"%d" % place) for place in range(start, min(start + 100_000, PROVED))]
            for (level, position), hashes in tree.append(leaves).items():
                store.put_tile(connection, level, position, hashes)
        taken = []
        for place in range(7, PROVED, PROVED // 200):
            started = time.perf_counter()
            merkle.inclusion_proof(place, PROVED, hash_at(lambda level, position: store.tile(connection, level, position)))
            taken.append((time.perf_counter() - started) * 1000)
    engine.dispose()
    return statistics.median(taken)


def searching(folder: Path) -> tuple[list[float], list[float]]:
    """Return the milliseconds of searches by client in logs of the two sizes of SEARCHED, in turns.

    Each client has EVENTS_OF_CLIENT events, spread over the log; documents are short, the columns and indexes are the real ones.
    """
    logs = [_filled(folder, size) for size in SEARCHED]
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(200):
        for size, engine, found in zip(SEARCHED, logs, taken, strict=True):
            clients = size // EVENTS_OF_CLIENT
            query = store.Query(
                {"source": ["client-1"], "observer": ["urn:x|1"]}, _token(turn * 7919 % clients), "2020", "2030", count=50
            )  # fmt: skip
            with engine.connect() as connection:
                started = time.perf_counter()
                rows, _ = store.search(connection, query)
                found.append((time.perf_counter() - started) * 1000)
            assert len(rows) == EVENTS_OF_CLIENT  # noqa: S101 - an empty answer would be a false figure
    for engine in logs:
        engine.dispose()
    return taken


def _token(client: int) -> str:
    return patient_token(b"bench", str(client))


def _filled(folder: Path, size: int) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{folder / str(size)}.sqlite")
    clients = size // EVENTS_OF_CLIENT
    places = sorted((_token(client), client) for client in range(clients))  # in the order of the index, or it takes for ever

    def about() -> Iterator[dict[str, object]]:
        for token, client in places:
            for number in range(EVENTS_OF_CLIENT):
                yield {"patient_token": token, "seq": number * clients + client, "received": "2026"}

    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
        store.metadata.create_all(connection)
        for index in store.events.indexes:
            index.drop(connection)
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1) "
            "INSERT INTO event (seq, event_id, source, recorded, received, observer, organization, agent, type, trace_id, document,"
            " nonce, entry) SELECT i, printf('%032d', i), 'client-1', strftime('%Y-%m-%dT%H:%M:%fZ', 1700000000 + i, 'unixepoch'),"
            " '2026', 'urn:x|1', 'urn:x|' || i % 200, i % 5000, 'rest', printf('%032x', i / 20), zeroblob(200), x'', x'' FROM n",
            (size,),
        )
        for index in store.events.indexes:
            index.create(connection)
        rows = about()
        while page := [row for _, row in zip(range(50_000), rows, strict=False)]:
            connection.execute(store.subjects.insert(), page)
    return engine


def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the ratios (one for each turn) and the figures of the log."""
    turns = asyncio.run(appending(folder))
    plain, thorough = verifying(folder)
    proof = proving(folder)
    small, large = searching(folder)
    ratios = {
        f"log: events together / one by one, {CONNECTIONS} writers": [together / each for each, together in turns],
        f"log: search by client in {SEARCHED[1]:,} / in {SEARCHED[0]:,} events": [
            statistics.median(large[at : at + 40]) / statistics.median(small[at : at + 40]) for at in range(0, len(large), 40)
        ],
    }
    figures = {
        "log: durable events per second, one by one": statistics.median(each for each, _ in turns),
        "log: durable events per second, together": statistics.median(together for _, together in turns),
        f"log: verify, {VERIFIED:,} events, {PER_CHECKPOINT} to a checkpoint (events/s)": plain,
        "log: verify with all by which events are found (events/s)": thorough,
        f"log: inclusion proof in a tree of {PROVED:,} (ms)": proof,
        f"log: search by client in {SEARCHED[0]:,} events (ms)": statistics.median(small),
        f"log: search by client in {SEARCHED[1]:,} events (ms)": statistics.median(large),
    }
    return ratios, figures
