"""Transactions as functions: what is answered is stored, what fails leaves nothing, also when many share a commit."""

import asyncio

import pytest
import sqlalchemy as sa

from proeftuin.storage.database import Database

metadata = sa.MetaData()
things = sa.Table("thing", metadata, sa.Column("id", sa.Integer, primary_key=True))


def add(connection: sa.Connection, number: int, *, fail: bool = False) -> int:
    connection.execute(things.insert().values(id=number))
    if fail:
        raise LookupError(number)
    return number


def ids(connection: sa.Connection) -> list[int]:
    return [row.id for row in connection.execute(sa.select(things.c.id).order_by(things.c.id))]


@pytest.mark.anyio
async def test_writes_of_one_turn_stand_or_fall_each_for_itself(database_url: str) -> None:
    database = Database(database_url)
    metadata.create_all(database.engine)
    outcomes = await asyncio.gather(
        *(database.write(add, number, fail=number % 3 == 0) for number in range(30)), return_exceptions=True
    )
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, LookupError)] == list(range(0, 30, 3))
    assert await database.read(ids) == [number for number in range(30) if number % 3]
    with pytest.raises(sa.exc.IntegrityError):
        await database.write(add, 1)
    await database.close()
    again = Database(database_url)
    assert len(await again.read(ids)) == 20
    await again.close()
