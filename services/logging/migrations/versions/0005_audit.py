"""What an auditor's patterns look at: the user's role, which request an event tells of, and whom an organisation watches over."""

import sqlalchemy as sa
from alembic import op

from services.logging.indexing import indexed
from services.logging.store import events, watched

revision = "0005"
down_revision = "0004"
NEW = ("role", "request_id")
PAGE = 5000


def upgrade() -> None:
    """Add indexes and columns, and fill these from the documents; a new log has them from the first revision on."""
    connection = op.get_bind()
    watched.create(connection, checkfirst=True)
    op.create_index("ix_subject_seq", "subject", ["seq"], if_not_exists=True)
    for name in ("observer", "organization"):  # who, and when
        op.create_index(f"ix_event_{name}_recorded", "event", [name, "recorded"], if_not_exists=True)
        op.drop_index(f"ix_event_{name}", "event", if_exists=True)
    if "request_id" in {column["name"] for column in sa.inspect(connection).get_columns("event")}:
        return
    for name in NEW:
        op.add_column("event", sa.Column(name, events.c[name].type))
    last = -1
    kept = sa.select(events.c.seq, events.c.document).where(events.c.document != b"").order_by(events.c.seq).limit(PAGE)
    while rows := connection.execute(kept.where(events.c.seq > last)).all():
        found = [{"place": row.seq} | {name: indexed(row.document, b"").columns[name] for name in NEW} for row in rows]
        values: dict[str, sa.BindParameter[str]] = {name: sa.bindparam(name) for name in NEW}
        connection.execute(events.update().where(events.c.seq == sa.bindparam("place")).values(values), found)
        last = rows[-1].seq
