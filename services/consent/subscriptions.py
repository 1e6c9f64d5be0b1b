"""Subscriptions of holders on the consents of a client (VZVZ's wiki: Mitz, abonnementen), and the notices that wait for them."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()
subscriptions = sa.Table(
    "subscription",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),  # client_id of who subscribed
    sa.Column("patient_token", sa.String(64), nullable=False, index=True),
    sa.Column("holder", sa.String(8), nullable=False),  # URA
    sa.Column("holder_type", sa.String(8), nullable=False),
    sa.Column("gateway", sa.String(64), nullable=False),  # OID
    sa.Column("source", sa.String(64), nullable=False),  # OID
    sa.Column("resource", sa.Text, nullable=False),
    sa.UniqueConstraint("owner", "patient_token", "holder", "source", name="subscribed_once"),
)
notices = sa.Table(  # what a change of consents makes to be told, in the transaction of that change
    "notice",
    metadata,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("subscription", sa.String(36), nullable=False, index=True),  # of one client: what it is told stays in order
    sa.Column("patient", sa.String(9), nullable=False),  # BSN, for the audit event of the telling
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("content_type", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("due", sa.String(32), nullable=False),  # UTC instant from which it may be sent
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who wants to know what changes in the consents of a client about which holder, and where to tell it."""

    id: str
    owner: str
    holder: str
    holder_type: str
    gateway: str
    source: str
    resource: dict[str, Any]

    @property
    def is_beta(self) -> bool:
        """Whether it is in the form of 4.0.0-beta.1, which wants notifications in that form."""
        return any("/otv/" in profile for profile in self.resource.get("meta", {}).get("profile", []))


@dataclass(frozen=True, slots=True)
class Notice:
    """One message that waits to be told."""

    id: str
    subscription: str
    patient: str
    url: str
    content_type: str
    body: bytes
    attempts: int = 0


def subscribe(connection: sa.Connection, token: str, wanted: Subscription) -> str:
    """Keep a subscription and return its id: that of the one that is there already, for the same owner, client and source."""
    table = subscriptions
    where = (
        table.c.owner == wanted.owner, table.c.patient_token == token, table.c.holder == wanted.holder,
        table.c.source == wanted.source,
    )  # fmt: skip
    values = {"holder_type": wanted.holder_type, "gateway": wanted.gateway, "resource": json.dumps(wanted.resource)}
    row = {"id": wanted.id, "owner": wanted.owner, "patient_token": token, "holder": wanted.holder, "source": wanted.source}
    try:
        with connection.begin_nested():
            connection.execute(table.insert().values(row | values))
    except sa.exc.IntegrityError:  # it is there, perhaps since a moment ago
        connection.execute(table.update().where(*where).values(values))
    return str(connection.scalar(sa.select(table.c.id).where(*where)))


def unsubscribe(connection: sa.Connection, subscription: str, owner: str) -> bool:
    """End a subscription of `owner`; returns False when it has none with this id."""
    table = subscriptions
    return connection.execute(table.delete().where(table.c.id == subscription, table.c.owner == owner)).rowcount == 1


def of_client(connection: sa.Connection, token: str) -> list[Subscription]:
    """Return the subscriptions on a client, by holder."""
    table = subscriptions
    rows = connection.execute(sa.select(table).where(table.c.patient_token == token).order_by(table.c.holder, table.c.id))
    return [
        Subscription(row.id, row.owner, row.holder, row.holder_type, row.gateway, row.source, json.loads(row.resource))
        for row in rows
    ]


def count(connection: sa.Connection, holder: str) -> int:
    """Return how many subscriptions there are for a holder."""
    return int(connection.scalar(sa.select(sa.func.count()).where(subscriptions.c.holder == holder)) or 0)


def put(connection: sa.Connection, found: list[Notice], due: str) -> None:
    """Have these told from the moment `due` on; each has an id of its own, so that who hears it twice can tell."""
    if found:
        connection.execute(
            notices.insert(),
            [
                {
                    "id": each.id, "subscription": each.subscription, "patient": each.patient, "url": each.url,
                    "content_type": each.content_type, "body": each.body, "attempts": 0, "due": due,
                }
                for each in found
            ],
        )  # fmt: skip


def heads(connection: sa.Connection, now: str) -> list[Notice]:
    """Return the first notice of each subscription, when it is due."""
    first = sa.select(sa.func.min(notices.c.position).label("position")).group_by(notices.c.subscription).subquery()
    statement = sa.select(notices).join(first, first.c.position == notices.c.position).where(notices.c.due <= now)
    return [
        Notice(row.id, row.subscription, row.patient, row.url, row.content_type, bytes(row.body), row.attempts)
        for row in connection.execute(statement.order_by(notices.c.position))
    ]


def told(connection: sa.Connection, notice: str) -> None:
    """Forget a notice that was taken."""
    connection.execute(notices.delete().where(notices.c.id == notice))


def postpone(connection: sa.Connection, notice: str, due: str) -> None:
    """Try a notice again from the moment `due` on."""
    connection.execute(notices.update().where(notices.c.id == notice).values(due=due, attempts=notices.c.attempts + 1))


def waiting(connection: sa.Connection) -> int:
    """Return how many notices wait."""
    return int(connection.scalar(sa.select(sa.func.count()).select_from(notices)) or 0)


def new_id() -> str:
    """Return an id that nobody has."""
    return str(uuid.uuid4())
