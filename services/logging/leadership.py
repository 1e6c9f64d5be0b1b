"""Who may write the log: one process. Another stands by: it serves what is only read, and takes over when the first is gone.

On PostgreSQL the leader holds a session-level advisory lock, and every write of the log goes through that very session. So the
lock and the power to write end together: whoever lost the one has no connection left to do the other with. A leader that says
nothing for PATIENCE seconds (stopped, cut off) loses its session to the one that stands by. On SQLite the lock is that of a
file beside the database, which the kernel gives back when the process ends.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog

from proeftuin.reasons import STANDBY, Refused
from proeftuin.storage.database import UTF8, Database

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)
PULSE = 0.5  # seconds between two signs of life, and between two attempts to take over
PATIENCE = 2.0  # seconds without a sign of life after which a session is ended
WAKE = 4  # pulses between two looks at the outbox, which a process that stands by fills too
LOCK = "hashtext('proeftuin-log')"
_KEEPALIVE = {"keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 2}
_TAKE = sa.text(f"SELECT pg_try_advisory_lock({LOCK})")
_END_SILENT = sa.text(
    "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"  # noqa: S608 - of our own
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()"
    f" AND ((l.classid::bigint << 32) | l.objid::bigint) = {LOCK}::bigint AND a.pid <> pg_backend_pid()"
    " AND (a.state <> 'active' OR a.wait_event_type = 'Client')"
    " AND clock_timestamp() - a.state_change > make_interval(secs => :patience)"
)


class Leadership:
    """The lead over the log in `database`; `begin` is run with each taking of it and refuses a log that was changed.

    This one is for SQLite; `leadership` returns the right one.
    """

    def __init__(self, database: Database, begin: Callable[[sa.Connection], None], wake: Callable[[], None]) -> None:
        self.database = database
        self.leading = False
        self.alarm: str | None = None
        self._begin = begin
        self._wake = wake
        self._file: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the lead when nobody has it, and go on trying when another has."""
        await self._pulse()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Give the lead back; to do it twice changes nothing."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        self.leading = False
        await self._release()

    def health(self) -> dict[str, Any]:
        """Return the state for /health."""
        if self.alarm:
            return {"status": "down", "detail": self.alarm}
        return {"status": "up", "role": "leader" if self.leading else "standby"}

    def check(self) -> None:
        """Raise Refused(STANDBY) when another process has the lead."""
        if not self.leading:
            raise Refused(STANDBY, "another process writes the log, this one stands by")

    async def write(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in a transaction that only the leader can commit, durable at return; raises Refused(STANDBY)."""
        self.check()
        return await self.database.write(fn, *args, **kwargs)

    async def _run(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(PULSE)
            await self._pulse()
            count += 1
            if self.leading and count % WAKE == 0:
                self._wake()

    async def _pulse(self) -> None:
        try:
            if self.leading:
                await self._live()
            elif await self._take():
                await self._lead()
        except Exception as error:  # noqa: BLE001 - whatever it was, the lead is lost, and is tried for again
            log.warning("the lead over the log is lost", error=str(error)[:200])
            self.leading = False
            await self._release()

    async def _lead(self) -> None:
        try:
            await self._first(self._begin)
        except Exception as error:
            self.alarm = str(error)
            raise
        self.leading, self.alarm = True, None
        log.info("this process writes the log")
        self._wake()

    async def _take(self) -> bool:
        path = self.database.engine.url.database
        if not path or path == ":memory:":
            return True
        self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await self._release()
            return False
        return True

    async def _first(self, begin: Callable[[sa.Connection], None]) -> None:
        await self.database.write(begin)

    async def _live(self) -> None:
        """The kernel keeps the lock of a file as long as the process lives."""

    async def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class SessionLeadership(Leadership):
    """The lead by a session of PostgreSQL."""

    def __init__(self, database: Database, begin: Callable[[sa.Connection], None], wake: Callable[[], None]) -> None:
        super().__init__(database, begin, wake)
        self._engine = sa.create_engine(database.engine.url, poolclass=sa.pool.NullPool, connect_args=UTF8 | _KEEPALIVE)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log")
        self._session: sa.Connection | None = None

    async def stop(self) -> None:
        """Give the lead back."""
        await super().stop()
        self._thread.shutdown(wait=True)

    async def write(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in a transaction of the session that has the lead; raises Refused(STANDBY), also when it was lost meanwhile."""
        self.check()
        try:
            return await self._in_session(lambda connection: fn(connection, *args, **kwargs))
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self.leading = False
            raise Refused(STANDBY, "the lead was lost before the answer of the database: send it again") from error

    async def _in_session(self, fn: Callable[[sa.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, fn)

    def _transact(self, fn: Callable[[sa.Connection], T]) -> T:
        session = self._session
        if session is None or session.invalidated:  # SQLAlchemy would connect anew, and without the lock
            raise Refused(STANDBY, "this process has lost the lead over the log")
        with session.begin():
            return fn(session)

    async def _take(self) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._try)

    def _try(self) -> bool:
        self._close()
        session = self._session = self._engine.connect()
        with session.begin():
            taken = bool(session.scalar(_TAKE))
        if not taken:
            with session.begin():
                session.execute(_END_SILENT, {"patience": PATIENCE})
            self._close()
        return taken

    async def _first(self, begin: Callable[[sa.Connection], None]) -> None:
        await self._in_session(begin)

    async def _live(self) -> None:
        await self._in_session(lambda session: session.execute(sa.text("SELECT 1")))

    async def _release(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def leadership(database: Database, begin: Callable[[sa.Connection], None], wake: Callable[[], None]) -> Leadership:
    """Return the lead over the log in `database`; `wake` has the outbox of this process looked at."""
    return (Leadership if database.is_sqlite else SessionLeadership)(database, begin, wake)
