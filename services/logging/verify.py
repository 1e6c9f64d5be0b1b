"""Check the whole log against itself: every commitment, leaf, tile, root, signature and index, recomputed from the rows."""

import json
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from proeftuin.transparency import checkpoint, cosignature, merkle
from proeftuin.transparency.checkpoint import CheckpointError
from proeftuin.transparency.tiles import SIZE, Tree
from services.logging import store
from services.logging.erasure import GONE
from services.logging.indexing import Indexed, indexed
from services.logging.sequencer import entry

PAGE = 4096  # rows that are read at once, and that one process checks at once
PARALLEL = 20_000  # events from which on several processes pay
_COMMITTED = [store.events.c[name] for name in ("seq", "received", "source", "document", "nonce", "entry")]
_FOUND_BY = [column for column in store.events.c if column not in set(_COMMITTED)]
_STRAY = (
    sa.select(store.subjects.c.seq)
    .outerjoin(store.events, store.events.c.seq == store.subjects.c.seq)
    .where(store.events.c.seq.is_(None))
    .limit(1)
)
_BEFORE = sa.select(store.events.c.seq).where(store.events.c.seq < 0).limit(1)


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


@dataclass(frozen=True, slots=True)
class Checked:
    """A range of events: the hashes of its leaves, up to the first event that does not hold, and what is wrong with that."""

    leaves: bytes  # joined
    fault: str | None = None


@dataclass(slots=True)
class Frontier:
    """The complete subtrees at the right edge, largest first: a root is at hand after every leaf."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        size, hashes = self.size, self.hashes
        while size & 1:
            leaf = merkle.node_hash(hashes.pop(), leaf)
            size >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of what was added."""
        if not self.hashes:
            return merkle.EMPTY_ROOT
        found = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            found = merkle.node_hash(left, found)
        return found


class _FaultError(Exception):
    """The first difference."""


def verify(
    connection: sa.Connection, verifier: str, index_key: bytes | None = None, cosigner: str | None = None
) -> Report:  # fmt: skip
    """Recompute the log of `connection`, also while it grows; `verifier` is the key line of the log (C2SP signed-note).

    With `index_key` everything by which events are found is recomputed from the documents too (three times the work).
    With `cosigner`, the key line of the witness, its cosignatures are verified; a checkpoint that it cosigned and that is gone is a
    fault. What was cut off and never cosigned is seen only by who kept a checkpoint.
    """
    frontier, tree, checked = Frontier(), Tree(), 0
    tiles: dict[tuple[int, int], bytes] = {}
    last = store.last_checkpoint(connection)
    leaves = _leaves(connection, last[0] if last else 0, index_key)
    try:
        for note in _notes(connection):
            added: list[bytes] = []
            while frontier.size < note.size:
                added.append(next(leaves))
                frontier.add(added[-1])
            tiles |= tree.append(added)
            root = frontier.root()
            signed = checkpoint.verify(str(note.note), verifier)
            if (signed.size, signed.root) != (note.size, root) or note.root != root:
                raise _FaultError(f"checkpoint {note.size} signed another root: an event up to {tree.size} was changed")
            checked += 1
        if checked == 0:
            raise _FaultError("there is no checkpoint")
        _check_beside(connection, cosigner)
        _check_end(connection, tree.size, tiles)
    except CheckpointError as error:
        return Report(tree.size, checked, f"checkpoint {note.size}: {error}")
    except _FaultError as fault:
        return Report(tree.size, checked, str(fault))
    return Report(tree.size, checked)


def _leaves(connection: sa.Connection, known: int, index_key: bytes | None) -> Iterator[bytes]:
    """The hashes of the leaves in order, those up to `known` by all processors; raises _FaultError at what does not hold."""
    check = partial(check_range, index_key)
    starts = range(0, known, PAGE)
    if known >= PARALLEL and processors() > 1:
        url = connection.engine.url.render_as_string(hide_password=False)
        spawn = multiprocessing.get_context("spawn")  # a fork would take the connections along
        with ProcessPoolExecutor(processors(), spawn, _connect, (url,)) as pool:
            for checked in pool.map(partial(_check_apart, index_key, known), starts):
                yield from _sound(checked)
    else:
        for start in starts:
            yield from _sound(check(connection, start, min(start + PAGE, known)))
    while True:  # what came while we looked: asked for by a checkpoint that covers it
        checked = check(connection, known, known + 1)
        yield from _sound(checked)
        known += 1


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_APART: list[sa.Engine] = []  # of this process, when it is one of several that check


def _connect(url: str) -> None:
    _APART.append(sa.create_engine(url))


def _check_apart(index_key: bytes | None, known: int, start: int) -> Checked:
    with _APART[0].connect() as connection:
        return check_range(index_key, connection, start, min(start + PAGE, known))


def _sound(checked: Checked) -> Iterator[bytes]:
    leaves = checked.leaves
    yield from (leaves[at : at + SIZE] for at in range(0, len(leaves), SIZE))
    if checked.fault is not None:
        raise _FaultError(checked.fault)


def check_range(index_key: bytes | None, connection: sa.Connection, start: int, end: int) -> Checked:
    """Check the events [start, end) by themselves: place, commitment, and with `index_key` what they are found by."""
    statement = (
        sa.select(*_COMMITTED, *(_FOUND_BY if index_key else []))
        .where(store.events.c.seq >= start, store.events.c.seq < end)
        .order_by(store.events.c.seq)
    )
    about = _about(connection, start, end) if index_key else {}
    leaves: list[bytes] = []
    try:
        for row in connection.execute(statement):
            seq, received, source, document, nonce, committed = row[: len(_COMMITTED)]
            if seq != start + len(leaves):
                break
            if document == GONE:
                _check_erased(connection, seq)
            else:
                if entry(received, source, nonce, document) != committed:
                    raise _FaultError(f"event {seq} is not the one that was committed to")
                if index_key:
                    _check_index(row, about.get(seq, []), indexed(document, index_key))
            leaves.append(merkle.leaf_hash(committed))
    except (TypeError, ValueError, AttributeError):  # what was put there is no event, or no bytes (SQLite takes any type)
        return Checked(b"".join(leaves), f"event {start + len(leaves)} is not the one that was committed to")
    except _FaultError as fault:
        return Checked(b"".join(leaves), str(fault))
    return Checked(b"".join(leaves), None if len(leaves) == end - start else f"event {start + len(leaves)} is missing")


def _about(connection: sa.Connection, start: int, end: int) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    seqs = store.subjects.c.seq
    for subject in connection.execute(sa.select(store.subjects).where(seqs >= start, seqs < end)):
        found[subject.seq].append(subject.patient_token)
    return found


def _check_index(row: Any, tokens: list[str], found: Indexed) -> None:  # noqa: ANN401 - a row of the table
    for name, value in found.columns.items():
        if getattr(row, name) != value:
            if name == "event_id":
                raise _FaultError(f"event {row.seq} is kept under another id than its document has")
            raise _FaultError(f"event {row.seq} is indexed under another {name} than its document has")
    if sorted(tokens) != found.patients:
        raise _FaultError(f"event {row.seq} is indexed for other clients than its document names")


def _check_erased(connection: sa.Connection, seq: int) -> None:
    """An event may say nothing any more when an event of the log tells that it was erased, and nothing of it is left."""
    row = connection.execute(sa.select(store.events).where(store.events.c.seq == seq)).one()
    table = store.erasures
    place = connection.execute(sa.select(table).where(sa.between(seq, table.c.first, table.c.last))).first()
    told = connection.execute(sa.select(store.events).where(store.events.c.seq == place.event)).first() if place else None
    if place is None or told is None:
        raise _FaultError(f"event {seq} says nothing, and no erasure is known")
    if told.document != GONE and not _tells(told.document, f"{place.first}-{place.last}"):
        raise _FaultError(f"event {seq} says nothing, and event {place.event} does not tell that it was erased")
    left = [row.agent, row.organization, row.role, row.trace_id, row.request_id, row.facets]
    if row.nonce != GONE or any(each is not None for each in left) or _about(connection, seq, seq + 1):
        raise _FaultError(f"event {seq} was erased, and something of it is left")


def _check_beside(connection: sa.Connection, cosigner: str | None) -> None:
    """What stands beside the events: no client for an event that is not there, and what the witness cosigned."""
    if connection.execute(_BEFORE).first():
        raise _FaultError("an event stands before the first")
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


def _check_end(connection: sa.Connection, size: int, tiles: dict[tuple[int, int], bytes]) -> None:
    """After the last checkpoint nothing stands, and the tiles are those of the tree, unless the log grew while we looked."""

    def grown() -> bool:
        last = store.last_checkpoint(connection)
        return last is not None and last[0] > size

    extra = connection.scalar(sa.select(store.events.c.seq).where(store.events.c.seq >= size).limit(1))
    if extra is not None and not grown():
        raise _FaultError(f"event {size} stands after the last checkpoint")
    for (level, position), hashes in tiles.items():
        stored = store.tile(connection, level, position)
        if stored != hashes and (stored[: len(hashes)] != hashes or not grown()):
            raise _FaultError(f"tile {level}/{position} differs")


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
