"""On PostgreSQL the log is kept by month."""

from alembic import op

from services.logging.partitions import convert

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Convert what is there, also the empty tables of a new log; SQLite has no partitions."""
    if op.get_bind().dialect.name == "postgresql":
        convert(op.get_bind())
