"""A network of its own for these tests, started by the command that a person uses."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from proeftuin.sandbox import running, seeding
from proeftuin.sandbox.home import Home

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running, filled network on ports of its own."""
    home = Home(tmp_path_factory.mktemp("network") / "home")
    home.prepare(ROOT / "parties.toml", 8740)
    running.start(home, processes=False)
    try:
        asyncio.run(seeding.seed(home))
        yield home
    finally:
        running.stop(home)
