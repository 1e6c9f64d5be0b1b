"""What the scenarios of the portal share."""

from collections.abc import AsyncIterator

import httpx
import pytest

from proeftuin.sandbox.home import Home
from proeftuin.sandbox.web.app import create_app


@pytest.fixture
async def browser(network: Home) -> AsyncIterator[httpx.AsyncClient]:
    """What a browser sends to the portal's own pages."""
    address = network.topology.console
    transport = httpx.ASGITransport(create_app(network))
    async with httpx.AsyncClient(transport=transport, base_url=address, headers={"Origin": address}) as client:
        yield client
