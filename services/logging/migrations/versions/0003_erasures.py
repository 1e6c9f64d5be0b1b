"""What was erased, and which event tells of it."""

from alembic import op

from services.logging.store import erasures

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table; a new log has it from the first revision on."""
    erasures.create(op.get_bind(), checkfirst=True)
