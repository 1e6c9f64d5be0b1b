"""The client's overview (Wabvpz art. 15e): who made available, viewed or requested what, when, on what ground, with its proof."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from proeftuin.overview import reading
from proeftuin.overview.lines import lines
from proeftuin.transparency import merkle
from proeftuin.transparency.tiles import hash_at
from services.logging import store

PAGE = 500
MOST_OTHERS = 4 * PAGE
Name = Callable[[str, str], str | None]  # (system, value) of a professional -> the name, where the employer shows names


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks: the own `token`, a period of `recorded`, an organisation (system|value) that asked or logged.

    `before` and `size` go on where an earlier page ended: before that place, in the log of that size.
    """

    token: str
    since: str | None = None
    until: str | None = None
    organisation: str | None = None
    before: int | None = None
    size: int | None = None
    count: int = PAGE


def overview(connection: sa.Connection, asked: Asked, name: Name = lambda _system, _value: None) -> dict[str, Any]:
    """Return the rows on one client, newest first, each with a proof of inclusion in one checkpoint, and the lines they make.

    At most `count` events and the other ends of their requests. `here` is the place of this page, `next` that of the following one
    (None when there is none): (size, before).
    Raises LookupError when the log has no checkpoint of the size asked for.
    """
    size, note = _checkpoint(connection, asked.size)
    before = size if asked.before is None else min(asked.before, size)
    query = store.Query({}, asked.token, asked.since, asked.until, before=before, count=asked.count)
    found = connection.execute(_narrowed(store.matching(query), asked.organisation)).all()
    place = found[asked.count - 1].seq if len(found) > asked.count else None
    events = {row.seq: row for row in found[: asked.count]}
    traces = {row.trace_id for row in events.values() if row.trace_id}
    others = {row.seq: row for row in connection.execute(_same_requests(asked.token, traces, size)) if row.seq not in events}
    read = hash_at(lambda level, position: store.tile(connection, level, position))
    rows = [
        _row(row, merkle.inclusion_proof(row.seq, size, read), name)
        for row in sorted((*events.values(), *others.values()), key=lambda row: -row.seq)
    ]
    shown = {row.seq for row in others.values() if row.seq >= before and _matches(row, asked)}
    rows = _of_page(rows, set(events), shown)
    return {
        "checkpoint": note,
        "witnessed": _witnessed(connection, size, read),
        "complete": place is None,
        "here": (size, before),
        "next": None if place is None else (size, place),
        "rows": rows,
        "lines": lines(rows),
    }


def _of_page(rows: list[dict[str, Any]], asked: set[int], shown: set[int]) -> list[dict[str, Any]]:
    """The rows of the lines of this page: those with an event that is `asked`, unless an earlier page has `shown` the line."""
    kept: set[int] = set()
    for line in lines(rows):
        places = {rows[place]["proof"]["index"] for place in line["rows"]}
        if places & asked and not places & shown:
            kept.update(line["rows"])
    return [row for place, row in enumerate(rows) if place in kept]


def _checkpoint(connection: sa.Connection, size: int | None) -> tuple[int, str]:
    """Size and note of the newest checkpoint, or of the one of `size`: pages that follow each other stand under one."""
    last = store.last_checkpoint(connection)
    if size is not None and (last is None or last[0] != size):
        note = connection.scalar(sa.select(store.checkpoints.c.note).where(store.checkpoints.c.size == size))
        last = None if note is None else (size, b"", note)
    if last is None:
        raise LookupError("the log has no such checkpoint")
    return last[0], last[2]


def _narrowed(statement: sa.Select[Any], organisation: str | None) -> sa.Select[Any]:
    if organisation is None:
        return statement
    columns = (store.events.c.organization, store.events.c.observer)
    return statement.where(sa.or_(*(column.concat("") == organisation for column in columns)))  # answered from the client's index


def _matches(row: Any, asked: Asked) -> bool:  # noqa: ANN401 - a row of the table
    """Whether an event of the client's is within what is asked, as the statement has it."""
    if (asked.since and row.recorded < asked.since) or (asked.until and row.recorded >= asked.until):
        return False
    return asked.organisation in (None, row.organization, row.observer)


def _same_requests(token: str, traces: set[str], size: int) -> sa.Select[Any]:
    """The client's events of the same exchanges: the other end of a request may lie outside the page or the period."""
    joined = sa.select(store.events).join(store.subjects, store.ABOUT)
    return joined.where(
        store.subjects.c.patient_token == token, store.events.c.trace_id.in_(traces), store.events.c.seq < size,
        store.events.c.document != b"",
    ).order_by(store.events.c.seq.desc()).limit(MOST_OTHERS)  # fmt: skip


def _witnessed(connection: sa.Connection, size: int, read: merkle.HashAt) -> dict[str, Any] | None:
    """The newest checkpoint with the witness's cosignature, and the proof that the one of `size` extends it."""
    found = store.cosigned(connection, size)
    if found is None or found[0] == 0:
        return None
    path = merkle.consistency_proof(found[0], size, read)
    return {"checkpoint": found[1], "consistency": [base64.b64encode(each).decode() for each in path]}


def _row(row: Any, path: list[bytes], name: Name) -> dict[str, Any]:  # noqa: ANN401 - a row of the table
    event = json.loads(row.document)
    shared = len(reading.clients(event)) > 1  # the document would show another client's data
    person = reading.professional(event)
    return reading.read(event) | {
        "delivered_by": row.source,
        "person": name(*person) if person else None,
        "proof": {
            "index": row.seq,
            "entry": base64.b64encode(row.entry).decode(),
            "nonce": None if shared else base64.b64encode(row.nonce).decode(),
            "document": None if shared else base64.b64encode(row.document).decode(),
            "path": [base64.b64encode(each).decode() for each in path],
        },
    }
