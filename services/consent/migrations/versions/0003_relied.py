"""Which holder relied on which consent."""

from alembic import op

from services.consent.store import relied

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table; a new register has it from the first revision on."""
    relied.create(op.get_bind(), checkfirst=True)
