"""The localization service: wiring only."""

import asyncio
import os
from pathlib import Path

import structlog
from fastapi import FastAPI
from joserfc.jwk import RSAKey

from proeftuin.access.rendering import fhir
from proeftuin.reasons import Refused
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.storage.secrets import secret
from proeftuin.transport.client import Unreachable
from services.localization.api import localize, registration
from services.localization.pseudonyms import SCOPE, Pseudonyms

log = structlog.get_logger(__name__)


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application; in the background it makes its public key known to the pseudonymisation service."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring(), asks=[settings.network.pseudonymisation])
    tenant = service.operator
    key = RSAKey.import_key(secret(tenant.secrets / "evaluations.pem", _new_key))
    index_key = secret(tenant.secrets / "index.key", lambda: os.urandom(32))
    pseudonyms = Pseudonyms(tenant.party.client_id, key, index_key, service.clock)
    registering: set[asyncio.Task[None]] = set()

    async def register_key() -> None:
        base = settings.network.pseudonymisation
        pause = 0.1
        while True:
            try:
                token = await tenant.tokens.token(base, "prs:register")
                answer = await tenant.client.request(
                    "PUT", f"{base}/recipients/{SCOPE}", content=pseudonyms.public_jwk(), token=token
                )
                if answer.status in (200, 201):
                    return
                log.warning("key not registered", status=answer.status)
            except (Unreachable, Refused) as error:
                log.info("key not registered yet", reason=str(error)[:200])
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)

    async def start() -> None:
        registering.add(asyncio.get_running_loop().create_task(register_key()))

    async def stop() -> None:
        for task in registering:
            task.cancel()

    service.on_start.append(start)
    service.on_stop.append(stop)
    return service.app("Proeftuin localization", [registration.router(pseudonyms), localize.router(pseudonyms)], form=fhir)


def _new_key() -> bytes:
    pem: bytes = RSAKey.generate_key(2048, private=True).as_pem(private=True)
    return pem
