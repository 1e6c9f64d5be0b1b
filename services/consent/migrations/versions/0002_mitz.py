"""The levers that parties pulled, subscriptions on the consents of clients, and notices that wait for subscribers."""

from alembic import op

from services.consent.levers import metadata as levers
from services.consent.subscriptions import metadata as subscriptions

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    levers.create_all(op.get_bind())
    subscriptions.create_all(op.get_bind())
