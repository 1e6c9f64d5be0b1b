"""Offers of credentials under way."""

from alembic import op

from services.wallet.offers import offered, offers

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    for table in (offers, offered):
        table.create(op.get_bind())
