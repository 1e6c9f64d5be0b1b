"""The console, put together: its sections, the guard before them, and where it listens."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal import pages as portal
from proeftuin.sandbox.web import exchanges, live
from proeftuin.sandbox.web.guard import Guard
from proeftuin.sandbox.web.rendering import ENVIRONMENT, FOLDER, page
from proeftuin.transport.server import Listener

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the console: `title` and `path` of its link in the frame, `router` makes its routes for a sandbox folder."""

    title: str
    path: str
    router: Callable[[Home], APIRouter]


SECTIONS = (
    Section("Exchanges", "/", exchanges.router),
    Section("Live", "/live", live.router),
    Section("Mijn Dossier", "/portaal", portal.router),
)


def create_app(home: Home) -> ASGIApp:
    """Return the console of the sandbox in `home`, behind its guard."""
    app = FastAPI(title="Proeftuin console", openapi_url=None, docs_url=None, redoc_url=None)
    ENVIRONMENT.globals["sections"] = SECTIONS
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), "static")
    for section in SECTIONS:
        app.include_router(section.router(home))
    app.add_exception_handler(HTTPException, _not_found)
    return Guard(app, home.topology.console_port)


def listener(home: Home) -> Listener:
    """Return where the console answers: plain HTTP, for browsers on this machine alone."""
    return Listener(create_app(home), HOST, home.topology.console_port, None)


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return page("message.html", status, title="Not here", text=f"There is no page {request.url.path} (HTTP {status}).")
