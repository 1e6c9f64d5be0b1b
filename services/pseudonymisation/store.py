"""The recipients' public keys: for whom, and for which scope, an evaluation may be sealed."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.clock import instant

metadata = sa.MetaData()
recipients = sa.Table(
    "recipient",
    metadata,
    sa.Column("organization", sa.String(64), primary_key=True),
    sa.Column("scope", sa.String(64), primary_key=True),
    sa.Column("jwk", sa.Text, nullable=False),
    sa.Column("registered", sa.String(32), nullable=False),
)


def register(connection: sa.Connection, organization: str, scope: str, jwk: dict[str, Any], now: datetime) -> bool:
    """Keep a recipient's key, in place of an earlier one; returns whether it is the first."""
    values = {"jwk": json.dumps(jwk), "registered": instant(now)}
    where = (recipients.c.organization == organization, recipients.c.scope == scope)
    if connection.execute(recipients.update().where(*where).values(values)).rowcount:
        return False
    connection.execute(recipients.insert().values(organization=organization, scope=scope, **values))
    return True


def key_of(connection: sa.Connection, organization: str, scope: str) -> dict[str, Any] | None:
    """Return the public JWK of a recipient."""
    found = connection.scalar(
        sa.select(recipients.c.jwk).where(recipients.c.organization == organization, recipients.c.scope == scope)
    )
    return None if found is None else json.loads(found)


def known(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return every (organization, scope) that is registered."""
    rows = connection.execute(sa.select(recipients.c.organization, recipients.c.scope).order_by(recipients.c.organization))
    return [(row.organization, row.scope) for row in rows]
