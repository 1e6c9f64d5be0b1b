"""Listeners: uvicorn over mTLS, with the verified certificate of the caller in the ASGI scope (`extensions.tls.peer`)."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proeftuin.pki.identity import Peer, peer_from_der
from proeftuin.transport.trust import ReloadingContext


class PortInUse(Exception):  # noqa: N818 - it is told to a person, with the way out
    """Another program listens on the port that a service needs."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address on which one application answers; without a `context` in plain HTTP, for this machine alone."""

    app: ASGIApp
    host: str
    port: int
    context: ReloadingContext | None


class PeerProtocol(HttpToolsProtocol):
    """Puts the identity of the certificate, read once a connection, into the scope of each of its requests."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Read the certificate of the finished handshake and hand it to every request."""
        super().connection_made(transport)
        ssl_object = transport.get_extra_info("ssl_object")
        der = ssl_object.getpeercert(binary_form=True) if ssl_object else None
        peer: Peer | None = None
        if der is not None:
            with contextlib.suppress(ValueError):  # a certificate of ours without an identity: refused by access
                peer = peer_from_der(der)
        app = self.app

        async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["tls"] = {"peer": peer, "der": der, "tls_version": 0x0304}
            await app(scope, receive, send)

        self.app = with_peer


class Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to the process that runs several of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no handlers: `serve` has one for all."""
        yield


async def serve(listeners: list[Listener], *, started: Callable[[], Any] | None = None) -> None:
    """Answer on every listener until SIGTERM or SIGINT; `started` is called once all of them accept connections.

    Raises PortInUse before anything starts when a port is taken.
    """
    sockets = [bind(listener.host, listener.port) for listener in listeners]
    servers = [Server(_config(listener)) for listener in listeners]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    try:
        async with asyncio.TaskGroup() as group:
            for server, bound in zip(servers, sockets, strict=True):
                group.create_task(server.serve(sockets=[bound]))
            while not all(server.started or server.should_exit for server in servers):  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.01)
            if started is not None and all(server.started for server in servers):
                started()
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises PortInUse with what a person can do about it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortInUse(
            f"port {port} on {host} is in use; stop the program that listens there (proeftuin down), "
            "or choose other ports with --base-port"
        ) from error
    bound.set_inheritable(True)
    return bound


def _config(listener: Listener) -> uvicorn.Config:
    context = listener.context
    return uvicorn.Config(
        listener.app,
        http=PeerProtocol,
        ws="none",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who calls is whom the connection is with
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
    )
