"""Which telling ended a ground, so that one that comes twice ends nothing twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add column and index; a new server has them from the revision before on."""
    if "notice" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("ground_end")}:
        return
    op.add_column("ground_end", sa.Column("notice", sa.String(100)))
    op.create_index("end_told_once", "ground_end", ["ended_by", "notice", "kind", "id"], unique=True)
