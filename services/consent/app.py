"""The consent service: wiring only."""

import os
from pathlib import Path

from fastapi import FastAPI

from proeftuin.access.rendering import fhir
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.storage.secrets import secret
from services.consent.api import checking, closed_question, conversion, decisions, levers, open_question, registration, subscription
from services.consent.asking import Asking
from services.consent.notifying import Notifying


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring())
    index_key = secret(service.operator.secrets / "index.key", lambda: os.urandom(32))
    asking = Asking(index_key)
    notifying = Notifying(service.operator, settings.network.addressing)
    service.on_start.append(notifying.start)
    service.on_stop.append(notifying.stop)
    return service.app(
        "Proeftuin consent",
        [
            registration.router(index_key, service.seed, notifying),
            conversion.router(),
            decisions.router(asking),
            closed_question.router(asking, service.seed),
            checking.router(),
            open_question.router(index_key, service.seed),
            subscription.router(index_key, service.seed),
            levers.router(),
        ],
        form=fhir,
    )
