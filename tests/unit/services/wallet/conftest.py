"""Applications in which the pre-authorized code flow is played."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.services.wallet.openid4vci import Flow
from tests.unit.services.wallet.test_wallet import Wallets


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def flow(tmp_path: Path) -> AsyncIterator[Flow]:
    made = Wallets(tmp_path)
    async with made.running(made.app):
        yield Flow(made)


@pytest.fixture(scope="module")
async def kept(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Flow]:
    """One running application for what is refused, after which nothing is held and nothing was given."""
    made = Wallets(tmp_path_factory.mktemp("wallets"))
    async with made.running(made.app):
        yield Flow(made)
