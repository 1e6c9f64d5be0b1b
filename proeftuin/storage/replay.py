"""What serves once: ids of proofs, assertions and presentations, kept in the service's database until they are too old anyway.

So a replay is seen after a restart, and by every process that shares the database.
"""

import hashlib
from datetime import datetime

import sqlalchemy as sa

from proeftuin.storage.prepared import Prepared

metadata = sa.MetaData()
served = sa.Table(
    "served_once",
    metadata,
    sa.Column("kind", sa.String(24), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("forgotten", sa.BigInteger, nullable=False, index=True),  # seconds since 1970
)
_INSERT = Prepared(served.insert())
_PRUNE = Prepared(served.delete().where(served.c.forgotten < sa.bindparam("now")))


def serve(connection: sa.Connection, kind: str, value: str, forgotten: datetime, now: datetime) -> None:
    """Let `value` serve for the first and only time; what `kind` it is keeps ids of different makers apart.

    Raises sqlalchemy.exc.IntegrityError when it served before. It is remembered until `forgotten`, after which the caller must
    refuse it for its age. Older ones are pruned in the same transaction.
    """
    _PRUNE(connection, {"now": int(now.timestamp())})
    digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
    _INSERT(connection, {"kind": kind, "digest": digest, "forgotten": int(forgotten.timestamp()) + 1})
