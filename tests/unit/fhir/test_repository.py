"""The store of resources, on SQLite and (where a server is named) PostgreSQL."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proeftuin.fhir import repository
from proeftuin.fhir.repository import ResourceTables, create_tables, delete, history, put, read, read_version, search
from proeftuin.fhir.search import parse, read_cursor
from proeftuin.reasons import Refused
from tests.unit.fhir.examples import CONDITION, ENDPOINT, LOCALIZATION, ORGANIZATION, PATIENT, URA

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        create_tables(Operations(MigrationContext.configure(connection)))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.begin() as connection:
        yield connection


def ids(connection: sa.Connection, resource_type: str, *pairs: tuple[str, str]) -> list[str]:
    return [resource["id"] for resource in search(connection, resource_type, parse(resource_type, list(pairs))).resources]


def organization(name: str, **rest: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": name, "name": name} | rest


def test_the_migration_makes_what_a_service_can_define(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    ResourceTables(metadata)
    assert set(metadata.tables) == set(sa.inspect(engine).get_table_names())


def test_put_and_read(connection: sa.Connection) -> None:
    stored = put(connection, PATIENT | {"meta": {"profile": ["https://x.example"], "versionId": "9"}}, NOW)
    assert stored["meta"] == {"profile": ["https://x.example"], "versionId": "1", "lastUpdated": "2026-11-23T10:00:00.000Z"}
    assert read(connection, "Patient", "p1") == stored
    assert read(connection, "Condition", "p1") is None
    assert "meta" not in PATIENT, "what was handed in is not changed"


def test_without_an_id_it_gets_one(connection: sa.Connection) -> None:
    stored = put(connection, LOCALIZATION, NOW)
    assert read(connection, "List", stored["id"]) == stored


def test_versions(connection: sa.Connection) -> None:
    first = put(connection, organization("a"), NOW, if_match="0")
    second = put(connection, organization("a", active=True), NOW, if_match='W/"1"')
    assert second["meta"]["versionId"] == "2"
    for stale in ('W/"1"', "1", '"1"', "0", "W/3", "x", ""):
        with pytest.raises(Refused) as refused:
            put(connection, organization("a"), NOW, if_match=stale)
        assert refused.value.reason.code == "version_stale"
    assert read(connection, "Organization", "a") == second
    old = read_version(connection, "Organization", "a", 1)
    assert old is not None
    assert old.resource == first
    assert read_version(connection, "Organization", "a", 3) is None


def test_delete(connection: sa.Connection) -> None:
    put(connection, organization("a"), NOW)
    with pytest.raises(Refused):
        delete(connection, "Organization", "a", NOW, if_match="2")
    assert delete(connection, "Organization", "a", NOW, if_match="1")
    assert not delete(connection, "Organization", "a", NOW)
    assert read(connection, "Organization", "a") is None
    assert ids(connection, "Organization") == []
    gone = read_version(connection, "Organization", "a", 2)
    assert gone is not None
    assert gone.resource is None
    assert put(connection, organization("a"), NOW)["meta"]["versionId"] == "3"
    assert ids(connection, "Organization") == ["a"]


def test_a_rollback_takes_everything_back(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        put(connection, organization("a"), NOW)
        connection.rollback()
        assert read(connection, "Organization", "a") is None
        assert ids(connection, "Organization", ("name", "a")) == []


def test_what_another_transaction_made_meanwhile_is_the_next_version(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.begin() as connection:
        insert = repository._insert

        def late(connection: sa.Connection, row: dict[str, Any]) -> bool:
            monkeypatch.setattr(repository, "_insert", insert)
            put(connection, organization("a"), NOW)
            return insert(connection, row)

        monkeypatch.setattr(repository, "_insert", late)
        assert put(connection, organization("a"), NOW)["meta"]["versionId"] == "2"


def test_tokens(connection: sa.Connection) -> None:
    put(connection, ORGANIZATION, NOW)
    put(connection, organization("b", identifier=[{"value": "90000103"}]), NOW)
    assert ids(connection, "Organization", ("identifier", f"{URA}|90000103")) == ["verpleeghuis"]
    assert ids(connection, "Organization", ("identifier", "90000103")) == ["b", "verpleeghuis"]
    assert ids(connection, "Organization", ("identifier", "|90000103")) == ["b"]
    assert ids(connection, "Organization", ("identifier", f"{URA}|")) == ["verpleeghuis"]
    assert ids(connection, "Organization", ("identifier", f"{URA}|1,{URA}|90000103")) == ["verpleeghuis"]
    assert ids(connection, "Organization", ("identifier", "90000103"), ("active", "true")) == ["verpleeghuis"]
    assert ids(connection, "Organization", ("_id", "b,c")) == ["b"]
    put(connection, organization("b"), NOW)
    assert ids(connection, "Organization", ("identifier", "|90000103")) == [], "the index follows the newest version"


def test_strings(connection: sa.Connection) -> None:
    put(connection, organization("a") | {"name": "Zorgcentrum De Été", "alias": ["100% Thuis"]}, NOW)
    for name, found in [
        ("name", "zorgcentrum"), ("name", "ZORGCENTRUM  de ete"), ("name:contains", "été"), ("name:contains", "0%"),
        ("name:exact", "Zorgcentrum De Été"), ("name", "100%"),
    ]:  # fmt: skip
        assert ids(connection, "Organization", (name, found)) == ["a"], (name, found)
    for name, missed in [
        ("name", "de"),
        ("name", "%"),
        ("name:contains", "z_r"),
        ("name:exact", "zorgcentrum de été"),
        ("name", "x"),
    ]:
        assert ids(connection, "Organization", (name, missed)) == [], (name, missed)


def test_references(connection: sa.Connection) -> None:
    put(connection, CONDITION | {"id": "c"}, NOW)
    put(connection, LOCALIZATION | {"id": "l"}, NOW)
    assert ids(connection, "Condition", ("patient", "p1")) == ["c"]
    assert ids(connection, "Condition", ("patient", "Patient/p1"), ("clinical-status", "resolved")) == ["c"]
    assert ids(connection, "Condition", ("patient", "p2")) == []
    assert ids(connection, "List", ("subject:identifier", "token"), ("source:identifier", "ura:90000103")) == ["l"]


@pytest.mark.parametrize(
    ("value", "found"),
    [("1938-04-12", True), ("1938-04", True), ("1938", True), ("1938-04-13", False), ("ne1938", False), ("ne1939", True),
     ("gt1938-04-11", True), ("gt1938-04-12", False), ("ge1938-04-12", True), ("ge1938-04-13", False), ("lt1938-04-13", True),
     ("lt1938-04-12", False), ("le1938-04-12", True), ("le1938-04-11", False), ("sa1938-04-11", True), ("sa1938", False),
     ("eb1938-04-13", True), ("eb1938", False)],
)  # fmt: skip
def test_dates(connection: sa.Connection, value: str, found: bool) -> None:
    put(connection, PATIENT, NOW)
    assert ids(connection, "Patient", ("birthdate", value)) == (["p1"] if found else [])


def test_last_updated(connection: sa.Connection) -> None:
    for day in range(3):
        put(connection, organization(f"o{day}"), NOW + timedelta(days=day))
    assert ids(connection, "Organization", ("_lastUpdated", "ge2026-11-24")) == ["o1", "o2"]
    assert ids(connection, "Organization", ("_lastUpdated", "gt2026-11-23T10:00:00.000Z"), ("_lastUpdated", "lt2026-11-25")) == [
        "o1"
    ]


def test_includes(connection: sa.Connection) -> None:
    put(connection, ENDPOINT | {"managingOrganization": {"reference": "Organization/verpleeghuis"}}, NOW)
    put(connection, ENDPOINT | {"id": "e2", "managingOrganization": {"reference": "Organization/verpleeghuis"}}, NOW)
    put(connection, ORGANIZATION, NOW)
    put(
        connection,
        organization("part", partOf={"reference": "Organization/verpleeghuis"}, endpoint=[{"reference": "Endpoint/gone"}]),
        NOW,
    )

    def included(*pairs: tuple[str, str]) -> list[str]:
        return [each["id"] for each in search(connection, "Organization", parse("Organization", list(pairs))).included]

    assert included(("_include", "Organization:endpoint")) == ["e1"]
    assert included(("_revinclude", "Endpoint:organization")) == ["e1", "e2"]
    assert included(("_id", "part"), ("_include", "Organization:partof")) == ["verpleeghuis"]
    assert included(("_include", "Organization:partof")) == [], "what matches is not given twice"
    assert included() == []


def test_too_much_to_include_is_refused(connection: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "MAXIMUM_INCLUDED", 1)
    put(connection, ORGANIZATION, NOW)
    for number in range(2):
        put(connection, ENDPOINT | {"id": f"e{number}", "managingOrganization": {"reference": "Organization/verpleeghuis"}}, NOW)
    with pytest.raises(Refused, match="smaller _count"):
        search(connection, "Organization", parse("Organization", [("_revinclude", "Endpoint:organization")]))


def test_count_zero_only_counts(connection: sa.Connection) -> None:
    put(connection, organization("a"), NOW)
    page = search(connection, "Organization", parse("Organization", [("_count", "0")]))
    assert (page.total, page.resources, page.next_cursor) == (1, [], None)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amount=st.integers(0, 23), count=st.integers(1, 7), randomness=st.randoms(use_true_random=False))
def test_paging_gives_each_resource_exactly_once(engine: sa.Engine, amount: int, count: int, randomness: random.Random) -> None:
    with engine.connect() as connection:
        names = {f"{randomness.randrange(10**6)}-{number}" for number in range(amount)}
        for name in names:
            put(connection, organization(name), NOW)
        seen: list[str] = []
        pairs = [("_count", str(count))]
        while True:
            page = search(connection, "Organization", parse("Organization", pairs))
            seen += [resource["id"] for resource in page.resources]
            assert len(page.resources) <= count
            if page.next_cursor is None:
                break
            for name in randomness.sample(sorted(names), 1):  # meanwhile one changes, and one comes
                put(connection, organization(name, active=True), NOW)
            put(connection, organization(f"new-{randomness.randrange(10**6)}"), NOW)
            pairs = [("_count", str(count)), ("_cursor", page.next_cursor)]
        assert len(seen) == len(set(seen))
        assert names <= set(seen)
        connection.rollback()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=12), count=st.integers(1, 5))
def test_history_gives_each_version_exactly_once_newest_first(engine: sa.Engine, writes: list[tuple[str, int]], count: int) -> None:
    with engine.connect() as connection:
        now = NOW
        for name, seconds in writes:
            now += timedelta(seconds=seconds)
            put(connection, organization(name), now)
        cursor, seen = None, []
        while True:
            page = history(connection, "Organization", count=count, cursor=read_cursor(cursor))
            seen += [(version.last_updated, version.id, version.version) for version in page.versions]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == len(seen) == len(writes) == page.total
        connection.rollback()


def test_history_since_and_of_one(connection: sa.Connection) -> None:
    put(connection, organization("a"), NOW)
    put(connection, organization("b"), NOW + timedelta(seconds=1))
    delete(connection, "Organization", "a", NOW + timedelta(seconds=2))
    since = history(connection, "Organization", since="2026-11-23T10:00:01.000Z")
    assert [(version.id, version.resource is None) for version in since.versions] == [("a", True), ("b", False)]
    assert [version.version for version in history(connection, "Organization", resource_id="a").versions] == [2, 1]
    with pytest.raises(Refused):
        history(connection, "Organization", cursor="niet-van-ons")


def test_a_token_is_looked_up_in_the_index(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("the planner of PostgreSQL decides by statistics")
    criterion = parse("Organization", [("identifier", f"{URA}|90000103")]).criteria[0]
    statement = sa.select(repository._NOW.c.id).where(repository._condition("Organization", criterion))
    with engine.connect() as connection:
        text = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
        plan = " ".join(row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "USING COVERING INDEX search_index_by_value (type=? AND parameter=? AND value=? AND system=?)" in plan


def test_what_no_database_takes_is_kept_all_the_same(connection: sa.Connection) -> None:
    stored = put(connection, organization("a") | {"name": "\x00\ud800é"}, NOW)
    assert read(connection, "Organization", "a") == stored
