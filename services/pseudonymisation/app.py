"""The pseudonymisation service: wiring only."""

from pathlib import Path

from fastapi import FastAPI

from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.storage.secrets import secret
from services.pseudonymisation.api import evaluate, recipients
from services.pseudonymisation.evaluation import new_master


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring())
    master = secret(service.operator.secrets / "master.key", new_master)
    return service.app("Proeftuin pseudonymisation", [evaluate.router(master), recipients.router()])
