"""The authorization servers, running."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.services.authorization.presenting import Presenting
from tests.unit.services.authorization.servers import Servers


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    made = Servers(tmp_path)
    async with made.running(made.app):
        yield made


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Presenting]:
    made = Presenting(tmp_path)
    async with made.running(made.app):
        yield made
