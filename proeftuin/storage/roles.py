"""A PostgreSQL role for each database, so that no service can read another's: made by who prepares the network."""

import sqlalchemy as sa

from proeftuin.storage.database import UTF8
from proeftuin.storage.migrations import ensure_database


def provision(server: str, name: str, password: str) -> str:
    """Make database `name`, owned by a role of that name with `password` and closed to others; returns its URL.

    `server` is the URL of a superuser. To do it twice changes nothing but the password.
    """
    url = sa.make_url(server).set(database=name)
    ensure_database(url.render_as_string(hide_password=False))
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool, connect_args=UTF8)
    role = engine.dialect.identifier_preparer.quote(name)
    with engine.connect() as connection:
        if not connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}):
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        secret = connection.scalar(sa.text("SELECT quote_literal(:password)"), {"password": password})
        connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD {secret}")
        connection.exec_driver_sql(f"ALTER DATABASE {role} OWNER TO {role}")
        connection.exec_driver_sql(f"REVOKE ALL ON DATABASE {role} FROM PUBLIC")
    engine.dispose()
    return url.set(username=name, password=password).render_as_string(hide_password=False)
