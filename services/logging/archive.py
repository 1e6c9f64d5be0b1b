"""An archive of one year of the log: one SQLite file that proves itself with nothing but the keys of log and witness.

Format `proeftuin-log-archive/1`, tables:

- `about(name, value)`: `format`, `origin`, `year`, `first`, `last` (places), `size` (of the tree that seals it), `made`;
- `event(seq, entry, document, nonce)`: the leaves; document and nonce are empty where the content was erased;
- `node(start, height, hash)`: the roots of the complete subtrees beside the year, to the left of it and up to `size`;
- `checkpoint(size, note)`: every checkpoint of the year, and the one that seals the archive, with the witness's line if any;
- `erasure(first, last, event)` and `told(seq, entry, document, nonce, path)`: which events were erased, and the events that tell of
  it with their audit paths in the tree of `size` (joined hashes).

The year is that of arrival: all places from the first event of the year to the last one. The file is mode 0600 and not encrypted: a
key would have to outlive it by decades and would stand beside it; put it where what is stored is encrypted.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from proeftuin.transparency import merkle
from proeftuin.transparency.tiles import hash_at
from services.logging import store
from services.logging.erasure import GONE

FORMAT = "proeftuin-log-archive/1"
PAGE = 2000
_TABLES = """
PRAGMA secure_delete=ON;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL, document BLOB NOT NULL, nonce BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS node (start INTEGER PRIMARY KEY, height INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS erasure (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, event INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS told
  (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL, document BLOB NOT NULL, nonce BLOB NOT NULL, path BLOB NOT NULL);
"""


class NothingToArchiveError(ValueError):
    """The log has no event of that year, or the year is not over."""


def span(connection: sa.Connection, year: int) -> tuple[int, int]:
    """Return the first and last place at which an event of `year` stands; raises NothingToArchiveError."""
    received = store.events.c.received
    found = connection.execute(
        sa.select(sa.func.min(store.events.c.seq), sa.func.max(store.events.c.seq)).where(
            received >= f"{year:04d}", received < f"{year + 1:04d}"
        )
    ).one()
    if found[0] is None:
        raise NothingToArchiveError(f"no event was received in {year}")
    return int(found[0]), int(found[1])


def fill(connection: sa.Connection, part: Path, year: int, made: str, *, witnessed: bool = True) -> tuple[int, int, int]:
    """Write or complete the archive of `year` at `part`; returns first and last place, and the size of the tree that seals it.

    `connection` is a snapshot of the log. With `witnessed` the witness must have cosigned it. What an earlier attempt wrote is
    taken up, less what was erased since.
    """
    first, last = span(connection, year)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(part)) as file:
        file.executescript(_TABLES)
        about = dict(file.execute("SELECT name, value FROM about"))
        note = connection.execute(sa.select(store.checkpoints.c.note).where(store.checkpoints.c.size == 0)).scalar() or ""
        mine = {"format": FORMAT, "origin": note.partition("\n")[0], "year": str(year), "first": str(first)}
        if about and {name: about.get(name) for name in mine} != mine:
            raise FileExistsError(f"{part} is of another log or year")
        file.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", mine.items())
        file.commit()
        _events(connection, file, first, last)
        size = _seal(connection, file, first, last, witnessed=witnessed)
        file.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", [("last", str(last)), ("size", str(size)), ("made", made)])
        file.commit()
        file.execute("PRAGMA optimize")
    return first, last, size


def _events(connection: sa.Connection, file: sqlite3.Connection, first: int, last: int) -> None:
    """The events, a page in each transaction, from where an earlier attempt ended."""
    columns = store.events.c
    (start,) = file.execute("SELECT coalesce(max(seq) + 1, ?) FROM event", (first,)).fetchone()
    while start <= last:
        page = sa.select(columns.seq, columns.entry, columns.document, columns.nonce)
        rows = connection.execute(page.where(columns.seq >= start, columns.seq < min(start + PAGE, last + 1))).all()
        file.executemany("INSERT INTO event VALUES (?, ?, ?, ?)", [tuple(row) for row in rows])
        file.commit()
        start += PAGE


def _seal(connection: sa.Connection, file: sqlite3.Connection, first: int, last: int, *, witnessed: bool) -> int:
    """All that proves the events, as the log is now; returns the size of the tree."""
    for name in ("node", "checkpoint", "erasure", "told"):
        file.execute(f"DELETE FROM {name}")  # noqa: S608 - names of our own
    read = hash_at(lambda level, position: store.tile(connection, level, position))
    cosigned = store.cosigned(connection)
    newest = store.last_checkpoint(connection)
    if newest is None or newest[0] <= last:
        raise NothingToArchiveError("the log has no checkpoint that covers the year")
    if witnessed and (cosigned is None or cosigned[0] <= last):
        raise NothingToArchiveError("the witness has not cosigned the end of the year yet: try again in a second")
    size, note = cosigned if cosigned and cosigned[0] > last else (newest[0], newest[2])
    for start, height in [*_complete(0, first), *_complete(last + 1, size)]:
        file.execute("INSERT INTO node VALUES (?, ?, ?)", (start, height, read(height, start >> height)))
    sizes = store.checkpoints.c.size
    notes = (
        sa.select(sizes, store.checkpoints.c.note, store.cosignatures.c.line)
        .outerjoin(store.cosignatures, store.cosignatures.c.size == sizes)
        .where(sizes > first, sizes <= last + 1)
    )
    file.executemany(
        "INSERT INTO checkpoint VALUES (?, ?)", ((row.size, row.note + (row.line or "")) for row in connection.execute(notes))
    )
    file.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (size, note))
    table = store.erasures
    erased = connection.execute(sa.select(table).where(table.c.first <= last, table.c.last >= first)).all()
    for each in erased:
        if each.event >= size:
            raise NothingToArchiveError(
                f"event {each.event}, which tells of an erasure, is not witnessed yet: try again in a second"
            )
        file.execute("UPDATE event SET document = ?, nonce = ? WHERE seq BETWEEN ? AND ?", (GONE, GONE, each.first, each.last))
        file.execute("INSERT INTO erasure VALUES (?, ?, ?)", tuple(each))
        told = connection.execute(sa.select(store.events).where(store.events.c.seq == each.event)).one()
        path = b"".join(merkle.inclusion_proof(each.event, size, read))
        file.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?)", (told.seq, told.entry, told.document, told.nonce, path))
    file.commit()
    return size


def _complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees (start, height) that the leaves [start, end) consist of, in order."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        yield start, height
        start += 1 << height
