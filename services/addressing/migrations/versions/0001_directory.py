"""The resources of the directory and the audit outbox."""

from alembic import op

from proeftuin.audit.outbox import metadata as outbox
from proeftuin.fhir import repository

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    repository.create_tables(op)
    outbox.create_all(op.get_bind())
