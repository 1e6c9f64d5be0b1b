"""The logging service: wiring only."""

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from prometheus_client import Gauge

from proeftuin.access.rendering import fhir
from proeftuin.audit.outbox import Deliver
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.storage.secrets import secret
from proeftuin.tenant import Tenant
from proeftuin.transparency.checkpoint import verifier_line
from services.logging.api import archiving, audit, export, inspection, intake, retention, retrieval, transparency, validation
from services.logging.leadership import leadership
from services.logging.sequencer import Sequencer
from services.logging.witnessing import Witnessing


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application; raises LogDamagedError when the stored log is not the one last signed."""
    own = wiring or Wiring()
    sequencers: dict[str, Sequencer] = {}

    def to_itself(tenant: Tenant) -> Deliver:
        async def deliver(events: list[dict[str, Any]]) -> set[str]:
            log = sequencers[tenant.party.id]
            await log.append([log.prepare(tenant.party.client_id, event["id"], event) for event in events])
            return {event["id"] for event in events}

        return deliver

    service = Service(
        settings,
        Path(__file__).parent / "migrations",
        Wiring(own.clock, own.key_source, own.delivery or to_itself),
        asks=[settings.network.witness],
    )
    tenant = service.operator
    key = Ed25519PrivateKey.from_private_bytes(secret(tenant.secrets / "checkpoint.key", lambda: os.urandom(32)))
    index_key = secret(tenant.secrets / "index.key", lambda: os.urandom(32))
    origin = f"{settings.base_url.removeprefix('https://')}/log"
    sequencer = sequencers[tenant.party.id] = Sequencer(tenant.database, service.clock, origin, key, index_key)
    with tenant.database.snapshot() as connection:
        sequencer.check(connection)
    lead = sequencer.lead = leadership(tenant.database, sequencer.begin, tenant.courier.wake)
    for name, told, read in (
        ("waiting", "Events that wait to be written", lambda: sequencer.waiting),
        ("waiting_bytes", "What they take", lambda: sequencer.waiting_bytes),
        ("leading", "1 in the process that writes the log", lambda: lead.leading),
    ):
        Gauge(f"proeftuin_log_{name}", told, registry=service.metrics.registry).set_function(read)
    verifier = secret(tenant.secrets / "verifier", lambda: verifier_line(origin, key.public_key()).encode()).decode()
    witnessing = Witnessing(tenant.database, tenant.client, settings.network.witness, tenant.secrets / "cosigner", lead)
    service.on_start += [lead.start, witnessing.start]
    service.on_stop += [witnessing.stop]
    service.on_end.append(lead.stop)
    service.checks["log"] = lead.health
    service.checks["witness"] = witnessing.health
    return service.app(
        "Proeftuin logging",
        [
            intake.router(sequencer),
            retention.router(sequencer),
            archiving.router(sequencer),
            validation.router(),
            retrieval.router(index_key),
            export.router(index_key),
            inspection.router(index_key, service.seed),
            *audit.routers(index_key, service.seed),
            transparency.router(verifier),
        ],
        form=fhir,
    )
