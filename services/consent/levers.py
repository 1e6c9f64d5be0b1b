"""Levers: what a party has the register do wrong to itself, to see how its own system takes it. Nobody else notices."""

import sqlalchemy as sa

metadata = sa.MetaData()
levers = sa.Table(
    "lever",
    metadata,
    sa.Column("client_id", sa.String(64), primary_key=True),  # of the party that pulled it
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),  # how often still
)
NAMES = {
    "indeterminate": "a closed question gets Indeterminate",
    "fault": "a question gets a SOAP Fault, status 500",
    "delay": "a question is answered after 15 seconds",
    "throttle": "a question gets status 429 with Retry-After",
    "wrong_echo": "the answer to a closed question repeats another client",
    "late_notification": "a notification comes 10 seconds late",
    "duplicate_notification": "a notification comes twice",
}
DELAY, LATE = 15.0, 10.0  # seconds


def pull(connection: sa.Connection, client_id: str, name: str, times: int) -> None:
    """Have `name` happen to this party `times` times; 0 takes the lever back."""
    connection.execute(levers.delete().where(levers.c.client_id == client_id, levers.c.name == name))
    if times:
        connection.execute(levers.insert().values(client_id=client_id, name=name, times=times))


def pulled(connection: sa.Connection, client_id: str) -> dict[str, int]:
    """Return the levers of a party and how often they still work."""
    rows = connection.execute(sa.select(levers.c.name, levers.c.times).where(levers.c.client_id == client_id))
    return {row.name: row.times for row in rows}


def use(connection: sa.Connection, client_id: str, names: set[str]) -> set[str]:
    """Return which of `names` are to happen now, and count them."""
    due = names & pulled(connection, client_id).keys()
    for name in due:
        where = (levers.c.client_id == client_id, levers.c.name == name)
        connection.execute(levers.update().where(*where).values(times=levers.c.times - 1))
        connection.execute(levers.delete().where(*where, levers.c.times <= 0))
    return due
