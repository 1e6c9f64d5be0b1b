"""A store of FHIR resources on SQLAlchemy Core: versions, history and an index to search by. SQLite and PostgreSQL.

Functions take a Connection and run inside the caller's transaction (`await db.write(repository.put, resource, now)`); `put`
trusts that the resource was validated. Only relative references (`Endpoint/1`) are followed by `_include`.
"""

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from proeftuin.clock import instant
from proeftuin.fhir.search import Criterion, Search, Value, index, references, write_cursor
from proeftuin.reasons import PARAMETER_INVALID, VERSION_STALE, Refused

Resource = dict[str, Any]

MAXIMUM_INCLUDED = 1000
_CHUNK = 500  # values in one IN
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # compared by code point, as SQLite does


class ResourceTables:
    """The tables, defined in `metadata`: `resource` (the newest versions), `resource_history` (all) and `search_index`.

    Moments are FHIR instants in UTC with milliseconds, so that their order as text is their order in time.
    """

    def __init__(self, metadata: sa.MetaData) -> None:
        self.metadata = metadata
        self.resource = sa.Table("resource", metadata, *_version_columns(key=("type", "id")))
        self.history = sa.Table(
            "resource_history", metadata, *_version_columns(key=("type", "id", "version")),
            sa.Index("resource_history_by_time", "type", "last_updated", "id", "version"),
        )  # fmt: skip
        self.index = sa.Table(
            "search_index", metadata,
            sa.Column("type", _TEXT, nullable=False),
            sa.Column("id", _TEXT, nullable=False),
            sa.Column("parameter", _TEXT, nullable=False),
            sa.Column("system", _TEXT, nullable=False),
            sa.Column("value", _TEXT, nullable=False),
            sa.Column("high", _TEXT),  # the end of a date, exclusive; `value` is its start
            sa.Index("search_index_by_value", "type", "parameter", "value", "system", "id"),
            sa.Index("search_index_of_resource", "type", "id"),
        )  # fmt: skip


def _version_columns(key: tuple[str, ...]) -> list[sa.Column[Any]]:
    columns: dict[str, sa.types.TypeEngine[Any]] = {
        "type": _TEXT, "id": _TEXT, "version": sa.Integer(), "last_updated": _TEXT, "body": sa.Text(), "deleted": sa.Boolean(),
    }  # fmt: skip
    return [sa.Column(name, kind, nullable=False, primary_key=name in key) for name, kind in columns.items()]


_TABLES = ResourceTables(sa.MetaData())
_NOW, _HISTORY, _INDEX = _TABLES.resource, _TABLES.history, _TABLES.index


class _Operations(Protocol):
    """What is used of `alembic.op`, a module, and of alembic's Operations."""

    def get_bind(self) -> sa.Connection: ...


def create_tables(op: _Operations) -> None:
    """Create the tables, from within an Alembic revision (`from alembic import op`)."""
    _TABLES.metadata.create_all(op.get_bind())


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a search result: matches, what they include, how many match in all, and the cursor of the next part, if any."""

    resources: list[Resource]
    included: list[Resource]
    total: int
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the history; `resource` is None where it was deleted."""

    type: str
    id: str
    version: int
    last_updated: str
    resource: Resource | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A part of a history, newest first, and the cursor of the next part, if any."""

    versions: list[Version]
    total: int
    next_cursor: str | None


def put(connection: sa.Connection, resource: Resource, now: datetime, if_match: str | None = None) -> Resource:
    """Store a resource as its next version and return it with id, meta.versionId and meta.lastUpdated.

    Without `id` it gets a new one. `if_match` is an ETag (`W/"3"`) or version; "0" means: there is none yet. Raises Refused
    VERSION_STALE when another version stands there. Without `if_match` the write is unconditional.
    """
    return _write(connection, resource | {"id": resource.get("id") or str(uuid.uuid4())}, now, if_match, deleted=False)


def delete(connection: sa.Connection, resource_type: str, resource_id: str, now: datetime, if_match: str | None = None) -> bool:
    """Delete a resource, its history stays; tells whether there was one. Raises Refused VERSION_STALE as `put` does."""
    if read(connection, resource_type, resource_id) is None:
        return False
    _write(connection, {"resourceType": resource_type, "id": resource_id}, now, if_match, deleted=True)
    return True


def read(connection: sa.Connection, resource_type: str, resource_id: str) -> Resource | None:
    """Return the newest version of a resource, None when there is none or it was deleted."""
    where = (_NOW.c.type == resource_type, _NOW.c.id == resource_id, _NOW.c.deleted == sa.false())
    body = connection.scalar(sa.select(_NOW.c.body).where(*where))
    return None if body is None else json.loads(body)


def read_version(connection: sa.Connection, resource_type: str, resource_id: str, version: int) -> Version | None:
    """Return one version of a resource (vread), None when there never was one."""
    where = (_HISTORY.c.type == resource_type, _HISTORY.c.id == resource_id, _HISTORY.c.version == version)
    row = connection.execute(sa.select(_HISTORY).where(*where)).first()
    return None if row is None else _version(row)


def search(connection: sa.Connection, resource_type: str, search: Search) -> Page:
    """Return the part of the result after `search.cursor`, in the order of the ids.

    A resource that is there throughout the paging is given exactly once, whatever is written meanwhile.
    """
    where = [_NOW.c.type == resource_type, _NOW.c.deleted == sa.false()]
    where += [_condition(resource_type, criterion) for criterion in search.criteria]
    total = connection.scalar(sa.select(sa.func.count()).select_from(_NOW).where(*where)) or 0
    if search.cursor is not None:
        where.append(_NOW.c.id > search.cursor)
    rows = connection.execute(sa.select(_NOW.c.id, _NOW.c.body).where(*where).order_by(_NOW.c.id).limit(search.count + 1)).all()
    more, rows = len(rows) > search.count > 0, rows[: search.count]
    matches = [json.loads(row.body) for row in rows]
    included = _included(connection, resource_type, search, matches)
    return Page(matches, included, total, write_cursor(rows[-1].id) if more else None)


def history(
    connection: sa.Connection, resource_type: str, *, since: str | None = None, resource_id: str | None = None,
    count: int = 100, cursor: str | None = None,
) -> HistoryPage:  # fmt: skip
    """Return versions of a type (or of one resource), newest first, at or after `since` (a UTC instant with milliseconds).

    `cursor` is the place that `search.read_cursor` gives. A version is visible once its transaction has committed: a reader
    that polls asks again from somewhat before its last answer (`since` is inclusive, applying twice does no harm).
    """
    where = [_HISTORY.c.type == resource_type]
    if resource_id is not None:
        where.append(_HISTORY.c.id == resource_id)
    if since is not None:
        where.append(_HISTORY.c.last_updated >= since)
    total = connection.scalar(sa.select(sa.func.count()).select_from(_HISTORY).where(*where)) or 0
    order = (_HISTORY.c.last_updated, _HISTORY.c.id, _HISTORY.c.version)
    if cursor is not None:
        place = re.fullmatch(r"([^/]+)/([^/]+)/([0-9]{1,9})", cursor)
        if place is None:
            raise Refused(PARAMETER_INVALID, "_cursor: take it from the link 'next', unchanged")
        where.append(sa.tuple_(*order) < sa.tuple_(*map(sa.literal, (place[1], place[2], int(place[3])))))
    newest_first = sa.select(_HISTORY).where(*where).order_by(*(column.desc() for column in order))
    rows = connection.execute(newest_first.limit(count + 1)).all()
    versions = [_version(row) for row in rows[:count]]
    last = versions[-1] if versions and len(rows) > count else None
    return HistoryPage(versions, total, write_cursor(f"{last.last_updated}/{last.id}/{last.version}") if last else None)


def _version(row: sa.Row[Any]) -> Version:
    return Version(row.type, row.id, row.version, row.last_updated, None if row.deleted else json.loads(row.body))


def _write(connection: sa.Connection, resource: Resource, now: datetime, if_match: str | None, *, deleted: bool) -> Resource:
    key = {"type": resource["resourceType"], "id": resource["id"]}
    this = (_NOW.c.type == key["type"], _NOW.c.id == key["id"])
    current = connection.scalar(sa.select(_NOW.c.version).where(*this).with_for_update()) or 0
    if if_match is not None and _asked_version(if_match) != current:
        raise Refused(VERSION_STALE, f"{key['type']} stands at version {current}")
    meta = {"versionId": str(current + 1), "lastUpdated": instant(now)}
    stored = resource | {"meta": resource.get("meta", {}) | meta}
    row = key | {"version": current + 1, "last_updated": meta["lastUpdated"], "body": _json(stored), "deleted": deleted}
    if current:
        connection.execute(_NOW.update().where(*this), row)
    elif not _insert(connection, row):  # another transaction made it meanwhile: now it is there
        return _write(connection, resource, now, if_match, deleted=deleted)
    connection.execute(_HISTORY.insert(), row)
    connection.execute(_INDEX.delete().where(_INDEX.c.type == key["type"], _INDEX.c.id == key["id"]))
    if not deleted:
        entries = index(stored)
        connection.execute(
            _INDEX.insert(),
            [
                key | {"parameter": entry.parameter, "system": entry.system, "value": entry.value, "high": entry.high}
                for entry in entries
            ],
        )
    return stored


def _insert(connection: sa.Connection, row: dict[str, Any]) -> bool:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    made = insert(_NOW).values(row).on_conflict_do_nothing().returning(_NOW.c.version)  # psycopg gives no rowcount here
    return connection.execute(made).first() is not None


def _asked_version(if_match: str) -> int | None:
    match = re.fullmatch(r'(?:W/)?"([0-9]{1,9})"|([0-9]{1,9})', if_match.strip())
    return int(match[1] or match[2]) if match else None


def _condition(resource_type: str, criterion: Criterion) -> sa.ColumnElement[bool]:
    matches = sa.or_(*(_matches(criterion, value) for value in criterion.values))
    found = sa.select(_INDEX.c.id).where(_INDEX.c.type == resource_type, _INDEX.c.parameter == criterion.parameter, matches)
    return _NOW.c.id.in_(found)


def _matches(criterion: Criterion, value: Value) -> sa.ColumnElement[bool]:
    text = value.value or ""
    if criterion.kind == "token":
        parts = [_INDEX.c.value == text] if value.value is not None else []
        return sa.and_(*parts, *([_INDEX.c.system == value.system] if value.system is not None else []))
    if criterion.kind == "date":
        return _in_time(value.prefix, text, value.high or "")
    if criterion.contains:
        return _INDEX.c.value.contains(text, autoescape=True)
    if criterion.kind == "string":
        return sa.and_(_INDEX.c.value >= text, _INDEX.c.value < text + "\U0010ffff")
    return _INDEX.c.value == text


def _in_time(prefix: str, low: str, high: str) -> sa.ColumnElement[bool]:
    """Compare the period in the index with [low, high), as FHIR R4 §3.1.1.4.9 says for each prefix."""
    start, end = _INDEX.c.value, _INDEX.c.high
    within = sa.and_(start >= low, end <= high)
    conditions: dict[str, sa.ColumnElement[bool]] = {
        "eq": within,
        "ne": sa.not_(within),
        "gt": end > high,
        "lt": start < low,
        "ge": sa.or_(end > high, within),
        "le": sa.or_(start < low, within),
        "sa": start >= high,
        "eb": end <= low,
    }
    return conditions[prefix]


def _included(connection: sa.Connection, resource_type: str, search: Search, matches: list[Resource]) -> list[Resource]:
    own = [(resource_type, str(match["id"])) for match in matches]
    wanted: dict[tuple[str, str], None] = {}
    for _, parameter in search.includes:
        for match in matches:
            wanted |= {(kind, name): None for kind, _, name in (each.partition("/") for each in references(match, parameter))}
    for source, parameter in search.revincludes:
        for chunk in _chunks([f"{kind}/{name}" for kind, name in own]):
            where = (_INDEX.c.type == source, _INDEX.c.parameter == parameter, _INDEX.c.value.in_(chunk))
            found = connection.scalars(sa.select(_INDEX.c.id).where(*where).order_by(_INDEX.c.id).limit(MAXIMUM_INCLUDED + 1))
            wanted |= {(source, name): None for name in found}
    wanted = {key: None for key in wanted if key not in set(own)}
    if len(wanted) > MAXIMUM_INCLUDED:
        raise Refused(PARAMETER_INVALID, f"this page includes more than {MAXIMUM_INCLUDED} resources: ask for a smaller _count")
    bodies: dict[tuple[str, str], str] = {}
    for chunk in _chunks(list(wanted)):
        where_key = sa.or_(*(sa.and_(_NOW.c.type == kind, _NOW.c.id == name) for kind, name in chunk))
        rows = connection.execute(sa.select(_NOW.c.type, _NOW.c.id, _NOW.c.body).where(where_key, _NOW.c.deleted == sa.false()))
        bodies |= {(row.type, row.id): row.body for row in rows}
    return [json.loads(bodies[key]) for key in wanted if key in bodies]


def _chunks(items: list[Any]) -> Iterable[list[Any]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def _json(resource: Resource) -> str:
    return json.dumps(resource, separators=(",", ":"))  # ASCII: no character of JSON is one that a database refuses


def stamp(connection: sa.Connection, resource_type: str) -> tuple[int, str]:
    """Return what changes with every write to a type: how many versions there are, and the newest moment."""
    found = sa.select(sa.func.count(), sa.func.max(_HISTORY.c.last_updated)).where(_HISTORY.c.type == resource_type)
    count, newest = connection.execute(found).one()
    return count, newest or ""
