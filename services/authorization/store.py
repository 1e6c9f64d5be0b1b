"""The grants of one party: what was issued, to whom, until when, on what it stands, and what of that came to an end.

Nothing is marked in a grant when it dies: it lives while none of its grounds has ended, itself being one. So what ends a ground is
one row, whichever order it and the grant are stored in, and whoever asks sees it at once. No token stands here and no BSN, but for
`evidence`, which is what a door was shown.
"""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.storage.prepared import Prepared
from proeftuin.tokens.access_token import AccessToken
from services.authorization.grants import CONSENT, GRANT, GrantRequest, Ground

metadata = sa.MetaData()
grants = sa.Table(
    "issued_grant",
    metadata,
    sa.Column("jti", sa.String(64), primary_key=True),
    sa.Column("door", sa.String(80), nullable=False),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("principal", sa.String(64), nullable=False),
    sa.Column("actors", sa.Text, nullable=False),
    sa.Column("subject", sa.String(64)),  # HMAC of the BSN
    sa.Column("person", sa.String(64)),  # HMAC of the number of the acting person
    sa.Column("audience", sa.String(200), nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("purpose", sa.String(64)),
    sa.Column("legal_basis", sa.String(64), nullable=False),
    sa.Column("bound_by", sa.String(16), nullable=False),
    sa.Column("bound_to", sa.String(64), nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("not_before", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("evidence", sa.Text),
    sa.Index("grants_of_client", "client_id", "expires_at"),
    sa.Index("grants_of_subject", "subject", "expires_at"),
)
grounds = sa.Table(
    "grant_ground",
    metadata,
    sa.Column("jti", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("id", sa.String(300), primary_key=True),
    sa.Column("since", sa.BigInteger, nullable=False),  # position of the newest end that was known when the ground was looked at
    sa.Index("grants_on_ground", "kind", "id"),
)
ends = sa.Table(
    "ground_end",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("id", sa.String(300), nullable=False),
    sa.Column("ended_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("ended_by", sa.String(64), nullable=False),
    sa.Column("notice", sa.String(100)),  # by which the teller knows it; told again, it ends nothing again
    sa.Index("end_of_ground", "kind", "id", "position"),
    sa.Index("end_told_once", "ended_by", "notice", "kind", "id", unique=True),
    sqlite_autoincrement=True,  # a position is never given twice, also after pruning
)
_ENDED = (
    sa.select(ends.c.position)
    .where(ends.c.kind == grounds.c.kind, ends.c.id == grounds.c.id, ends.c.position > grounds.c.since)
    .exists()
)
_INSERT_GRANT, _INSERT_GROUNDS = Prepared(grants.insert()), Prepared(grounds.insert())
_INSERT_END = Prepared(ends.insert(), "kind", "id", "ended_at", "ended_by", "notice")
_GROUNDS = Prepared(sa.select(grounds.c.kind, grounds.c.id, _ENDED.label("ended")).where(grounds.c.jti == sa.bindparam("jti")))
_SINCES = sa.select(grounds.c.kind, grounds.c.id, grounds.c.since).where(grounds.c.jti == sa.bindparam("jti"))
_LIVE = ~sa.select(grounds.c.jti).where(grounds.c.jti == grants.c.jti, _ENDED).exists()
_PAGE = (
    sa.select(grants)
    .where(_LIVE, grants.c.expires_at > sa.bindparam("now"))
    .order_by(grants.c.expires_at.desc(), grants.c.jti)
    .limit(sa.bindparam("most"))
)
_OLD = sa.select(grants.c.jti).where(grants.c.expires_at < sa.bindparam("before")).limit(sa.bindparam("most"))


def pseudonym(key: bytes, value: str | None) -> str | None:
    """Return what stands for the number of a person in the store."""
    return None if value is None else hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def newest_end(connection: sa.Connection) -> int:
    """Return the position of the newest end."""
    return int(connection.scalar(sa.select(sa.func.max(ends.c.position))) or 0)


def add(
    connection: sa.Connection,
    token: AccessToken,
    request: GrantRequest,
    stands_on: Iterable[Ground],
    since: int,
    key: bytes,
    basis: str,
) -> None:
    """Store a grant, and what it stands on, before its token is given.

    A consent may be given anew after it was withdrawn, so for those only an end counts that is newer than `since`: `newest_end` of
    before consent was asked. Of everything else the end is final.
    """
    grant = token.grant
    _INSERT_GRANT(connection, {
        "jti": token.jti, "door": request.door, "client_id": grant.client_id, "principal": grant.acts_for,
        "actors": " ".join(grant.actors), "subject": pseudonym(key, grant.patient),
        "person": pseudonym(key, grant.person.identifier if grant.person else None),
        "audience": grant.audience, "scope": " ".join(sorted(grant.scopes)), "purpose": grant.purpose, "legal_basis": basis,
        "bound_by": grant.confirmation.method, "bound_to": grant.confirmation.value,
        "issued_at": token.issued_at, "not_before": grant.not_before, "expires_at": token.expires_at,
        "evidence": json.dumps(dict(request.evidence)) if request.evidence else None,
    })  # fmt: skip
    own = Ground(GRANT, token.jti)
    sinces = {each: since if each.kind == CONSENT else 0 for each in (own, *stands_on)}
    if request.exchanged is not None:  # with the older `since`: an end that killed the original kills this one
        found = connection.execute(_SINCES, {"jti": request.exchanged})
        sinces |= {Ground(row.kind, row.id): row.since for row in found}
    _INSERT_GROUNDS.many(connection, [{"jti": token.jti, "kind": on.kind, "id": on.id, "since": at} for on, at in sinces.items()])


def standing(connection: sa.Connection, jti: str) -> tuple[list[Ground], bool]:
    """Return what a grant stands on, and whether all of that is left as far as this store knows; an unknown grant: nothing."""
    rows = _GROUNDS(connection, {"jti": jti}).all()
    return [Ground(row.kind, row.id) for row in rows], bool(rows) and not any(row.ended for row in rows)


def end(connection: sa.Connection, ground: Ground, by: str, now: datetime, notice: str | None = None) -> int:
    """End a ground, and with it every grant that stands on it; returns how many grants stood on it.

    `notice` names the telling: what its teller `by` tells again ends nothing that was given since.
    """
    row = {"kind": ground.kind, "id": ground.id, "ended_at": int(now.timestamp()), "ended_by": by, "notice": notice}
    try:
        with connection.begin_nested() if notice is not None else contextlib.nullcontext():
            _INSERT_END(connection, row)
    except sa.exc.IntegrityError:
        told = sa.select(ends.c.position).filter_by(ended_by=by, notice=notice, kind=ground.kind, id=ground.id)
        if connection.scalar(told) is None:
            raise
    counted = sa.select(sa.func.count()).select_from(grounds).where(grounds.c.kind == ground.kind, grounds.c.id == ground.id)
    return int(connection.scalar(counted) or 0)


def read(connection: sa.Connection, jti: str) -> dict[str, Any] | None:
    """Return a grant as it was stored, or None."""
    row = connection.execute(sa.select(grants).where(grants.c.jti == jti)).mappings().first()
    return dict(row) if row else None


def live(
    connection: sa.Connection, now: datetime, most: int, *, client_id: str | None = None, subject: str | None = None
) -> list[dict[str, Any]]:
    """Return the live grants, those that live longest first: all, or those of one holder or one client of care."""
    found = _PAGE
    if client_id is not None:
        found = found.where(grants.c.client_id == client_id)
    if subject is not None:
        found = found.where(grants.c.subject == subject)
    return [as_json(dict(row)) for row in connection.execute(found, {"now": int(now.timestamp()), "most": most}).mappings()]


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a stored grant as it is shown: without evidence and without what stands for persons."""
    seconds = {name: row[name] for name in ("issued_at", "not_before", "expires_at") if row[name] is not None}
    moments = {name: instant(datetime.fromtimestamp(value, UTC)) for name, value in seconds.items()}
    shown = {name: row[name] for name in ("jti", "door", "client_id", "principal", "audience", "scope", "purpose", "legal_basis")}
    shown |= {"actors": row["actors"].split(), "cnf": {row["bound_by"]: row["bound_to"]}}
    return {name: value for name, value in (shown | moments).items() if value not in (None, [])}


def prune(connection: sa.Connection, before: datetime, most: int) -> int:
    """Forget at most `most` grants that expired before a moment, and ends that no grant can stand on any more; returns how many."""
    old = [row.jti for row in connection.execute(_OLD, {"before": int(before.timestamp()), "most": most})]
    if old:
        connection.execute(grounds.delete().where(grounds.c.jti.in_(old)))
        connection.execute(grants.delete().where(grants.c.jti.in_(old)))
    stood_on = sa.select(grounds.c.jti).where(grounds.c.kind == ends.c.kind, grounds.c.id == ends.c.id).exists()
    connection.execute(ends.delete().where(ends.c.ended_at < int(before.timestamp()), ~stood_on))
    return len(old)
