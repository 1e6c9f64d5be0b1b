"""A role for each database: its own and no other's."""

import os
import uuid

import pytest
import sqlalchemy as sa

from proeftuin.storage.roles import provision


def test_a_role_opens_its_own_database_and_no_other() -> None:
    server = os.environ.get("PROEFTUIN_TEST_POSTGRES")
    if not server:
        pytest.skip("PROEFTUIN_TEST_POSTGRES names no server")
    mark = uuid.uuid4().hex[:8]
    names = [f"roles_a_{mark}", f"roles_b_{mark}"]
    try:
        first, second = (provision(server, name, f"pass'word {name}") for name in names)
        assert provision(server, names[0], f"pass'word {names[0]}") == first  # twice changes nothing
        for url in (first, second):
            with sa.create_engine(url, poolclass=sa.pool.NullPool).begin() as connection:
                connection.exec_driver_sql("CREATE TABLE mine (id int)")
        foreign = sa.make_url(first).set(database=names[1])
        with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
            sa.create_engine(foreign, poolclass=sa.pool.NullPool).connect()
    finally:
        with sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool).connect() as connection:
            for name in names:
                connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                connection.exec_driver_sql(f'DROP ROLE IF EXISTS "{name}"')
