"""What an event is found by: who asked, for which purpose, and what it has several of."""

import sqlalchemy as sa
from alembic import op

from services.logging.indexing import indexed
from services.logging.store import events

revision = "0004"
down_revision = "0003"
NEW = ("organization", "purpose", "facets")


def upgrade() -> None:
    """Add the columns and fill them from the documents; a new log has them from the first revision on."""
    connection = op.get_bind()
    if "facets" in {column["name"] for column in sa.inspect(connection).get_columns("event")}:
        return
    for name in NEW:
        op.add_column("event", sa.Column(name, events.c[name].type))
    op.create_index("ix_event_organization", "event", ["organization"])
    for seq, document in connection.execute(sa.select(events.c.seq, events.c.document).where(events.c.document != b"")).all():
        found = indexed(document, b"").columns  # none of the new ones needs the key
        connection.execute(events.update().where(events.c.seq == seq).values({name: found[name] for name in NEW}))
