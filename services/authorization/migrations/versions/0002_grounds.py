"""Grants with what they stand on, what of that ended, and authorizations under way."""

from alembic import op

from services.authorization.codes import handles
from services.authorization.store import ends, grants, grounds

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables; tokens that were given before end now, at most five minutes early."""
    for table in (grants, grounds, ends, handles):
        table.create(op.get_bind())
    op.drop_table("token_grant")
