"""The tape as a file: a ring of entries in SQLite, written by every process of the sandbox and read by the console.

The standard library's sqlite3 rather than the house's Database: this file may lose its last second, and may not cost one.
"""

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_ENTRIES, MOST_BYTES = 5000, 64 * 1024 * 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT, trace TEXT NOT NULL, started REAL NOT NULL, ended REAL NOT NULL, caller TEXT NOT NULL,
  server TEXT NOT NULL, instance TEXT NOT NULL, status INTEGER NOT NULL, reason TEXT, aside INTEGER NOT NULL,
  size INTEGER NOT NULL, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entry_trace ON entry (trace);
CREATE INDEX IF NOT EXISTS entry_size ON entry (id, size);
"""
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which exchanges: each set field narrows. `party` is a part of a name; times are seconds since 1970."""

    trace: str = ""
    party: str = ""
    reason: str = ""
    status: int | None = None
    since: float | None = None
    until: float | None = None
    aside: bool = False
    refused: bool = False

    def where(self) -> tuple[str, list[Any]]:
        """Return the SQL condition on one entry and its values."""
        party = "(instr(lower(caller), lower(?)) OR instr(lower(server), lower(?)) OR instr(lower(instance), lower(?)))"
        found: list[tuple[str, list[Any], bool]] = [
            ("trace = ?", [self.trace], bool(self.trace)),
            (party, [self.party] * 3, bool(self.party)),
            ("reason = ?", [self.reason], bool(self.reason)),
            ("reason IS NOT NULL", [], self.refused),
            ("status = ?", [self.status], self.status is not None),
            ("started >= ?", [self.since], self.since is not None),
            ("started < ?", [self.until], self.until is not None),
            ("aside = 0", [], not (self.aside or self.trace)),
        ]
        applied = [(condition, values) for condition, values, applies in found if applies]
        return " AND ".join(condition for condition, _ in applied) or "1", [value for _, values in applied for value in values]


class Tape:
    """The ring in the file `path`, readable by its owner alone. Raises sqlite3.Error; a reader of no file finds it empty."""

    def __init__(self, path: Path, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self.path = path
        self._most = (most_entries, most_bytes)

    def append(self, entries: Iterable[Entry]) -> None:
        """Write entries (see entry.py) and let the oldest go where there are too many or too large."""
        rows = [_row(entry) for entry in entries]
        with closing(self._open(create=True)) as connection, connection:
            connection.executemany(
                "INSERT INTO entry (trace, started, ended, caller, server, instance, status, reason, aside, size, content) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows,
            )  # fmt: skip
            self._trim(connection)

    def exchanges(self, wanted: Wanted, limit: int = 100, before: int | None = None) -> list[Entry]:
        """Return the exchanges that have an entry as `wanted`, the newest first: trace, times, parties, reasons, number of hops."""
        where, values = wanted.where()
        rows = self._read(
            "SELECT trace, min(started) AS started, max(ended) AS ended, count(*) AS hops, max(id) AS last, "  # noqa: S608 - no value in it
            "json_group_array(DISTINCT caller) AS callers, json_group_array(DISTINCT server) AS servers, "
            "json_group_array(DISTINCT reason) FILTER (WHERE reason IS NOT NULL) AS reasons, max(status) AS worst "
            f"FROM entry WHERE trace IN (SELECT trace FROM entry WHERE {where}) "
            "GROUP BY trace HAVING ? IS NULL OR max(id) < ? ORDER BY last DESC LIMIT ?",
            [*values, before, before, limit],
        )
        lists = ("callers", "servers", "reasons")
        return [dict(row) | {name: json.loads(row[name]) for name in lists} for row in rows]

    def exchange(self, trace: str) -> list[Entry]:
        """Return the entries of one exchange in the order in which they began."""
        rows = self._read("SELECT id, content FROM entry WHERE trace = ? ORDER BY started, id", [trace])
        return [json.loads(row["content"]) | {"id": row["id"]} for row in rows]

    def after(self, position: int, wanted: Wanted, limit: int = 200) -> list[Entry]:
        """Return what came after the entry with id `position`, oldest first, without bodies."""
        where, values = wanted.where()
        rows = self._read(f"SELECT id, content FROM entry WHERE id > ? AND {where} ORDER BY id LIMIT ?", [position, *values, limit])  # noqa: S608 - no value in it
        return [json.loads(row["content"]) | {"id": row["id"]} for row in rows]

    def last(self) -> int:
        """Return the id of the newest entry, 0 where there is none."""
        return max(
            (row["id"] for row in self._read("SELECT max(id) AS id FROM entry WHERE 1 HAVING id IS NOT NULL", [])), default=0
        )

    def _read(self, statement: str, values: list[Any]) -> list[sqlite3.Row]:
        if not self.path.exists():
            return []
        with closing(self._open(create=False)) as connection:
            return connection.execute(statement, values).fetchall()

    def _open(self, *, create: bool) -> sqlite3.Connection:
        if create and not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(self.path, timeout=5)
        connection.row_factory = sqlite3.Row
        if create:
            connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")
        return connection

    def _trim(self, connection: sqlite3.Connection) -> None:
        entries, size = self._most
        connection.execute("DELETE FROM entry WHERE id <= (SELECT max(id) FROM entry) - ?", [entries])
        if connection.execute("SELECT sum(size) FROM entry").fetchone()[0] <= size:  # the rest is dear
            return
        connection.execute(
            "DELETE FROM entry WHERE id <= (SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY id DESC) AS total FROM entry) "
            "WHERE total > ? ORDER BY id DESC LIMIT 1)", [size],
        )  # fmt: skip


def _row(entry: Entry) -> tuple[Any, ...]:
    content = json.dumps(entry, separators=(",", ":"), ensure_ascii=True)
    return (
        entry["trace_id"], entry["started"], entry["started"] + entry["milliseconds"] / 1000, entry["caller"]["name"],
        entry["server"]["name"], entry["instance"], entry["status"], entry["reason"], entry["aside"], len(content), content,
    )  # fmt: skip
