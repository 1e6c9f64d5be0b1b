"""The datastation: wiring only."""

from pathlib import Path

from fastapi import FastAPI

from proeftuin.access.rendering import fhir
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from services.datastation import questions
from services.datastation.api import intake, records
from services.datastation.api import questions as sparql
from services.datastation.source import Source


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application with one source for each party that `settings` hosts."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring(), asks=[settings.network.consent])
    clients = {party.client_id: party for party in service.seed.parties}
    sources = {
        tenant.party: Source(service.tenants[tenant.party], tenant.issuer, settings.network.consent, clients)
        for tenant in settings.tenants
    }
    routers = [sparql.router(sources, questions.load()), intake.router(), records.router(sources)]
    return service.app("Proeftuin datastation", routers, form=fhir)
