"""What one authorization leaves between two requests of it: a handle that serves once, of which only the digest is stored."""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.tokens.dpop import digest
from services.authorization.store import metadata

PUSHED, SHOWN, CODE, USED = "pushed", "shown", "code", "used"  # stages: RFC 9126 request, login page, code, and what served
KEPT = 3600  # seconds for which a handle that served is recognised: the longest that a token given on it lives
handles = sa.Table(
    "authorization_handle",
    metadata,
    sa.Column("digest", sa.String(43), primary_key=True),
    sa.Column("stage", sa.String(8), nullable=False),
    sa.Column("content", sa.Text),  # gone once it served
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization request (RFC 6749 §4.1.1) that was checked, and after the login the person: (naming system, number)."""

    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    state: str | None = None
    nonce: str | None = None
    resource: str | None = None
    authorization_details: str | None = None
    dpop_jkt: str | None = None
    person: tuple[str, str] | None = None
    logged_in_at: int | None = None


def put(connection: sa.Connection, stage: str, authorization: Authorization, now: datetime, lifetime: int) -> str:
    """Store an authorization under a new handle that serves for `lifetime` seconds; returns the handle."""
    moment = int(now.timestamp())
    connection.execute(handles.delete().where(handles.c.expires_at < moment - KEPT))
    handle = secrets.token_urlsafe(32)
    content = json.dumps(asdict(authorization))
    row = {"digest": digest(handle), "stage": stage, "content": content, "expires_at": moment + lifetime}
    connection.execute(handles.insert(), row)
    return handle


def take(connection: sa.Connection, stage: str, handle: str, now: datetime) -> Authorization | None:
    """Let a handle serve, once; returns None when it is of no such stage, too old, or served before."""
    key = handles.c.digest == digest(handle)
    row = connection.execute(sa.select(handles.c.content, handles.c.expires_at).where(key, handles.c.stage == stage)).first()
    if row is None or row.expires_at <= now.timestamp():
        return None
    served = connection.execute(handles.update().where(key, handles.c.stage == stage).values(stage=USED, content=None))
    return _authorization(json.loads(row.content)) if served.rowcount == 1 else None


def has_served(connection: sa.Connection, handle: str) -> bool:
    """Tell whether a handle served before."""
    return connection.scalar(sa.select(handles.c.stage).where(handles.c.digest == digest(handle))) == USED


def _authorization(content: dict[str, Any]) -> Authorization:
    person = content.pop("person")
    return Authorization(**content, person=tuple(person) if person else None)
