"""A sandbox folder with every database on SQLite or on PostgreSQL, and its instances as processes."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from proeftuin.sandbox.home import Home
from tests.conftest import BASE_PORT
from tests.faults.processes import ROOT, Processes


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A prepared sandbox; PostgreSQL where PROEFTUIN_TEST_POSTGRES names a server."""
    home = Home(tmp_path / "home")
    home.prepare(ROOT / "parties.toml", BASE_PORT + 100)
    if request.param == "sqlite":
        yield home
        return
    server = os.environ.get("PROEFTUIN_TEST_POSTGRES")
    if not server:
        pytest.skip("PROEFTUIN_TEST_POSTGRES names no server")
    mark = uuid.uuid4().hex[:8]
    url = sa.make_url(server).set(database="{name}_" + mark).render_as_string(hide_password=False)
    monkeypatch.setenv("PROEFTUIN_DATABASE", url.replace("%7B", "{").replace("%7D", "}"))
    yield home
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        for name in connection.scalars(sa.text("SELECT datname FROM pg_database WHERE datname LIKE :mark"), {"mark": f"%{mark}"}):
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def processes(home: Home) -> Iterator[Processes]:
    """The processes of that sandbox; none is left behind."""
    running = Processes(home)
    try:
        yield running
    finally:
        running.kill_all()
