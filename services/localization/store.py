"""Registrations: which party holds which category of data on which pseudonym; and the evaluations that were used."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.reasons import CONFLICT, PSEUDONYM_REPLAYED, Refused

metadata = sa.MetaData()
registrations = sa.Table(
    "registration",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("custodian", sa.String(8), nullable=False),  # URA
    sa.Column("pseudonym", sa.String(64), nullable=False),  # HMAC of the unblinded pseudonym
    sa.Column("code", sa.String(64), nullable=False),  # data category
    sa.Column("source", sa.String(200), nullable=False),  # OAuth client_id of the system
    sa.Column("created", sa.String(32), nullable=False),
    sa.UniqueConstraint("pseudonym", "code", "custodian", "source", name="registered_once"),
    sa.Index("registration_of_source", "source", "custodian"),
)
used = sa.Table(
    "used_evaluation",
    metadata,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Registration:
    """One row: `custodian` (URA) holds data of category `code`."""

    id: str
    custodian: str
    code: str
    source: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An opened evaluation: the stored form of the pseudonym, and what is needed to let it serve once (`expires` Unix time)."""

    pseudonym: str
    fingerprint: str
    expires: int


def use(connection: sa.Connection, evaluation: Evaluation, now: datetime) -> None:
    """Let an evaluation serve once; raises Refused(PSEUDONYM_REPLAYED)."""
    connection.execute(used.delete().where(used.c.expires < int(now.timestamp())))
    seen = connection.scalar(sa.select(used.c.fingerprint).where(used.c.fingerprint == evaluation.fingerprint))
    if seen is not None:
        raise Refused(PSEUDONYM_REPLAYED, "this evaluated output served before")
    try:
        with connection.begin_nested():
            connection.execute(used.insert().values(fingerprint=evaluation.fingerprint, expires=evaluation.expires))
    except sa.exc.IntegrityError as error:  # another transaction used it at the same moment
        raise Refused(PSEUDONYM_REPLAYED, "this evaluated output served before") from error


def add(connection: sa.Connection, registration: Registration, evaluation: Evaluation, now: datetime) -> None:
    """Register; raises Refused: PSEUDONYM_REPLAYED, or CONFLICT when it is registered already."""
    use(connection, evaluation, now)
    values = {
        "id": registration.id, "custodian": registration.custodian, "pseudonym": evaluation.pseudonym,
        "code": registration.code, "source": registration.source, "created": instant(now),
    }  # fmt: skip
    try:
        with connection.begin_nested():
            connection.execute(registrations.insert().values(values))
    except sa.exc.IntegrityError as error:
        raise Refused(CONFLICT, "this custodian registered this category for this client before") from error


def localize(
    connection: sa.Connection, evaluation: Evaluation, code: str | None, custodian: str | None, source: str | None, now: datetime
) -> list[Registration]:
    """Return the registrations on a pseudonym, of one category, custodian or source, or of all; the evaluation is used up."""
    use(connection, evaluation, now)
    where = [registrations.c.pseudonym == evaluation.pseudonym]
    if code is not None:
        where.append(registrations.c.code == code)
    if custodian is not None:
        where.append(registrations.c.custodian == custodian)
    if source is not None:
        where.append(registrations.c.source == source)
    return _rows(connection, *where)


def of_source(connection: sa.Connection, custodian: str, source: str, code: str | None) -> list[Registration]:
    """Return what a custodian registered through one system."""
    where = [registrations.c.custodian == custodian, registrations.c.source == source]
    if code is not None:
        where.append(registrations.c.code == code)
    return _rows(connection, *where)


def read(connection: sa.Connection, registration_id: str, custodian: str) -> Registration | None:
    """Return a registration of this custodian; another's does not exist for it."""
    found = _rows(connection, registrations.c.id == registration_id, registrations.c.custodian == custodian)
    return found[0] if found else None


def remove(connection: sa.Connection, registration_id: str, custodian: str) -> bool:
    """Remove a registration of this custodian; tells whether there was one."""
    where = (registrations.c.id == registration_id, registrations.c.custodian == custodian)
    return connection.execute(registrations.delete().where(*where)).rowcount == 1


def _rows(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Registration]:
    columns = (registrations.c.id, registrations.c.custodian, registrations.c.code, registrations.c.source)
    rows = connection.execute(sa.select(*columns).where(*where).order_by(registrations.c.custodian, registrations.c.code))
    return [Registration(row.id, row.custodian, row.code, row.source) for row in rows]
