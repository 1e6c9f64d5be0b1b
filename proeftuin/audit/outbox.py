"""The durable outbox: events are stored in the service's own database with the work that they tell of, and delivered after it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from proeftuin import strict_json
from proeftuin.clock import instant
from proeftuin.storage.database import Database
from proeftuin.storage.prepared import Prepared

log = structlog.get_logger(__name__)

metadata = sa.MetaData()
outbox = sa.Table(
    "audit_outbox",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("stored", sa.String(32), nullable=False),
)
_INSERT = Prepared(outbox.insert(), "id", "event", "stored")
_OLDEST = sa.select(outbox.c.position, outbox.c.event).order_by(outbox.c.position)
_COUNT = sa.select(sa.func.count()).select_from(outbox)
GATHER = 0.1  # seconds in which events come together: an exchange leaves several, and the log signs once for each delivery
BATCH = 50

Deliver = Callable[[list[dict[str, Any]]], Awaitable[set[str]]]


def store(connection: sa.Connection, events: list[dict[str, Any]], now: datetime) -> None:
    """Put AuditEvent resources in the outbox, in the transaction of `connection`."""
    moment = instant(now)
    _INSERT.many(
        connection, [{"id": event["id"], "event": strict_json.encode(event).decode(), "stored": moment} for event in events]
    )


def oldest(connection: sa.Connection, limit: int, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
    """Return the first undelivered events with their positions."""
    rows = connection.execute(_OLDEST.where(outbox.c.position > after).limit(limit))
    return [(row.position, msgspec.json.decode(row.event)) for row in rows]


def forget(connection: sa.Connection, positions: list[int]) -> None:
    """Take delivered events out."""
    connection.execute(outbox.delete().where(outbox.c.position.in_(positions)))


def undelivered(connection: sa.Connection) -> int:
    """Return how many events wait for delivery."""
    return int(connection.scalar(_COUNT) or 0)


class LaterError(RuntimeError):
    """The log takes nothing for now, and asks to wait for `seconds`."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class Courier:
    """Brings the events of one outbox to the log: at least once, in order, again and again until they are acknowledged.

    `deliver` takes AuditEvents and returns the ids that are durably stored; it may raise anything, which means: later
    (LaterError: not before the seconds that the log asks for, or `longest_pause`).
    """

    def __init__(self, database: Database, deliver: Deliver, *, longest_pause: float = 10.0) -> None:
        self._database = database
        self._deliver = deliver
        self._longest_pause = longest_pause
        self._wake = asyncio.Event()
        self._after = 0  # events up to here that still wait were not taken in this pass
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin delivering, first of all what an earlier process left."""
        self._wake.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def wake(self) -> None:
        """Tell that something was stored."""
        self._wake.set()

    async def stop(self, patience: float = 2.0) -> None:
        """Deliver what is left for at most `patience` seconds; the rest waits in the database for the next start."""
        if self._task is None:
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(patience):
                while await self._round():
                    pass
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        pause = 0.1
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            self._wake.clear()
            try:
                while await self._round():
                    pause = 0.1
            except Exception as error:  # noqa: BLE001 - whatever it was, the events are safe and are tried again
                asked = error.seconds if isinstance(error, LaterError) else 0.0
                wait = min(max(pause, asked), self._longest_pause)
                log.warning("audit events wait", error=str(error)[:200], pause=wait)
                await asyncio.sleep(wait)
                pause = min(pause * 2, self._longest_pause)
                self._wake.set()

    async def _round(self) -> bool:
        waiting = await self._database.read(oldest, BATCH, self._after)
        if not waiting:
            passed, self._after = self._after, 0
            if passed:
                raise RuntimeError("the log does not take events that wait")
            return False
        acknowledged = await self._deliver([event for _, event in waiting])
        done = [position for position, event in waiting if event["id"] in acknowledged]
        if len(done) < len(waiting):
            self._after = waiting[-1][0]
        if done:
            await self._database.write(forget, done)
        return True
