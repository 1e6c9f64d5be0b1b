"""The tables of the log (C2SP tlog-tiles): events, tiles, checkpoints. Rows are added; only erasure changes one."""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.storage.prepared import Prepared
from services.logging import partitions
from services.logging.indexing import indexable

metadata = sa.MetaData()
events = sa.Table(
    "event",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),  # = Merkle leaf index, so without gaps
    sa.Column("event_id", sa.String(36), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),  # client_id of who delivered it
    sa.Column("recorded", sa.String(32), nullable=False, index=True),  # UTC instant by the source
    sa.Column("received", sa.String(32), nullable=False),  # UTC instant by the log
    sa.Column("observer", sa.String(64)),  # system|value
    sa.Column("organization", sa.String(64)),  # system|value of who asked
    sa.Column("agent", sa.String(128), index=True),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("subtype", sa.String(64)),
    sa.Column("action", sa.String(1)),
    sa.Column("outcome", sa.String(2)),
    sa.Column("purpose", sa.String(64)),
    sa.Column("role", sa.String(64)),  # UZI role code of the user
    sa.Column("trace_id", sa.String(64), index=True),
    sa.Column("request_id", sa.String(64)),  # both ends of one request have the same
    sa.Column("facets", sa.Text),  # of which an event has several: see indexing.facet
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("nonce", sa.LargeBinary, nullable=False),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("source", "event_id", name="event_delivered_once"),
    sa.Index("ix_event_observer_recorded", "observer", "recorded"),
    sa.Index("ix_event_organization_recorded", "organization", "recorded"),
)
subjects = sa.Table(  # whom an event is about: an event of another's making may be about several clients
    "subject",
    metadata,
    sa.Column("patient_token", sa.String(64), primary_key=True),  # HMAC of the BSN
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, index=True),
    sa.Column("received", sa.String(32)),  # of the event: on PostgreSQL it leads to its partition
)
ABOUT = sa.and_(subjects.c.seq == events.c.seq, subjects.c.received == events.c.received)  # in one partition, on PostgreSQL
tiles = sa.Table(
    "tile",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
)
checkpoints = sa.Table(
    "checkpoint",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)

cosignatures = sa.Table(
    "cosignature",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text, nullable=False),  # by the witness, on the checkpoint of this size
)

erasures = sa.Table(
    "erasure",
    metadata,
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("event", sa.BigInteger, nullable=False),  # the place of the event that tells of it
)

archives = sa.Table(
    "archive",
    metadata,
    sa.Column("file", sa.String(120), primary_key=True),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("event", sa.BigInteger, nullable=False),  # the place of the event that tells of it
)
watched = sa.Table(  # clients of whom an organisation wants to know who looks: its own staff, and others in the public eye
    "watched",
    metadata,
    sa.Column("organization", sa.String(64), primary_key=True),  # system|value
    sa.Column("patient_token", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
)

_AT = sa.and_(tiles.c.level == sa.bindparam("at"), tiles.c.position == sa.bindparam("place"))
_TILE = Prepared(sa.select(tiles.c.hashes).where(_AT))
_GROW = Prepared(tiles.update().where(_AT).values(hashes=sa.bindparam("now")))
_EVENTS, _SUBJECTS, _TILE_ADDED, _CHECKPOINT = (Prepared(table.insert()) for table in (events, subjects, tiles, checkpoints))
_LAST = Prepared(sa.select(checkpoints).where(checkpoints.c.size == sa.select(sa.func.max(checkpoints.c.size)).scalar_subquery()))
_EACH = sa.func.json_each(sa.bindparam("ids")).table_valued("value")
_DELIVERED = Prepared(
    sa.select(events.c.seq, events.c.event_id, events.c.document).where(
        events.c.source == sa.bindparam("by"), events.c.event_id.in_(sa.select(_EACH.c.value))
    )
)
_DELIVERY = partitions.deliveries.c
_DELIVERED_BY_MONTH = Prepared(
    sa.select(_DELIVERY.seq, _DELIVERY.event_id, events.c.document)
    .join(events, sa.and_(events.c.seq == _DELIVERY.seq, events.c.received == _DELIVERY.received))
    .where(_DELIVERY.source == sa.bindparam("by"), _DELIVERY.event_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Text))))
)


@dataclass(frozen=True, slots=True)
class Row:
    """A stored event with its place in the log."""

    seq: int
    event_id: str
    source: str
    document: bytes
    nonce: bytes
    entry: bytes
    trace_id: str | None

    @property
    def resource(self) -> dict[str, Any]:
        """The AuditEvent, under the id by which the log knows it."""
        found: dict[str, Any] = json.loads(self.document)
        return found | {"id": self.event_id}


def tile(connection: sa.Connection, level: int, position: int) -> bytes:
    """Return the hashes of a tile, joined; b"" when there is none."""
    return _TILE(connection, {"at": level, "place": position}).scalar() or b""


def put_tile(connection: sa.Connection, level: int, position: int, hashes: bytes) -> None:
    """Store a tile, also over its own shorter form: the right edge grows."""
    if _GROW(connection, {"at": level, "place": position, "now": hashes}).rowcount == 0:
        _TILE_ADDED(connection, {"level": level, "position": position, "hashes": hashes})


def add(connection: sa.Connection, rows: list[dict[str, Any]], about: list[dict[str, Any]]) -> None:
    """Add events, and whom they are about."""
    if connection.dialect.name == "postgresql":
        partitions.add(connection, events, rows)
        known = [{name: row[name] for name in ("seq", "source", "event_id", "received")} for row in rows]
        partitions.add(connection, partitions.deliveries, known)
        if about:
            partitions.add(connection, subjects, about)
        return
    _EVENTS.many(connection, rows)
    if about:
        _SUBJECTS.many(connection, about)


def add_checkpoint(connection: sa.Connection, size: int, root: bytes, note: str) -> None:
    """Add a signed checkpoint."""
    _CHECKPOINT(connection, {"size": size, "root": root, "note": note})


def last_checkpoint(connection: sa.Connection) -> tuple[int, bytes, str] | None:
    """Return size, root and note of the newest checkpoint."""
    row = _LAST(connection, {}).first()
    return (row.size, row.root, row.note) if row else None


def cosigned(connection: sa.Connection, most: int = (1 << 63) - 1) -> tuple[int, str] | None:
    """Return size (at most `most`) and note of the newest checkpoint that the witness cosigned, its cosignature at the end."""
    joined = (
        sa.select(checkpoints.c.size, checkpoints.c.note, cosignatures.c.line)
        .join(cosignatures, cosignatures.c.size == checkpoints.c.size)
        .where(checkpoints.c.size <= most)
    )
    row = connection.execute(joined.order_by(checkpoints.c.size.desc()).limit(1)).first()
    return (row.size, row.note + row.line) if row else None


def cosign(connection: sa.Connection, size: int, line: str) -> None:
    """Keep the witness's cosignature on the checkpoint of `size`; a later one on the same adds nothing."""
    if connection.scalar(sa.select(cosignatures.c.size).where(cosignatures.c.size == size)) is None:
        connection.execute(cosignatures.insert().values(size=size, line=line))


def archived(connection: sa.Connection, file: str, year: int, first: int, last: int, event: int) -> None:
    """Keep that an archive was made; one of the same name is replaced by it."""
    connection.execute(archives.delete().where(archives.c.file == file))
    connection.execute(archives.insert().values(file=file, year=year, first=first, last=last, event=event))


def erased_since(connection: sa.Connection, first: int, last: int, size: int) -> bool:
    """Tell whether a place from `first` to `last` was erased by an event at or after place `size`."""
    table = erasures.c
    found = sa.select(table.first).where(table.first <= last, table.last >= first, table.event >= size).limit(1)
    return connection.execute(found).first() is not None


def archives_of(connection: sa.Connection, ranges: list[tuple[int, int]]) -> list[str]:
    """Return the names of the archives that hold a place in one of `ranges`, sorted."""
    known = connection.execute(sa.select(archives).order_by(archives.c.file)).all()
    return [row.file for row in known if any(first <= row.last and last >= row.first for first, last in ranges)]


def delivered(connection: sa.Connection, source: str, ids: list[str]) -> dict[str, tuple[int, bytes]]:
    """Return place and document of the events among `ids` that `source` delivered before."""
    if connection.dialect.name == "postgresql":
        found = _DELIVERED_BY_MONTH(connection, {"by": source, "ids": ids})
    else:
        found = _DELIVERED(connection, {"by": source, "ids": json.dumps(ids)})
    return {row.event_id: (row.seq, row.document) for row in found}


def event_id(text: str) -> str:
    """Return the id under which an event is kept: `text`, or what stands for it when it is longer than a UUID or no FHIR id."""
    return text if re.fullmatch(r"[A-Za-z0-9\-.]{1,36}", text) else str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def encoded(event: dict[str, Any]) -> bytes:
    """Return an event (its numbers finite) as it is stored and committed to; raises ValueError for what is no JSON in UTF-8."""
    return msgspec.json.encode(event)


def patients(event: dict[str, Any]) -> list[str]:
    """Return the BSNs of the clients whom an event is about."""
    found = [entity.get("what", {}).get("identifier", {}) for entity in event.get("entity", [])]
    return [each["value"] for each in found if each.get("system") == BSN_SYSTEM and isinstance(each.get("value"), str)]


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched: columns with one of some values, a client, periods, facets, and a place (`seq`) to go on before."""

    equal: dict[str, list[str]]
    patient_token: str | None = None
    since: str | None = None
    until: str | None = None
    received_since: str | None = None
    received_until: str | None = None
    facets: tuple[frozenset[str], ...] = ()  # of each set one must be there
    before: int | None = None
    count: int = 50


def search(connection: sa.Connection, query: Query) -> tuple[list[Row], int | None]:
    """Return the newest matching events first, and the place to go on before: it stays the same while events arrive."""
    rows = [_row(row) for row in connection.execute(matching(query))]
    more = rows[query.count - 1].seq if len(rows) > query.count else None
    return rows[: query.count], more


def matching(query: Query) -> sa.Select[Any]:
    """Return the statement that finds one event more than asked, newest first."""
    statement = sa.select(events).where(events.c.document != b"").limit(query.count + 1)

    def column(name: str) -> sa.ColumnElement[str]:
        """An expression has no index: what finds few events answers from its own, whatever a planner guesses."""
        narrowed = query.patient_token is not None or ("trace_id" in query.equal and name != "trace_id")
        return events.c[name].concat("") if narrowed else events.c[name]

    place = events.c.seq
    if query.patient_token is not None:
        place = subjects.c.seq
        statement = statement.join(subjects, ABOUT).where(subjects.c.patient_token == query.patient_token)
    statement = statement.order_by(place.desc())
    for name, value in query.equal.items():
        statement = statement.where(column(name).in_(value))
    for name, since, until in (
        ("recorded", query.since, query.until),
        ("received", query.received_since, query.received_until),
    ):
        if since is not None:
            statement = statement.where(column(name) >= since)
        if until is not None:
            statement = statement.where(column(name) < until)
    for wanted in query.facets:
        statement = statement.where(sa.or_(*(events.c.facets.contains(each, autoescape=True) for each in sorted(wanted))))
    if query.before is not None:
        statement = statement.where(place < query.before)
    return statement


def by_id(connection: sa.Connection, wanted: str, source: str, observer: str) -> Row | None:
    """Return an event that `source` delivered and `observer` (system|value) made."""
    statement = sa.select(events).where(
        events.c.event_id == wanted, events.c.source == source, events.c.observer == indexable(observer), events.c.document != b""
    )
    row = connection.execute(statement).first()
    return _row(row) if row else None


def _row(row: Any) -> Row:  # noqa: ANN401 - a row of the table, which SQLAlchemy does not type by column
    return Row(row.seq, row.event_id, row.source, row.document, row.nonce, row.entry, row.trace_id)


def moment(now: datetime) -> str:
    """Return a moment as it stands in the columns."""
    return instant(now)
