"""Check the whole log against itself: every commitment, leaf, tile, root, signature and index, recomputed from the rows."""

import json
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from proeftuin.transparency import checkpoint, cosignature, merkle
from proeftuin.transparency.checkpoint import CheckpointError
from proeftuin.transparency.tiles import SIZE, WIDTH, Tree, joined
from services.logging import partitions, store
from services.logging.erasure import GONE
from services.logging.indexing import Indexed, indexed
from services.logging.sequencer import entry

PAGE = 4096  # events that one process checks at once: a power of two, so that a page is a subtree, and full tiles
PARALLEL = 20_000  # events from which on several processes pay
_COMMITTED = [store.events.c[name] for name in ("seq", "received", "source", "document", "nonce", "entry")]
_FOUND_BY = [column for column in store.events.c if column not in set(_COMMITTED)]
_FOUND_NAMES = [column.name for column in _FOUND_BY]
_WIDTH = len(_COMMITTED)
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


@dataclass(slots=True)
class Checked:
    """A page of events: what its leaves add to the tree, and the first thing in it that does not hold.

    `roots`: for each checkpoint in the page its size, the root of the page's leaves up to there, and the root that was signed.
    """

    tree: Tree  # of this page alone
    roots: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    fault: str | None = None
    tile_fault: str | None = None


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
    checked, above, tree = 0, Tree(), Tree()
    try:
        known = _begun(connection, verifier)
        checked += 1
        wrong_tile = None
        upper: dict[tuple[int, int], bytes] = {}
        for page in _pages(connection, known, verifier, index_key):
            for size, within, signed in page.roots:
                if joined(above.peaks, within) != signed:
                    raise _FaultError(f"checkpoint {size} signed another root: an event up to {size} was changed")
                checked += 1
            tree = page.tree
            if page.fault is not None:
                raise _FaultError(page.fault)
            wrong_tile = wrong_tile or page.tile_fault
            tops = tree.edge[1] if len(tree.edge) > 1 else b""
            upper |= above.append([tops[at : at + SIZE] for at in range(0, len(tops), SIZE)])
        if wrong_tile:
            raise _FaultError(wrong_tile)
        _check_beside(connection, known, cosigner)
        tiles = {(level + 1, position): hashes for (level, position), hashes in upper.items()}
        if tree.edge[0]:
            tiles[0, known // WIDTH] = tree.edge[0]
        _check_end(connection, known, tiles)
    except _FaultError as fault:
        return Report(above.size * WIDTH + tree.size % WIDTH, checked, str(fault))
    return Report(known, checked)


def _begun(connection: sa.Connection, verifier: str) -> int:
    """The size that the last checkpoint names, after a look at that of the empty log."""
    last = store.last_checkpoint(connection)
    if last is None:
        raise _FaultError("there is no checkpoint")
    first = connection.execute(sa.select(store.checkpoints).order_by(store.checkpoints.c.size).limit(1)).one()
    if first.size == 0 and _signed(first, verifier) != merkle.EMPTY_ROOT:
        raise _FaultError("checkpoint 0 signed another root")
    return last[0]


def _signed(note: Any, verifier: str) -> bytes:  # noqa: ANN401 - a row of the table
    """The root that a stored checkpoint signed."""
    try:
        signed = checkpoint.verify(str(note.note), verifier)
    except CheckpointError as error:
        raise _FaultError(f"checkpoint {note.size}: {error}") from error
    if signed.size != note.size or signed.root != note.root:
        raise _FaultError(f"checkpoint {note.size} signed another root: an event up to {note.size} was changed")
    return signed.root


def _pages(connection: sa.Connection, known: int, verifier: str, index_key: bytes | None) -> Iterator[Checked]:
    """The pages up to `known` in order, checked by all processors when they are many."""
    starts = range(0, known, PAGE)
    check = partial(check_page, index_key, verifier, known)
    if known < PARALLEL or processors() == 1:
        yield from (check(connection, start) for start in starts)
        return
    url = connection.engine.url.render_as_string(hide_password=False)
    spawn = multiprocessing.get_context("spawn")  # a fork would take the connections along
    with ProcessPoolExecutor(processors(), spawn, _connect, (url,)) as pool:
        yield from pool.map(partial(_check_apart, check), starts)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_APART: list[sa.Engine] = []  # of this process, when it is one of several that check


def _connect(url: str) -> None:
    _APART.append(sa.create_engine(url))


def _check_apart(check: Callable[[sa.Connection, int], Checked], start: int) -> Checked:
    with _APART[0].connect() as connection:
        return check(connection, start)


def check_page(index_key: bytes | None, verifier: str, known: int, connection: sa.Connection, start: int) -> Checked:
    """Check the events from `start` to the end of their page or to `known`, and the checkpoints among them."""
    end = min(start + PAGE, known)
    leaves, fault = _leaves(index_key, connection, start, end)
    page = Checked(Tree(), fault=fault)
    tiles: dict[tuple[int, int], bytes] = {}
    sizes = store.checkpoints.c.size
    notes = sa.select(store.checkpoints).where(sizes > start, sizes <= end).order_by(sizes)
    if fault is None and index_key and connection.dialect.name == "postgresql":
        page.fault = _misdelivered(connection, start, end)
    try:
        for note in connection.execute(notes).all():
            if note.size > start + len(leaves):
                break
            tiles |= page.tree.append(leaves[page.tree.size : note.size - start])
            page.roots.append((note.size, page.tree.root(), _signed(note, verifier)))
    except _FaultError as wrong:
        page.fault = str(wrong)
    tiles |= page.tree.append(leaves[page.tree.size :])
    for (level, position), hashes in tiles.items():
        place = start // WIDTH + position
        if level == 0 and len(hashes) == WIDTH * SIZE and store.tile(connection, 0, place) != hashes:
            page.tile_fault = page.tile_fault or f"tile 0/{place} differs"
    return page


def _misdelivered(connection: sa.Connection, start: int, end: int) -> str | None:
    """The first event in [start, end) that the table of deliveries does not have, or has otherwise."""
    event, known = store.events.c, partitions.deliveries.c
    same = sa.and_(known.seq == event.seq, known.source == event.source, known.event_id == event.event_id,
                   known.received == event.received)  # fmt: skip
    joined_ = sa.select(event.seq).outerjoin(partitions.deliveries, same)
    found = connection.scalar(joined_.where(event.seq >= start, event.seq < end, known.seq.is_(None)).order_by(event.seq).limit(1))
    return None if found is None else f"event {found} is not among the deliveries as it was delivered"


def _leaves(index_key: bytes | None, connection: sa.Connection, start: int, end: int) -> tuple[list[bytes], str | None]:
    """The leaf hashes of the events [start, end) up to the first that does not hold by itself, and what is wrong with that."""
    statement = (
        sa.select(*_COMMITTED, *(_FOUND_BY if index_key else []))
        .where(store.events.c.seq >= start, store.events.c.seq < end)
        .order_by(store.events.c.seq)
    )
    about = _about(connection, start, end) if index_key else {}
    leaves: list[bytes] = []
    rows = connection.execute(statement).cursor
    try:
        for row in rows.fetchall():  # of the driver itself: no object for each row
            seq, received, source, document, nonce, committed = row[:_WIDTH]
            if seq != start + len(leaves):
                break
            if document == GONE:
                _check_erased(connection, seq)
            else:
                if entry(received, source, nonce, document) != committed:
                    raise _FaultError(f"event {seq} is not the one that was committed to")
                if index_key:
                    _check_index(seq, received, row[_WIDTH:], about.get(seq, []), indexed(document, index_key))
            leaves.append(sha256(b"\x00" + committed).digest())
    except (TypeError, ValueError, AttributeError):  # what was put there is no event, or no bytes (SQLite takes any type)
        return leaves, f"event {start + len(leaves)} is not the one that was committed to"
    except _FaultError as fault:
        return leaves, str(fault)
    return leaves, None if len(leaves) == end - start else f"event {start + len(leaves)} is missing"


def _about(connection: sa.Connection, start: int, end: int) -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    seqs = store.subjects.c.seq
    for subject in connection.execute(sa.select(store.subjects).where(seqs >= start, seqs < end)):
        found[subject.seq].append((subject.patient_token, subject.received))
    return found


def _check_index(seq: int, received: str, stored: tuple[Any, ...], about: list[tuple[str, str]], found: Indexed) -> None:
    if stored != tuple(map(found.columns.__getitem__, _FOUND_NAMES)):
        name = next(name for name, value in zip(_FOUND_NAMES, stored, strict=True) if found.columns[name] != value)
        if name == "event_id":
            raise _FaultError(f"event {seq} is kept under another id than its document has")
        raise _FaultError(f"event {seq} is indexed under another {name} than its document has")
    if sorted(about) != [(token, received) for token in found.patients]:
        raise _FaultError(f"event {seq} is indexed for other clients than its document names")


def _check_erased(connection: sa.Connection, seq: int) -> None:
    """An event may say nothing any more when an event of the log tells that it was erased, and nothing of it is left."""
    row = connection.execute(sa.select(store.events).where(store.events.c.seq == seq)).one()
    table = store.erasures
    place = connection.execute(sa.select(table).where(sa.between(seq, table.c.first, table.c.last))).first()
    told = connection.execute(sa.select(store.events).where(store.events.c.seq == place.event)).first() if place else None
    if place is None or told is None:
        raise _FaultError(f"event {seq} says nothing, and no erasure is known")
    if told.document != GONE and not tells(told.document, f"{place.first}-{place.last}"):
        raise _FaultError(f"event {seq} says nothing, and event {place.event} does not tell that it was erased")
    left = [row.agent, row.organization, row.role, row.trace_id, row.request_id, row.facets]
    if row.nonce != GONE or any(each is not None for each in left) or _about(connection, seq, seq + 1):
        raise _FaultError(f"event {seq} was erased, and something of it is left")


def _check_beside(connection: sa.Connection, known: int, cosigner: str | None) -> None:
    """What stands beside the events: no client for an event that is not there, and what the witness cosigned."""
    if connection.execute(_BEFORE).first():
        raise _FaultError("an event stands before the first")
    seqs = store.subjects.c.seq
    there = sa.exists().where(store.events.c.seq == seqs)  # up to `known` every event is there, as we have seen
    if connection.execute(sa.select(seqs).where(sa.or_(seqs < 0, seqs >= known), ~there).limit(1)).first():
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


def tells(document: bytes, erased: str) -> bool:
    """Whether this is the event of an erasure that names the range `erased`."""
    event = json.loads(document)
    details = {detail["type"]: detail.get("valueString", "") for entity in event["entity"] for detail in entity.get("detail", [])}
    return event["subtype"][0]["code"] == "destroy" and erased in details.get("erased", "").split(",")
