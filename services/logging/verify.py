"""Check the whole log against itself: every commitment, leaf, tile, root and signature, recomputed from the rows."""

from dataclasses import dataclass

import sqlalchemy as sa

from proeftuin.transparency import checkpoint, merkle
from proeftuin.transparency.checkpoint import CheckpointError
from proeftuin.transparency.tiles import Tree, hash_at
from services.logging import store
from services.logging.sequencer import entry


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


def verify(connection: sa.Connection, verifier: str) -> Report:  # noqa: PLR0911 - one return for each kind of fault
    """Recompute the log of `connection`; `verifier` is the key line of the log (C2SP signed-note)."""
    notes = list(connection.execute(sa.select(store.checkpoints).order_by(store.checkpoints.c.size)))
    tree, seen, checked = Tree(), 0, 0
    computed: dict[tuple[int, int], bytes] = {}
    read = hash_at(lambda level, position: computed.get((level, position), b""), keep=0)
    rows = iter(connection.execute(sa.select(store.events).order_by(store.events.c.seq)))
    for note in notes:
        while seen < note.size:
            row = next(rows, None)
            if row is None or row.seq != seen:
                return Report(seen, checked, f"event {seen} is missing")
            if entry(row.received, row.source, row.nonce, row.document) != row.entry:
                return Report(seen, checked, f"event {seen} is not the one that was committed to")
            computed |= tree.append([merkle.leaf_hash(row.entry)])
            seen += 1
        root = merkle.root(seen, read)
        try:
            signed = checkpoint.verify(note.note, verifier)
        except CheckpointError as error:
            return Report(seen, checked, f"checkpoint {note.size}: {error}")
        if (signed.size, signed.root) != (note.size, root) or note.root != root:
            return Report(seen, checked, f"checkpoint {note.size} signed another root: an event up to {seen} was changed")
        checked += 1
    if next(rows, None) is not None:
        return Report(seen, checked, f"event {seen} stands after the last checkpoint")
    for (level, position), hashes in computed.items():
        if store.tile(connection, level, position) != hashes:
            return Report(seen, checked, f"tile {level}/{position} differs")
    return Report(seen, checked)
