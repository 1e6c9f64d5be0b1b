"""Fixtures that every test may use."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from proeftuin.sandbox import running, seeding
from proeftuin.sandbox.home import Home
from proeftuin.storage.migrations import ensure_database

ROOT = Path(__file__).parent.parent
BASE_PORT = int(os.environ.get("PROEFTUIN_TEST_PORT", "8740"))  # two checkouts on one machine need two


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database of each kind; PostgreSQL where PROEFTUIN_TEST_POSTGRES names a server (.ci/run starts one)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'test.sqlite'}"
        return
    server = os.environ.get("PROEFTUIN_TEST_POSTGRES")
    if not server:
        pytest.skip("PROEFTUIN_TEST_POSTGRES names no server")
    url = sa.make_url(server).set(database=f"test_{uuid.uuid4().hex}")
    text = url.render_as_string(hide_password=False)
    ensure_database(text)
    yield text
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE "{url.database}" WITH (FORCE)')


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the contract tests run against any network, and the scenarios against any that is ours."""
    parser.addoption("--base-url", default="", help="The addressing service of the network under test.")
    parser.addoption("--identity", default="", help="A folder with certificate.pem and certificate.key of a care provider.")
    parser.addoption("--roles", default="", help="A folder with such a folder for each other caller (tests/contract/conftest.py).")
    parser.addoption("--ca", default="", help="The CA bundle of the network under test.")
    parser.addoption("--home", default="", help="The folder of a network that runs and is filled, for the scenarios.")
    parser.addoption("--pki", default="", help="What stands for `proeftuin pki` there, where the CA is not in that folder.")
    parser.addoption("--iwlz-url", default="", help="The iWlz doors under test, up to and with /netwerkmodel/v3.")
    parser.addoption("--mitz-url", default="", help="The Mitz doors under test, up to before /geslotenautorisatievraag.")
    parser.addoption(
        "--wallet-url", default="", help="The wallet of the care provider of --identity, which is its credential issuer identifier."
    )
    parser.addoption(
        "--iwlz-profile", default="", help="The profile that the iWlz doors under test speak; ours are asked for both."
    )
    parser.addoption("--agb", default="06990101", help="The AGB of the certificate, for the iWlz doors.")
    parser.addoption("--uzovi", default="9901", help="The UZOVI of the zorgkantoor in --roles.")
    parser.addoption("--resource-host", default="", help="By which name the network under test reaches this machine, if it does.")
    parser.addoption("--issuer", default="", help="The authorization server of a care provider that asks for presentations.")
    parser.addoption("--wallet", default="", help="The wallet of the certificate's party, up to /holder.")
    parser.addoption("--professional", default="", help="The UZI number of somebody whom that party may log in.")
    parser.addoption("--client", default="", help="The BSN of a client of that care provider who consents.")
    parser.addoption("--client-id", default="", help="The client_id of the certificate, such as ura:90000101.")


@pytest.fixture(scope="session")
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running, filled network: the one of --home, or one on ports of its own."""
    if given := request.config.getoption("--home"):
        yield Home(Path(given).absolute())
        return
    home = Home(tmp_path_factory.mktemp("network") / "home")
    home.prepare(ROOT / "parties.toml", BASE_PORT, tape=True)
    running.start(home, processes=False)
    try:
        asyncio.run(seeding.seed(home))
        yield home
    finally:
        running.stop(home)
