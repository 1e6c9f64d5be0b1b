"""Bring a service's database to its newest schema with the Alembic revisions in the service's own folder."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex, CreateTable

from proeftuin.storage import replay
from proeftuin.storage.database import UTF8


def upgrade(engine: sa.Engine, folder: Path) -> None:
    """Run every revision in `folder`/versions that the database has not had yet, in one transaction.

    The table that every service has, of what serves once, is made beside them.
    """
    script = ScriptDirectory(str(folder))

    def steps(revision: Any, _context: Any) -> Any:  # noqa: ANN401 - alembic's own types are private
        return script._upgrade_revs("head", revision)

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('proeftuin-migrations'))"))
        context = MigrationContext.configure(connection, opts={"fn": steps})
        with Operations.context(context):
            context.run_migrations()
        connection.execute(CreateTable(replay.served, if_not_exists=True))
        for index in replay.served.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def ensure_database(url: str) -> None:
    """Create the PostgreSQL database or the folder of the SQLite file that `url` names, when it is not there yet."""
    target = sa.make_url(url)
    if target.get_backend_name() == "sqlite":
        if target.database:
            Path(target.database).parent.mkdir(parents=True, exist_ok=True)
        return
    engine = sa.create_engine(
        target.set(database="postgres"),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.pool.NullPool,
        connect_args=UTF8,
    )
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(hashtext('proeftuin-databases'))"))  # one at a time copies the template
        found = connection.scalar(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": target.database})
        if not found:
            quoted = engine.dialect.identifier_preparer.quote(target.database or "")
            connection.exec_driver_sql(f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
    engine.dispose()
