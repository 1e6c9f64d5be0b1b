"""The client's index knows the month of an event, and is found by place too."""

import sqlalchemy as sa
from alembic import op

from services.logging.store import subjects

revision = "0010"
down_revision = "0005"


def upgrade() -> None:
    """Add column and index; a new log has them from the first revision on."""
    connection = op.get_bind()
    if "received" in {column["name"] for column in sa.inspect(connection).get_columns("subject")}:
        return
    op.add_column("subject", sa.Column("received", subjects.c.received.type))
    op.execute("UPDATE subject SET received = (SELECT received FROM event WHERE event.seq = subject.seq)")
    op.create_index("ix_subject_seq", "subject", ["seq"], if_not_exists=True)
