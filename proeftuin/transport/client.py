"""The pooled mTLS client of a party: one connection pool, one SSL context, the trace passed on with every call."""

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from proeftuin.transport.tracing import CURRENT
from proeftuin.transport.trust import ReloadingContext


class Unreachable(Exception):  # noqa: N818 - an outcome that callers handle: the other side gave no answer
    """A call got no HTTP answer: connection, TLS alert or time; the message says which, without the query."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, headers (case-insensitive) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON is any
        """Return the body as JSON; raises ValueError when it is not."""
        return json.loads(self.body)


class PeerClient:
    """Calls other services as one party, with its certificate.

    `connect_to` maps `host:port` of a public address to where it is reached from here (as curl's --connect-to), so that
    containers use the same addresses, and so the same token audiences, as the outside world.
    """

    def __init__(self, context: ReloadingContext, *, connect_to: Mapping[str, str] | None = None, timeout: float = 10.0) -> None:
        self._context = context
        self._connect_to = dict(connect_to or {})
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content: Any | None = None,  # noqa: ANN401 - JSON is any
        content_type: str = "application/json",
        token: str | None = None,
    ) -> Answer:
        """Send one request and read the whole answer; `form` is sent urlencoded, `content` as JSON of `content_type`.

        Redirects are not followed. Raises Unreachable.
        """
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if form is not None:
            body, content_type = urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif content is not None:
            body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        if body is not None:
            sent.setdefault("Content-Type", content_type)
        trace = CURRENT.get()
        if trace is not None:
            sent |= trace.headers()
        try:
            async with self._open().request(method, url, headers=sent, params=params, data=body, allow_redirects=False) as response:
                return Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{method} {url.partition('?')[0]}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Close every connection of the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._context, limit=100, ttl_dns_cache=10, resolver=_Resolver(self._connect_to), keepalive_timeout=60
            )
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False)
        return self._session


class _Resolver(AbstractResolver):
    """Resolves names as the system does, except those that `connect_to` places elsewhere."""

    def __init__(self, connect_to: Mapping[str, str]) -> None:
        self._connect_to = connect_to

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        target = urlsplit("//" + self._connect_to.get(f"{host}:{port}", f"{host}:{port}"))
        found = await asyncio.get_running_loop().getaddrinfo(target.hostname, target.port, type=socket.SOCK_STREAM, family=family)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=int(found_family),
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for found_family, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""
