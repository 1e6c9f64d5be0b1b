"""The witness's cosignatures."""

from alembic import op

from services.logging.store import cosignatures

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table; a new log has it from the first revision on."""
    cosignatures.create(op.get_bind(), checkfirst=True)
