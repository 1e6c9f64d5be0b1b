"""A running datastation with the records of two clients."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.services.datastation.station import CLIENT, HOLDER, OTHER, OTHER_HOLDER, Station


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    made = Station(tmp_path)
    async with made.running(made.app):
        for party, bsn in ((HOLDER, CLIENT), (HOLDER, OTHER), (OTHER_HOLDER, CLIENT)):
            assert (await made.load(made.records(bsn, party), party)).status_code == 200
        await made.logged()
        yield made
