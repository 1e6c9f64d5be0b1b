"""The addressing service: wiring only."""

from pathlib import Path

from fastapi import FastAPI

from proeftuin.access.rendering import fhir
from proeftuin.clock import instant
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from services.addressing.api import capability, history, read, search, transaction, update


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application: the directory of the one register that `settings` hosts."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring())
    routers = [history.router(), search.router(), update.router(), transaction.router(), read.router()]  # _history before [id]
    metadata = capability.router(routers, f"{service.operator.audience}/fhir", instant(service.clock.now()))
    return service.app("Proeftuin addressing", [metadata, *routers], form=fhir)
