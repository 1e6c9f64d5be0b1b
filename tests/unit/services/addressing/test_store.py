"""Writing on both databases: versions and rollback."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proeftuin.fhir import repository
from proeftuin.identifiers import KVK_SYSTEM
from proeftuin.reasons import VERSION_STALE, Refused
from proeftuin.storage.database import Database
from proeftuin.storage.migrations import upgrade
from services.addressing import app, store
from services.addressing.content import Entry
from services.addressing.ownership import Writer
from tests.harness import MovableClock
from tests.unit.services.addressing.directory import endpoint

pytestmark = pytest.mark.anyio
REGISTER = Writer(frozenset(), is_register=True)
VENDOR = Writer(frozenset({(KVK_SYSTEM, "90990401")}))
MANAGER = {"identifier": {"system": KVK_SYSTEM, "value": "90990401"}}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    upgrade(made.engine, Path(app.__file__).parent / "migrations")
    yield made
    await made.close()


async def test_a_transaction_is_undone_as_a_whole(database: Database) -> None:
    clock = MovableClock()
    await database.write(store.write, [Entry(endpoint("z", MANAGER))], VENDOR, clock)
    entries = [Entry(endpoint("z", MANAGER, status="off"), 'W/"1"'), Entry(endpoint("a", MANAGER), 'W/"1"')]
    with pytest.raises(Refused) as refusal:
        await database.write(store.write, entries, VENDOR, clock)
    assert refusal.value.reason is VERSION_STALE
    stored = await database.read(repository.read, "Endpoint", "z")
    assert stored is not None
    assert (stored["status"], store.version(stored)) == ("active", 1)


async def test_the_register_writes_without_a_version_and_makes_one_only_for_a_change(database: Database) -> None:
    clock = MovableClock()
    for status, version in (("active", 1), ("active", 1), ("off", 2), ("active", 3)):
        (written,) = await database.write(store.write, [Entry(endpoint("z", MANAGER, status=status))], REGISTER, clock)
        assert store.version(written) == version
