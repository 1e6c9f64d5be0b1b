"""What an independent client needs to know of the network, and nothing that only we know."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home


@dataclass(frozen=True, slots=True)
class Parts:
    """A hospital as OAuth client: its certificate, what it registered, the servers, and a nurse and a client of care."""

    client_id: str
    certificate: Path
    key: Path
    ca: Path
    kid: str
    redirect_uri: str
    issuer: str
    identity: str
    holder: str
    scope: str
    resource: str
    person: str
    records: dict[str, str]


@pytest.fixture(scope="session")
def parts(network: Home) -> Parts:
    """The hospital's part."""
    found, layout = cast(network.seed), network.topology
    folder = network.party_folder(found.hospital.id)
    registered: dict[str, Any] = json.loads(network.client_file(found.hospital.id).read_text())
    details = [{"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": found.client}, "purpose_of_use": "TREAT"}]
    return Parts(
        client_id=found.hospital.client_id, certificate=folder / "certificate.pem", key=folder / "certificate.key",
        ca=network.ca_bundle, kid=registered["jwks"]["keys"][0]["kid"], redirect_uri=registered["redirect_uris"][0],
        issuer=layout.network.issuer, identity=layout.network.identity_professionals, holder=layout.issuer(found.holder.id),
        scope="nvi:localize", resource=layout.network.localization, person=found.nurse,
        records={
            "scope": "patient/Patient.rs patient/Condition.rs", "resource": layout.datastation(found.holder.id),
            "authorization_details": json.dumps(details),
        },
    )  # fmt: skip
