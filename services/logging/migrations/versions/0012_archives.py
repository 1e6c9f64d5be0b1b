"""Which archives were made, and what they hold."""

from alembic import op

from services.logging.store import archives

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the table; a new log has it from the first revision on."""
    archives.create(op.get_bind(), checkfirst=True)
