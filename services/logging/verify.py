"""Check the whole log against itself: every commitment, leaf, tile, root, signature and index, recomputed from the rows."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from proeftuin.transparency import checkpoint, cosignature, merkle
from proeftuin.transparency.checkpoint import CheckpointError
from proeftuin.transparency.tiles import Tree, hash_at
from services.logging import store
from services.logging.erasure import GONE
from services.logging.sequencer import entry

PAGE = 1000
_STRAY = (
    sa.select(store.subjects.c.seq)
    .outerjoin(store.events, store.events.c.seq == store.subjects.c.seq)
    .where(store.events.c.seq.is_(None))
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: the number of events and checkpoints that hold, and the first thing that does not."""

    events: int
    checkpoints: int
    fault: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was changed."""
        return self.fault is None


class _FaultError(Exception):
    """The first difference."""


def verify(
    connection: sa.Connection, verifier: str, index_key: bytes | None = None, cosigner: str | None = None
) -> Report:  # fmt: skip
    """Recompute the log of `connection`, also while it grows; `verifier` is the key line of the log (C2SP signed-note).

    With `index_key` the tokens by which clients are found are recomputed too; without it only their number is looked at.
    With `cosigner`, the key line of the witness, its cosignatures are verified; a checkpoint that it cosigned and that is gone is a
    fault. What was cut off and never cosigned is seen only by who kept a checkpoint.
    """
    tree, checked = Tree(), 0
    computed: dict[tuple[int, int], bytes] = {}
    read = hash_at(lambda level, position: computed.get((level, position), b""), keep=0)
    rows = _rows(connection)
    try:
        for note in _notes(connection):
            leaves: list[bytes] = []
            while (place := tree.size + len(leaves)) < note.size:
                row, tokens = next(rows, (None, []))
                if row is None or row.seq != place:
                    raise _FaultError(f"event {place} is missing")
                (_check_erased if row.document == GONE else _check)(connection, row, tokens, index_key)
                leaves.append(merkle.leaf_hash(row.entry))
            computed |= tree.append(leaves)
            root = merkle.root(tree.size, read)
            signed = checkpoint.verify(str(note.note), verifier)
            if (signed.size, signed.root) != (note.size, root) or note.root != root:
                raise _FaultError(f"checkpoint {note.size} signed another root: an event up to {tree.size} was changed")
            checked += 1
        if checked == 0:
            raise _FaultError("there is no checkpoint")
        _check_beside(connection, cosigner)
        extra = next(rows, None)
        last = store.last_checkpoint(connection)
        grown = last is not None and last[0] > tree.size  # while we looked
        if extra is not None and not grown:
            raise _FaultError(f"event {tree.size} stands after the last checkpoint")
        for (level, position), hashes in computed.items():
            stored = store.tile(connection, level, position)
            if stored != hashes and not grown:  # an append shows its checkpoint with its tiles: look once more, after the tile
                last = store.last_checkpoint(connection)
                grown = last is not None and last[0] > tree.size
            if (stored[: len(hashes)] if grown else stored) != hashes:
                raise _FaultError(f"tile {level}/{position} differs")
    except CheckpointError as error:
        return Report(tree.size, checked, f"checkpoint {note.size}: {error}")
    except _FaultError as fault:
        return Report(tree.size, checked, str(fault))
    return Report(tree.size, checked)


def _check(_: sa.Connection, row: Any, tokens: list[str], index_key: bytes | None) -> None:  # noqa: ANN401 - a row of the table
    try:
        committed = entry(row.received, row.source, row.nonce, row.document)
        event = json.loads(row.document)
        columns, about = store.columns(event, index_key or b""), set(store.patients(event))
    except (TypeError, ValueError, KeyError, AttributeError):  # what was put there is no event, or no bytes (SQLite takes any type)
        raise _FaultError(f"event {row.seq} is not the one that was committed to") from None
    if committed != row.entry:
        raise _FaultError(f"event {row.seq} is not the one that was committed to")
    if row.event_id != event.get("id"):
        raise _FaultError(f"event {row.seq} is kept under another id than its document has")
    for name, value in columns.items():
        if getattr(row, name) != value and (index_key or name != "agent"):
            raise _FaultError(f"event {row.seq} is indexed under another {name} than its document has")
    if len(about) != len(tokens) or (index_key and {store.patient_token(index_key, bsn) for bsn in about} != set(tokens)):
        raise _FaultError(f"event {row.seq} is indexed for other clients than its document names")


def _check_erased(connection: sa.Connection, row: Any, tokens: list[str], _: bytes | None) -> None:  # noqa: ANN401 - a row
    """An event may say nothing any more when an event of the log tells that it was erased, and nothing of it is left."""
    table = store.erasures
    place = connection.execute(sa.select(table).where(sa.between(row.seq, table.c.first, table.c.last))).first()
    told = connection.execute(sa.select(store.events).where(store.events.c.seq == place.event)).first() if place else None
    if place is None or told is None:
        raise _FaultError(f"event {row.seq} says nothing, and no erasure is known")
    if told.document != GONE and not _tells(told.document, f"{place.first}-{place.last}"):
        raise _FaultError(f"event {row.seq} says nothing, and event {place.event} does not tell that it was erased")
    if tokens or row.nonce != GONE or row.agent is not None or row.trace_id is not None:
        raise _FaultError(f"event {row.seq} was erased, and something of it is left")


def _check_beside(connection: sa.Connection, cosigner: str | None) -> None:
    """What stands beside the events: no client for an event that is not there, and what the witness cosigned."""
    if connection.execute(_STRAY).first():
        raise _FaultError("a client is indexed for an event that is not there")
    if cosigner is None:
        return
    joined = store.cosignatures.outerjoin(store.checkpoints, store.checkpoints.c.size == store.cosignatures.c.size)
    for size, line, note in connection.execute(
        sa.select(store.cosignatures.c.size, store.cosignatures.c.line, store.checkpoints.c.note).select_from(joined)
    ):
        if note is None:
            raise _FaultError(f"checkpoint {size}, which the witness cosigned, is missing")
        try:
            cosignature.verify(note + line, cosigner)
        except CheckpointError as error:
            raise _FaultError(f"checkpoint {size}: {error}") from error


def _tells(document: bytes, erased: str) -> bool:
    """Whether this is the event of an erasure that names the range `erased`."""
    event = json.loads(document)
    details = {detail["type"]: detail.get("valueString", "") for entity in event["entity"] for detail in entity.get("detail", [])}
    return event["subtype"][0]["code"] == "destroy" and erased in details.get("erased", "").split(",")


def _notes(connection: sa.Connection) -> Iterator[Any]:
    """The checkpoints by size; those that come while we look are looked at too."""
    last = -1
    select = sa.select(store.checkpoints).order_by(store.checkpoints.c.size).limit(PAGE)
    while notes := connection.execute(select.where(store.checkpoints.c.size > last)).all():
        yield from notes
        last = notes[-1].size


def _rows(connection: sa.Connection) -> Iterator[tuple[Any, list[str]]]:
    """The events by place, with the tokens of their clients; a page is read after the checkpoint that covers it."""
    last = -1
    select = sa.select(store.events).order_by(store.events.c.seq).limit(PAGE)
    while rows := connection.execute(select.where(store.events.c.seq > last)).all():
        tokens = defaultdict(list)
        seqs = store.subjects.c.seq
        for subject in connection.execute(sa.select(store.subjects).where(seqs > last, seqs <= rows[-1].seq)):
            tokens[subject.seq].append(subject.patient_token)
        yield from ((row, tokens[row.seq]) for row in rows)
        last = rows[-1].seq
