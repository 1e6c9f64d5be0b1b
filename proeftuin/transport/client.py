"""The pooled mTLS client of a party: one connection pool, one SSL context. One call is one request, and one handshake at most.

Services do not call by this but by `proeftuin.audit.calling`, which logs the calling end.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from proeftuin import strict_json
from proeftuin.pki.identity import Peer, peer_from_der
from proeftuin.reasons import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_INVALID,
    CERTIFICATE_MISSING,
    CERTIFICATE_REVOKED,
    CERTIFICATE_UNKNOWN_CA,
    Reason,
)
from proeftuin.transport.tracing import Trace
from proeftuin.transport.trust import ReloadingContext, reason_of_verification

_ALERTS = {  # as OpenSSL words them
    "CERTIFICATE_REQUIRED": CERTIFICATE_MISSING,
    "CERTIFICATE_REVOKED": CERTIFICATE_REVOKED,
    "CERTIFICATE_EXPIRED": CERTIFICATE_EXPIRED,
    "UNKNOWN_CA": CERTIFICATE_UNKNOWN_CA,
}
_TLS: ContextVar[ssl.SSLObject | None] = ContextVar("the TLS of the connection that a call got", default=None)

TURNS = 3  # of the event loop: the socket is read, TLS ends, the connection is lost


class Unreachable(Exception):  # noqa: N818 - an outcome that callers handle: the other side gave no answer
    """A call got no HTTP answer: connection, TLS or time; the message says which, without the query.

    `refusal` is the reason when TLS refused: the other side this caller's certificate, or this caller the other side's.
    """

    def __init__(self, message: str, refusal: Reason | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, headers (case-insensitive), the whole body, and whose certificate the other side showed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    server: Peer | None = None

    def json(self) -> Any:  # noqa: ANN401 - JSON is any
        """Return the body as JSON; raises ValueError when it is not."""
        return json.loads(self.body)


class Client(Protocol):
    """Whatever makes calls: a PeerClient, or a Caller that also logs them. Both raise Unreachable."""

    @property
    def request(self) -> Callable[..., Awaitable[Answer]]:
        """Make one call; see PeerClient.request."""
        ...


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
        trace: Trace | None = None,
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
            body = strict_json.encode(content)
        if body is not None:
            sent.setdefault("Content-Type", content_type)
        if trace is not None:
            sent |= trace.headers()
        _TLS.set(None)
        try:
            async with self._open().request(method, url, headers=sent, params=params, data=body, allow_redirects=False) as response:
                return Answer(response.status, response.headers, await response.read(), _server())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            message = f"{method} {url.partition('?')[0]}: {str(error) or type(error).__name__}"
            raise Unreachable(message, _refusal(getattr(_TLS.get(), "alert", None) or error)) from error

    async def close(self) -> None:
        """Close every connection of the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = _Connector(
                ssl=self._context, limit=100, ttl_dns_cache=10, resolver=_Resolver(self._connect_to), keepalive_timeout=60
            )
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False)
            self._session._retry_connection = False  # as aiohttp's own test client does: it would send a GET or PUT twice
        return self._session


class _Connector(aiohttp.TCPConnector):
    """Gives no connection that the other side has closed: so nothing needs to be sent a second time."""

    async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:  # noqa: ANN401, ASYNC109 - as aiohttp
        """Return a connection that was open just now, and keep its TLS for the call."""
        for _ in range(TURNS):  # what the other side closed meanwhile is then known, and dropped from the pool
            await asyncio.sleep(0)
        connection = await super().connect(req, traces, timeout)
        _TLS.set(connection.transport.get_extra_info("ssl_object") if connection.transport is not None else None)
        return connection


def _server() -> Peer | None:
    """Return whose certificate the server of this call showed."""
    tls = _TLS.get()
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    return _peer(der) if der is not None else None


@lru_cache(maxsize=256)
def _peer(der: bytes) -> Peer | None:
    try:
        return peer_from_der(der)
    except ValueError:  # a certificate without an identity of an organisation
        return None


def _refusal(error: BaseException) -> Reason | None:
    """Return why TLS refused, when it did: from the alert of the other side, or from what this side found."""
    found: BaseException | None = error
    while found is not None and (isinstance(found, aiohttp.ClientError) or not isinstance(found, ssl.SSLError)):
        found = getattr(found, "os_error", None) or found.__cause__ or found.__context__
    if isinstance(found, ssl.SSLCertVerificationError):
        return reason_of_verification(found)
    wording = str(found or error).upper().replace(" ", "_")
    if "[SSL:" not in wording or "_ALERT_" not in wording:
        return None
    return next((reason for alert, reason in _ALERTS.items() if alert in wording), CERTIFICATE_INVALID)


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
