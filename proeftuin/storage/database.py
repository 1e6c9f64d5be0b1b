"""One database of one service: SQLAlchemy Core, transactions as functions, SQLite with group commit or PostgreSQL in threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

P = ParamSpec("P")
T = TypeVar("T")
UTF8 = {"client_encoding": "utf8"}  # also where the server was set up without a locale (SQL_ASCII)
Work = tuple[Callable[[sa.Connection], Any], "asyncio.Future[Any]"]
Outcome = tuple["asyncio.Future[Any]", Any, Exception | None]


class Database:
    """Runs functions `fn(connection, *args)`, each in one transaction that commits before the call returns.

    On SQLite all writes that arrive in one turn of the event loop share one durable commit (WAL, synchronous=FULL), each in its
    own savepoint; on PostgreSQL each runs in a thread with a pooled connection. What `fn` raises reaches the caller after rollback.
    """

    def __init__(self, url: str, *, threads: int = 8) -> None:
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self.engine = sa.create_engine(url, poolclass=sa.pool.QueuePool, pool_size=3, connect_args={"check_same_thread": False})
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin)
            self._reader: sa.Connection | None = None
            self._writer: sa.Connection | None = None
        else:
            self.engine = sa.create_engine(url, pool_size=threads, max_overflow=0, pool_pre_ping=True, connect_args=UTF8)
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._pending: list[Work] = []

    async def read(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in a transaction that only reads."""
        if not self.is_sqlite:
            return await self._in_thread(lambda connection: fn(connection, *args, **kwargs))
        if self._reader is None:
            self._reader = self.engine.connect()
        with self._reader.begin():
            return fn(self._reader, *args, **kwargs)

    async def write(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in a transaction; returns its result after the commit is durable."""
        if not self.is_sqlite:
            return await self._in_thread(lambda connection: fn(connection, *args, **kwargs))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._pending:
            loop.call_soon(self._flush)
        self._pending.append((lambda connection: fn(connection, *args, **kwargs), future))
        return await future

    def snapshot(self) -> sa.Connection:
        """Return a connection of which all reads see the same moment, to be closed by the caller (`with`)."""
        connection = self.engine.connect()
        return connection if self.is_sqlite else connection.execution_options(isolation_level="REPEATABLE READ")

    async def close(self) -> None:
        """Finish what is pending and give every connection back."""
        if self.is_sqlite:
            if self._pending:
                self._flush()
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
        else:
            self._threads.shutdown(wait=True)
        self.engine.dispose()

    async def _in_thread(self, fn: Callable[[sa.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transact, fn)

    def _transact(self, fn: Callable[[sa.Connection], T]) -> T:
        with self.engine.begin() as connection:
            return fn(connection)

    def _flush(self) -> None:
        batch, self._pending = self._pending, []
        outcomes: list[Outcome] = []
        try:
            if self._writer is None:
                self._writer = self.engine.connect()
            driver: Any = self._writer.connection.driver_connection  # SQLAlchemy would compile a savepoint's statements each time
            with self._writer.begin():
                for fn, future in batch:
                    if len(batch) == 1:  # what fails alone takes nobody's work along
                        outcomes.append((future, fn(self._writer), None))
                        continue
                    driver.execute("SAVEPOINT one")
                    try:
                        outcome: Outcome = (future, fn(self._writer), None)
                    except Exception as error:  # noqa: BLE001 - it belongs to the caller that waits for this future
                        outcome = (future, None, error)
                        driver.execute("ROLLBACK TO one")
                    driver.execute("RELEASE one")
                    outcomes.append(outcome)
        except Exception as error:  # noqa: BLE001 - the commit failed: nobody's work was done
            outcomes = [(future, None, error) for _, future in batch]
        for future, result, failure in outcomes:
            if future.done():
                continue
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)


def _configure_sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own connection
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
