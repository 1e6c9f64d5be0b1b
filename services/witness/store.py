"""What the witness saw of each log: its key, pinned at first sight, and the newest checkpoint that extends all before."""

from dataclasses import dataclass

import sqlalchemy as sa

from proeftuin.transparency import merkle
from proeftuin.transparency.checkpoint import Checkpoint

metadata = sa.MetaData()
logs = sa.Table(
    "log",
    metadata,
    sa.Column("origin", sa.String(200), primary_key=True),
    sa.Column("verifier", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),  # "" before the first checkpoint
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest checkpoint of a log that was cosigned, its signed note, and the key line of the log."""

    checkpoint: Checkpoint
    note: str
    verifier: str


def pin(connection: sa.Connection, origin: str, verifier: str) -> None:
    """Take up a log that was never seen; the key of one that was seen stays as it is."""
    if seen(connection, origin) is None:
        connection.execute(logs.insert().values(origin=origin, verifier=verifier, size=0, root=merkle.EMPTY_ROOT, note=""))


def seen(connection: sa.Connection, origin: str, *, lock: bool = False) -> Seen | None:
    """Return what was seen of a log; with `lock` nobody else may change it until the transaction ends."""
    statement = sa.select(logs).where(logs.c.origin == origin)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return Seen(Checkpoint(row.origin, row.size, row.root), row.note, row.verifier) if row else None


def keep(connection: sa.Connection, checkpoint: Checkpoint, note: str) -> None:
    """Put a newer checkpoint in the place of the one that was seen."""
    where = logs.c.origin == checkpoint.origin
    connection.execute(logs.update().where(where).values(size=checkpoint.size, root=checkpoint.root, note=note))
