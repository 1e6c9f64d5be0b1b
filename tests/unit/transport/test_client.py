"""The client against a real TLS listener: one call is one request and one handshake; a connection that was closed fails no call."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from proeftuin import parties
from proeftuin.pki.authority import Authority
from proeftuin.transport.client import PeerClient, Unreachable
from proeftuin.transport.trust import ReloadingContext, Trust, client_context
from tests.harness import PARTIES

METHODS = ("GET", "PUT", "DELETE", "POST")
SEED = parties.load(PARTIES)
Run = Callable[[Coroutine[Any, Any, None]], None]


class Listener:
    """A server in a thread; it counts what reaches it. `answering`: does it answer; `keeping`: is the connection kept."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.answering, self.keeping = True, True
        self.handshakes = self.requests = 0
        self.closed = threading.Event()
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._socket.accept()
                threading.Thread(target=self._converse, args=[raw], daemon=True).start()

    def _converse(self, raw: socket.socket) -> None:
        self.handshakes += 1
        connection = self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        with contextlib.suppress(OSError), connection:
            try:
                connection.do_handshake()
            except ssl.SSLError:  # the alert is on its way: to close on unread data would take it back
                while socket.socket.recv(connection, 65536):
                    pass
                return
            while connection.recv(65536):
                answering, keeping = self.answering, self.keeping
                self.requests += 1
                if answering:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                if not (answering and keeping):
                    break
        self.closed.set()

    def end(self) -> None:
        """Stop accepting."""
        self._socket.close()


@pytest.fixture
def pki(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "pki")
    made.create()
    return made


@pytest.fixture
def listener(pki: Authority, tmp_path: Path) -> Iterator[Listener]:
    issued = pki.issue(SEED.party("zorgsoft"), folder=tmp_path / "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.num_tickets = ssl.TLSVersion.TLSv1_3, 0
    context.load_cert_chain(issued.certificate, issued.key)
    Trust(pki.trust_folder).load_into(context)
    made = Listener(context)
    yield made
    made.end()


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.param
    return found


def shown(issuer: Authority, trusted: Authority, folder: Path) -> ReloadingContext:
    issued = issuer.issue(SEED.party("ziekenhuis-de-linde"), folder=folder)
    return client_context(issued.certificate, issued.key, Trust(trusted.trust_folder))


async def call(client: PeerClient, method: str, url: str) -> None:
    answer = await client.request(method, url, body=b"x" if method in ("PUT", "POST") else None)
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.server is not None
    assert answer.server.common_name == SEED.party("zorgsoft").name


def test_a_connection_is_kept(pki: Authority, listener: Listener, tmp_path: Path, run: Run) -> None:
    async def calls() -> None:
        client = PeerClient(shown(pki, pki, tmp_path / "client"))
        for method in METHODS * 3:
            await call(client, method, listener.url)
        await client.close()

    run(calls())
    assert (listener.handshakes, listener.requests) == (1, 12)


def test_a_connection_that_was_closed_meanwhile_fails_no_call(pki: Authority, listener: Listener, tmp_path: Path, run: Run) -> None:
    listener.keeping = False

    async def calls() -> None:
        client = PeerClient(shown(pki, pki, tmp_path / "client"))
        for method in METHODS * 3:
            await call(client, method, listener.url)
            listener.closed.wait()  # the loop does not turn meanwhile, so the client cannot have seen it
            listener.closed.clear()
        await client.close()

    run(calls())
    assert (listener.handshakes, listener.requests) == (12, 12)


def test_what_reached_the_other_side_is_not_sent_again(pki: Authority, listener: Listener, tmp_path: Path, run: Run) -> None:
    async def calls() -> None:
        client = PeerClient(shown(pki, pki, tmp_path / "client"))
        for kept in (False, True):  # a new connection, and one that has served
            for method in METHODS:
                if kept:
                    listener.answering = True
                    await call(client, method, listener.url)
                listener.answering, before = False, listener.requests
                with pytest.raises(Unreachable) as failed:
                    await call(client, method, listener.url)
                assert failed.value.refusal is None
                assert listener.requests == before + 1
        await client.close()

    run(calls())


def test_a_handshake_that_is_refused_is_not_tried_again(pki: Authority, listener: Listener, tmp_path: Path, run: Run) -> None:
    stranger = Authority(tmp_path / "stranger")
    stranger.create()

    async def calls() -> None:
        for ours, reason in ((shown(stranger, pki, tmp_path / "foreign"), "its"), (shown(pki, stranger, tmp_path / "own"), "own")):
            client = PeerClient(ours)
            for method in METHODS:
                before = listener.handshakes
                with pytest.raises(Unreachable) as failed:
                    await call(client, method, listener.url)
                assert failed.value.refusal is not None, reason
                assert failed.value.refusal.code == "certificate_unknown_ca"
                assert listener.handshakes == before + 1
            await client.close()

    run(calls())
    assert listener.requests == 0
