"""The iWlz network under test as its callers see it, and a resource server of the caller's own behind it."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.contract.target import Target

VECOZO, SPEC = "vecozo-2026-03", "spec-2026-06"
NOWHERE = "https://localhost:1/graphql"
BR = "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"
GRAPHQL = "application/graphql-response+json"


@dataclass
class Iwlz:
    """Token door and enforcement point at `base`; `identity` is what each kind of caller is known by."""

    target: Target
    base: str
    profiles: list[str]
    identity: dict[str, str]

    def ask(self, by: str = "zorgaanbieder", **content: Any) -> httpx.Response:
        """Ask for a token; a member that is None is left out."""
        asked = {"grant_type": "client_credentials", "scope": BR, "audience": NOWHERE} | content
        content = {name: value for name, value in asked.items() if value is not None}
        return self.target.at(by).post(f"{self.base}/auth/token", json=content)

    def token(self, by: str = "zorgaanbieder", **content: Any) -> str:
        """Return a token."""
        answer = self.ask(by, **content)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def pep(
        self,
        token: str | None,
        query: str,
        profile: str,
        variables: Any = None,
        by: str = "zorgaanbieder",
        **headers: Any,
    ) -> httpx.Response:
        """Send a GraphQL request to the enforcement point, in one profile."""
        sent = {"X-Iwlz-Profile": profile} | ({"Authorization": f"Bearer {token}"} if token is not None else {}) | headers
        content = {"query": query, "variables": variables or {}}
        return self.target.at(by).post(f"{self.base}/pep", json=content, headers=sent)


def refused(answer: httpx.Response, profile: str, status: int, text: str) -> None:
    """Assert that a token was refused in the words of a profile: plain text, or the fields of RFC0014 §6.2."""
    assert answer.status_code == status, answer.text
    media_type = answer.headers["content-type"].partition(";")[0]
    if profile == VECOZO:
        assert (answer.text, media_type) == (text, "text/plain")
    else:
        code = "unauthorized" if status == 401 else "access_denied"
        assert (answer.json(), media_type) == ({"ErrorCode": code, "Error": text}, "application/json")


@dataclass
class Resource:
    """A resource server: `answers` status, media type and body by path; `got` is what arrived."""

    url: str
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def at(self, path: str, status: int, content: Any, media_type: str = GRAPHQL) -> str:
        """Answer so at a path; returns its address, the audience for a token."""
        self.answers[path] = (status, media_type, json.dumps(content).encode())
        return f"{self.url}{path}"


@contextmanager
def serving(certificate: Path, host: str = "localhost") -> Iterator[Resource]:
    """Run a resource server with a certificate of the network, at a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            resource.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            status, media_type, content = resource.answers[self.path]
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "certificate.pem", certificate / "certificate.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    resource = Resource(f"https://{host}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield resource
    finally:
        server.shutdown()
        server.server_close()
