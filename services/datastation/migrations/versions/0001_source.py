"""The party's resources and the audit outbox."""

from alembic import op

from proeftuin.audit.outbox import metadata as outbox
from proeftuin.fhir.repository import create_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    create_tables(op)
    outbox.create_all(op.get_bind())
