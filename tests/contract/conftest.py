"""A target for the contract tests: `--base-url` names the addressing service of any network, else one is started.

With `--base-url`, `--identity` is a folder with `certificate.pem` and `certificate.key` of a care provider, `--ca` the CA bundle.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwk

SERVICE_SYSTEM = "https://proeftuin.example/CodeSystem/service"


@dataclass
class Target:
    """A network as a vendor sees it: a client with a certificate and its key, and what addressing tells."""

    http: httpx.Client
    addressing: str
    services: dict[str, str]
    client_id: str
    key: jwk.ECKey

    def token(self, service: str, scope: str, **changes: str) -> httpx.Response:
        """Ask the network's authorization server for a token."""
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "scope": scope, "resource": self.services[service]}
        return self.http.post(f"{self.services['authorization']}/token", data=form | changes)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The network under test."""
    addressing = request.config.getoption("--base-url")
    if addressing:
        identity, ca = Path(request.config.getoption("--identity")), request.config.getoption("--ca")
        client_id = request.config.getoption("--client-id")
    else:
        home: Any = request.getfixturevalue("network")
        party = next(party for party in home.seed.parties if party.kind == "ziekenhuis")
        addressing, identity, ca = home.topology.network.addressing, home.party_folder(party.id), home.ca_bundle
        client_id = party.client_id
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(identity / "certificate.pem", identity / "certificate.key")
    with httpx.Client(verify=context, trust_env=False) as http:
        entries = http.get(f"{addressing}/fhir/Endpoint", params={"identifier": f"{SERVICE_SYSTEM}|"}).json()["entry"]
        services = {entry["resource"]["identifier"][0]["value"]: entry["resource"]["address"] for entry in entries}
        key = jwk.ECKey.import_key((identity / "certificate.key").read_text())
        yield Target(http, addressing, services, client_id, key)
