"""A running log, still empty."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.services.logging.logbook import Logbook


@pytest.fixture
async def logbook(tmp_path: Path) -> AsyncIterator[Logbook]:
    made = Logbook(tmp_path)
    async with made.running(made.app):
        yield made
