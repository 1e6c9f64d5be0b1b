"""The levers that parties pulled."""

from alembic import op

from services.consent.levers import metadata

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    metadata.create_all(op.get_bind())
