"""What is issued and held, and the audit outbox."""

from alembic import op

from proeftuin.audit.outbox import metadata as outbox
from services.wallet.store import held, issued, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    metadata.create_all(op.get_bind(), tables=[issued, held])
    outbox.create_all(op.get_bind())
