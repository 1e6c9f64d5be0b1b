"""Opening the connections that a service will need before the first caller waits for them."""

import asyncio
import contextlib
from collections.abc import Iterable

from proeftuin.transport.client import Client, Unreachable

PATIENCE = 30.0  # seconds in which the others of the network start


async def warm(client: Client, origins: Iterable[str]) -> None:
    """Open one connection to each of `origins`; one that does not answer in time is left for its first use."""

    async def open_(origin: str) -> None:
        while True:
            try:
                await client.request("GET", f"{origin}/health")
                return
            except Unreachable as error:
                if error.refusal is not None:  # waiting does not mend a certificate
                    return
                await asyncio.sleep(0.2)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*map(open_, origins))
