"""A network as a vendor sees it, with a certificate of each role that a test needs."""

import ssl
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from joserfc import jwk


@dataclass
class Target:
    """A network as a vendor sees it: a client with a certificate and its key, and what addressing tells.

    `identity` and `roles`: folders with certificates, of that client and of the others.
    """

    http: httpx.Client
    addressing: str
    services: dict[str, str]
    client_id: str
    key: jwk.ECKey
    ca: Path
    identity: Path
    roles: dict[str, Path]
    opened: ExitStack
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def at(self, role: str) -> httpx.Client:
        """Return a client with the certificate of another role; "zorgaanbieder" is that of `http`."""
        if role == "zorgaanbieder":
            return self.http
        if role not in self.clients:
            if not (self.roles.get(role, Path()) / "certificate.pem").is_file():
                pytest.skip(f"--roles has no folder {role}")
            self.clients[role] = self.opened.enter_context(connected(self.ca, self.roles[role]))
        return self.clients[role]

    def token(self, service: str, scope: str, **changes: str) -> httpx.Response:
        """Ask the network's authorization server for a token."""
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "scope": scope, "resource": self.services[service]}
        return self.http.post(f"{self.services['authorization']}/token", data=form | changes)


def connected(ca: Path, identity: Path) -> httpx.Client:
    """Return a client that shows the certificate in a folder."""
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(identity / "certificate.pem", identity / "certificate.key")
    return httpx.Client(verify=context, trust_env=False)
