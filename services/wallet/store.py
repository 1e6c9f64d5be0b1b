"""What one party issued, with a place in its status list, and what it holds. Credentials are kept as they were signed."""

import secrets
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.status import SIZE
from proeftuin.reasons import INVALID_REQUEST, NOT_FOUND, TOO_LARGE, Refused

metadata = sa.MetaData()
issued = sa.Table(
    "issued_credential",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),  # the part of the credential's id after the DID
    sa.Column("type", sa.String(64), nullable=False, index=True),
    sa.Column("subject", sa.String(1024), nullable=False),
    sa.Column("page", sa.Integer),
    sa.Column("status_index", sa.Integer),
    sa.Column("issued_at", sa.String(32), nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.String(32)),
    sa.Column("raw", sa.Text, nullable=False),
    sa.UniqueConstraint("page", "status_index"),
)
held = sa.Table(
    "held_credential",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(2200), nullable=False, unique=True),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("issuer", sa.String(2048), nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("raw", sa.Text, nullable=False),
)
FULL = SIZE // 2  # a page is left half empty: a random free place is found at once, and places tell nothing of the order
MOST_HELD = 500


def allocate(connection: sa.Connection) -> tuple[int, int]:
    """Return a free place, (page, index), in the party's status list: random, so that it says nothing about the holder."""
    total = connection.scalar(sa.select(sa.func.count()).select_from(issued).where(issued.c.page.is_not(None))) or 0
    page = total // FULL + 1
    while True:
        index = secrets.randbelow(SIZE)
        taken = connection.scalar(sa.select(issued.c.id).where(issued.c.page == page, issued.c.status_index == index))
        if taken is None:
            return page, index


def add_issued(connection: sa.Connection, credential: Credential, place: tuple[int, int] | None, raw: str, now: datetime) -> None:
    """Store a credential that is about to be given."""
    connection.execute(issued.insert(), {
        "id": local_id(credential.id), "type": credential.type, "subject": credential.subject, "page": place and place[0],
        "status_index": place and place[1], "issued_at": instant(now), "expires_at": credential.expires, "raw": raw,
    })  # fmt: skip


def issued_of(connection: sa.Connection, kind: str | None, subject: str | None) -> list[dict[str, Any]]:
    """Return what was issued, newest first: all, or of one type or to one subject."""
    query = sa.select(issued).order_by(issued.c.issued_at.desc(), issued.c.id).limit(MOST_HELD)
    query = query.where(issued.c.type == kind) if kind else query
    query = query.where(issued.c.subject == subject) if subject else query
    return [dict(row) for row in connection.execute(query).mappings()]


def revoke(connection: sa.Connection, credential_id: str, now: datetime) -> None:
    """Set the bit of a credential; to do it twice changes nothing. Raises Refused(NOT_FOUND or INVALID_REQUEST)."""
    row = connection.execute(sa.select(issued.c.page).where(issued.c.id == credential_id)).first()
    if row is None:
        raise Refused(NOT_FOUND, "no credential with this id was issued here")
    if row.page is None:
        raise Refused(INVALID_REQUEST, "this credential ends with its certificate: revoke that (proeftuin pki revoke)")
    change = issued.update().where(issued.c.id == credential_id, issued.c.revoked_at.is_(None))
    connection.execute(change.values(revoked_at=instant(now)))


def revoked(connection: sa.Connection, page: int) -> tuple[list[int], bool]:
    """Return the set bits of a page, and whether anything stands on it."""
    rows = connection.execute(
        sa.select(issued.c.status_index)
        .where(issued.c.page == page, issued.c.revoked_at.is_not(None))
        .order_by(issued.c.status_index)
    )
    used = connection.scalar(sa.select(issued.c.id).where(issued.c.page == page).limit(1)) is not None
    return [row.status_index for row in rows], used


def hold(connection: sa.Connection, credential: Credential, raw: str) -> None:
    """Keep a credential; one that is there already stays. Raises Refused(TOO_LARGE) when the wallet is full."""
    if connection.scalar(sa.select(held.c.id).where(held.c.id == credential.id)) is not None:
        return
    if (connection.scalar(sa.select(sa.func.count()).select_from(held)) or 0) >= MOST_HELD:
        raise Refused(TOO_LARGE, f"a wallet holds {MOST_HELD} credentials: remove some")
    connection.execute(held.insert(), {
        "id": credential.id, "type": credential.type, "issuer": credential.issuer, "expires_at": credential.expires, "raw": raw,
    })  # fmt: skip


def held_by(connection: sa.Connection) -> list[str]:
    """Return what the party holds, newest first, so that a renewed credential is presented before the old one."""
    rows = connection.execute(sa.select(held.c.raw).order_by(held.c.position.desc()).limit(MOST_HELD))
    return [row.raw for row in rows]


def drop(connection: sa.Connection, credential_id: str) -> None:
    """Remove what the party holds with this id after the DID of its issuer; raises Refused(NOT_FOUND)."""
    gone = connection.execute(held.delete().where(held.c.id.endswith(f"#{credential_id}", autoescape=True)))
    if not gone.rowcount:
        raise Refused(NOT_FOUND, "this wallet holds no such credential")


def local_id(credential_id: str) -> str:
    """Return the part of a credential's id after the DID of its issuer."""
    return credential_id.rpartition("#")[2]
