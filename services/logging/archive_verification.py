"""Check an archive with nothing but the keys of log and witness: every commitment, every checkpoint of the year, and the seal."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from proeftuin.transparency import checkpoint, cosignature, merkle
from proeftuin.transparency.checkpoint import CheckpointError
from proeftuin.transparency.merkle import ProofError
from proeftuin.transparency.tiles import SIZE, joined
from services.logging.archive import FORMAT
from services.logging.erasure import GONE
from services.logging.sequencer import committed_to
from services.logging.verify import Report, tells


class _FaultError(Exception):
    """The first difference."""


class _Peaks:
    """The roots of the complete subtrees of a growing tree, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.hashes: list[bytes] = []

    def add(self, hash_: bytes, height: int = 0) -> None:
        """Add a complete subtree of 2**height leaves."""
        if self.size & ((1 << height) - 1):
            raise _FaultError(f"the subtree at {self.size} does not fit")
        left = self.size >> height
        while left & 1:
            hash_ = merkle.node_hash(self.hashes.pop(), hash_)
            left >>= 1
        self.hashes.append(hash_)
        self.size += 1 << height

    def root(self) -> bytes:
        return joined(self.hashes[:-1], self.hashes[-1]) if self.hashes else merkle.EMPTY_ROOT


def verify(path: Path, verifier: str, cosigner: str | None = None) -> Report:
    """Return what holds of the archive at `path`; `verifier` and `cosigner` are the key lines of log and witness (C2SP).

    With `cosigner` the checkpoint that seals the archive must have its cosignature.
    """
    events = checkpoints = 0
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            about = dict(file.execute("SELECT name, value FROM about"))
            if about.get("format") != FORMAT:
                raise _FaultError(f"this is no {FORMAT}")
            first, last, size = (int(about[name]) for name in ("first", "last", "size"))
            notes = _notes(file, size, verifier, cosigner)
            tree = _Peaks()
            _add_nodes(file, tree, 0, first)
            erased = _erased(file, notes[size])
            for seq, entry, document, nonce in file.execute("SELECT seq, entry, document, nonce FROM event ORDER BY seq"):
                if seq != tree.size or seq > last:
                    raise _FaultError(f"event {tree.size} is missing")
                if document == GONE:
                    if not any(low <= seq <= high for low, high in erased):
                        raise _FaultError(f"event {seq} says nothing, and no erasure is told of")
                elif not committed_to(entry, nonce, document):
                    raise _FaultError(f"event {seq} is not the one that was committed to")
                tree.add(merkle.leaf_hash(entry))
                if tree.size != size:
                    checkpoints += _holds(notes, tree)
                events += 1
            if tree.size != last + 1:
                raise _FaultError(f"event {tree.size} is missing")
            _add_nodes(file, tree, last + 1, size)
            checkpoints += _holds(notes, tree)
            if notes:
                raise _FaultError(f"checkpoint {min(notes)} is of no size that the archive has")
    except _FaultError as fault:
        return Report(events, checkpoints, str(fault))
    except (sqlite3.Error, KeyError, ValueError, TypeError, AttributeError) as error:
        return Report(events, checkpoints, f"the file is no whole archive: {error}"[:200])
    return Report(events, checkpoints)


def _notes(file: sqlite3.Connection, size: int, verifier: str, cosigner: str | None) -> dict[int, bytes]:
    """The roots that the checkpoints in the file signed, by size."""
    found: dict[int, bytes] = {}
    for stored, note in file.execute("SELECT size, note FROM checkpoint"):
        try:
            signed = checkpoint.verify(note, verifier)
            if cosigner is not None and (stored == size or "\N{EM DASH} " + cosigner.partition("+")[0] + " " in note):
                cosignature.verify(note, cosigner)
        except CheckpointError as error:
            raise _FaultError(f"checkpoint {stored}: {error}") from error
        if signed.size != stored:
            raise _FaultError(f"checkpoint {stored} is of size {signed.size}")
        found[stored] = signed.root
    if size not in found:
        raise _FaultError("the checkpoint that seals the archive is missing")
    return found


def _holds(notes: dict[int, bytes], tree: _Peaks) -> int:
    signed = notes.pop(tree.size, None)
    if signed is not None and signed != tree.root():
        raise _FaultError(f"checkpoint {tree.size} signed another root: an event up to {tree.size} was changed")
    return int(signed is not None)


def _add_nodes(file: sqlite3.Connection, tree: _Peaks, start: int, end: int) -> None:
    nodes: Iterator[Any] = file.execute(
        "SELECT start, height, hash FROM node WHERE start >= ? AND start < ? ORDER BY start", (start, end)
    )
    for at, height, hash_ in nodes:
        if at != tree.size or len(hash_) != SIZE or not 0 <= height < 63:
            raise _FaultError(f"the subtree at {tree.size} is missing")
        tree.add(hash_, height)
    if tree.size != end:
        raise _FaultError(f"the subtree at {tree.size} is missing")


def _erased(file: sqlite3.Connection, root: bytes) -> list[tuple[int, int]]:
    """The ranges of which an event, proven to be in the log, tells that they were erased."""
    size = int(file.execute("SELECT value FROM about WHERE name = 'size'").fetchone()[0])
    found = []
    for first, last, event in file.execute("SELECT first, last, event FROM erasure").fetchall():
        told = file.execute("SELECT entry, document, nonce, path FROM told WHERE seq = ?", (event,)).fetchone()
        if told is None:
            raise _FaultError(f"event {event}, which tells of an erasure, is missing")
        entry, document, nonce, path = told
        try:
            hashes = [path[at : at + SIZE] for at in range(0, len(path), SIZE)]
            merkle.verify_inclusion(merkle.leaf_hash(entry), event, size, hashes, root)
        except ProofError as error:
            raise _FaultError(f"event {event}, which tells of an erasure, is not in the log: {error}") from error
        if document != GONE and not (committed_to(entry, nonce, document) and tells(document, f"{first}-{last}")):
            raise _FaultError(f"event {event} does not tell of the erasure of {first} to {last}")
        found.append((first, last))
    return found
