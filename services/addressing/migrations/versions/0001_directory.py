"""The resources of the directory and the audit outbox."""

from alembic import op

from proeftuin.audit.outbox import metadata as outbox
from proeftuin.fhir import repository

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    repository.create_tables(op)  # type: ignore[arg-type] # alembic's module op stands for Operations
    outbox.create_all(op.get_bind())
