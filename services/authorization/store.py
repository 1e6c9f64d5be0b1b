"""The grants of one party: what was issued, to whom, until when, and whether it was revoked. No token and no BSN stands here."""

from datetime import datetime

import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.tokens.access_token import AccessToken

metadata = sa.MetaData()
grants = sa.Table(
    "token_grant",
    metadata,
    sa.Column("jti", sa.String(64), primary_key=True),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("audience", sa.String(200), nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("thumbprint", sa.String(64), nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("revoked_at", sa.String(32)),
)
_INSERT = grants.insert()
_REVOKED_AT = sa.select(grants.c.revoked_at).where(grants.c.jti == sa.bindparam("jti"))
_REVOKE = (
    grants.update()
    .where(grants.c.jti == sa.bindparam("wanted"), grants.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("moment"))
)


def add(connection: sa.Connection, token: AccessToken) -> None:
    """Store the grant of a token that is about to be given."""
    grant = token.grant
    connection.execute(_INSERT, {
        "jti": token.jti, "client_id": grant.client_id, "audience": grant.audience,
        "scope": " ".join(sorted(grant.scopes)), "thumbprint": grant.thumbprint,
        "issued_at": token.issued_at, "expires_at": token.expires_at,
    })  # fmt: skip


def is_live(connection: sa.Connection, jti: str) -> bool:
    """Tell whether a grant with this jti was given and is not revoked."""
    row = connection.execute(_REVOKED_AT, {"jti": jti}).first()
    return row is not None and row.revoked_at is None


def revoke(connection: sa.Connection, jti: str, now: datetime) -> bool:
    """Revoke the grant; returns False when there is none or it was revoked before."""
    return connection.execute(_REVOKE, {"wanted": jti, "moment": instant(now)}).rowcount == 1
