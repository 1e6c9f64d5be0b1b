"""What serves once, on both databases: also from several processes at once, and for as long as it could serve."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from proeftuin.storage import replay
from proeftuin.storage.database import Database
from proeftuin.storage.migrations import upgrade
from services.witness import app

pytestmark = pytest.mark.anyio
MIGRATIONS = Path(app.__file__).parent / "migrations"  # any service's: the table comes beside them
NOW = datetime.now(UTC)
LATER = NOW + timedelta(seconds=60)


async def test_each_serves_once_whoever_asks_and_is_forgotten_when_it_is_too_old(database_url: str) -> None:
    first, second = Database(database_url), Database(database_url)
    upgrade(first.engine, MIGRATIONS)
    upgrade(second.engine, MIGRATIONS)
    tries = [database.write(replay.serve, "dpop", "one", LATER, NOW) for database in (first, second, first, second)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert all(isinstance(outcome, sa.exc.IntegrityError) for outcome in outcomes if outcome is not None)
    for kind, value in (("dpop", "two"), ("client_assertion", "one"), ("dpop", "\ud800"), ("dpop", "")):
        await first.write(replay.serve, kind, value, LATER, NOW)
    with pytest.raises(sa.exc.IntegrityError):
        await second.write(replay.serve, "dpop", "\ud800", LATER, LATER)
    await second.write(replay.serve, "dpop", "new", LATER + timedelta(seconds=60), LATER + timedelta(seconds=2))
    left = await first.read(lambda connection: connection.scalar(sa.select(sa.func.count()).select_from(replay.served)))
    assert left == 1
    await first.close()
    await second.close()
