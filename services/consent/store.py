"""Consents in versions that are only added to: what held at any moment, and what was known at any moment, stays answerable."""

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.reasons import NOT_FOUND, VERSION_STALE, Refused
from proeftuin.storage.prepared import Prepared

metadata = sa.MetaData()
versions = sa.Table(
    "consent_version",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("patient_token", sa.String(64), nullable=False),  # HMAC of the BSN
    sa.Column("recorded", sa.String(32), nullable=False),  # when the register learnt it
    sa.Column("superseded", sa.String(32)),  # when it learnt better; NULL: it holds
    sa.Column("resource", sa.Text, nullable=False),
    sa.Index("consent_current", "patient_token", "superseded"),
)
relied = sa.Table(  # which holder got a permit on which consent, and so may have tokens that stand on it
    "relied_on",
    metadata,
    sa.Column("consent", sa.String(36), primary_key=True),
    sa.Column("holder", sa.String(8), primary_key=True),  # URA
)
_CURRENT = Prepared(
    sa.select(versions.c.resource)
    .where(versions.c.patient_token == sa.bindparam("token"), versions.c.superseded.is_(None))
    .order_by(versions.c.id)
)


def patient_token(key: bytes, bsn: str) -> str:
    """Return what stands for a BSN in the index."""
    return hmac.new(key, bsn.encode(), hashlib.sha256).hexdigest()


def current(connection: sa.Connection, token: str) -> list[str]:
    """Return the newest version of each consent of a client, as it is stored."""
    return [row.resource for row in _CURRENT(connection, {"token": token})]


def of_patient(connection: sa.Connection, token: str) -> list[dict[str, Any]]:
    """Return the newest version of each consent of a client."""
    return [json.loads(text) for text in current(connection, token)]


def known_at(connection: sa.Connection, token: str, moment: str) -> list[str]:
    """Return, as it is stored, the version of each consent of a client that the register held at `moment` (a UTC instant)."""
    held = (versions.c.recorded <= moment, sa.or_(versions.c.superseded.is_(None), versions.c.superseded > moment))
    statement = sa.select(versions.c.id, versions.c.resource).where(versions.c.patient_token == token, *held)
    rows = connection.execute(statement.order_by(versions.c.id, versions.c.version))
    return list({row.id: row.resource for row in rows}.values())


def read(connection: sa.Connection, consent_id: str, token: str) -> dict[str, Any] | None:
    """Return the newest version of a consent of this client; another's does not exist for it."""
    return next((each for each in of_patient(connection, token) if each["id"] == consent_id), None)


def add(connection: sa.Connection, resource: dict[str, Any], token: str, now: datetime) -> dict[str, Any]:
    """Register a consent, whose id is new; returns the stored resource."""
    _hold(connection, token)
    return _insert(connection, resource, token, 1, now)


def update(connection: sa.Connection, resource: dict[str, Any], token: str, if_match: str | None, now: datetime) -> dict[str, Any]:
    """Add a version to a consent; returns the stored resource.

    Raises Refused: NOT_FOUND, or VERSION_STALE when `if_match` (an ETag) is not the version that stands.
    """
    own = (versions.c.id == resource["id"], versions.c.patient_token == token)
    _hold(connection, token)
    where = (*own, versions.c.superseded.is_(None))
    newest = connection.scalar(sa.select(versions.c.version).where(*where))
    if newest is None:
        raise Refused(NOT_FOUND, "the client has no consent with this id")
    if if_match is not None and if_match != "*" and if_match.removeprefix("W/").strip('"') != str(newest):
        raise Refused(VERSION_STALE, f"version {newest} stands")
    connection.execute(versions.update().where(*where).values(superseded=instant(now)))
    return _insert(connection, resource, token, newest + 1, now)


def _insert(connection: sa.Connection, resource: dict[str, Any], token: str, version: int, now: datetime) -> dict[str, Any]:
    moment = instant(now)
    stored = resource | {"meta": resource.get("meta", {}) | {"versionId": str(version), "lastUpdated": moment}}
    connection.execute(
        versions.insert().values(
            id=stored["id"], version=version, patient_token=token, recorded=moment, resource=json.dumps(stored)
        )
    )
    return stored


def rely(connection: sa.Connection, pairs: set[tuple[str, str]], token: str) -> list[str]:
    """Keep that permits were given on consents of a client to holders (URA); returns what is `current` then.

    A change that the answer does not show comes later, and knows of these holders.
    """
    _hold(connection, token, shared=True)
    for consent, holder in sorted(pairs):
        where = (relied.c.consent == consent, relied.c.holder == holder)
        try:
            with connection.begin_nested():
                connection.execute(relied.insert().values(consent=consent, holder=holder))
        except sa.exc.IntegrityError:
            if connection.scalar(sa.select(relied.c.consent).where(*where)) is None:
                raise
    return current(connection, token)


def _hold(connection: sa.Connection, token: str, *, shared: bool = False) -> None:
    """Have changes of one client's consents wait for each other, and for who begins to rely on them, until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer
        lock = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
        connection.execute(sa.select(lock(int(token[:15], 16))))


def holders(connection: sa.Connection, consent: str) -> list[str]:
    """Return the holders (URA) that got a permit on a consent."""
    return list(connection.scalars(sa.select(relied.c.holder).where(relied.c.consent == consent).order_by(relied.c.holder)))
