"""The witness: wiring only."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.storage.secrets import secret
from services.witness.api import add_checkpoint


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application; it witnesses the one log of the network."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring())
    tenant = service.operator
    key = Ed25519PrivateKey.from_private_bytes(secret(tenant.secrets / "cosigner.key", lambda: os.urandom(32)))
    name = f"{settings.base_url.removeprefix('https://')}/witness"
    operator = next(party.client_id for party in service.seed.parties if party.kind == "logboek")
    return service.app("Proeftuin witness", [add_checkpoint.router(name, key, settings.network.logging, operator)])
