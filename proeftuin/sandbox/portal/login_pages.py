"""Who is logged in, and for whom: one of the clients of the sandbox, without a password."""

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from proeftuin.parties import Seed
from proeftuin.sandbox.portal.frame import fields, message, page, selectable, to, who
from proeftuin.sandbox.portal.sessions import PATH, Sessions


def router(seed: Seed, sessions: Sessions) -> APIRouter:
    """Return the pages to log in, to choose for whom, and to log out."""
    routes = APIRouter(prefix=PATH)

    @routes.get("")
    async def begin(request: Request) -> Response:
        """The choice of whom to be: the sandbox has no passwords."""
        if sessions.of(request) is not None:
            return to("overzicht")
        return page("portal_login.html", clients=seed.clients)

    @routes.post("/inloggen")
    async def log_in(request: Request) -> Response:
        """Form `client`: the place of the client in parties.toml, so that no BSN is sent."""
        place = dict(await fields(request)).get("client", "")
        clients = seed.clients
        if not re.fullmatch("[0-9]{1,4}", place) or int(place) >= len(clients):
            return message("Kies een naam uit de lijst.", 400)
        response = to("overzicht")
        sessions.begin(clients[int(place)], response)
        return response

    @routes.post("/voor")
    async def choose(request: Request) -> Response:
        """Form `client`, as of log_in: about whom the pages are from now on."""
        session = sessions.of(request)
        if session is None:
            return to("")
        place = dict(await fields(request)).get("client", "")
        allowed = {str(seed.clients.index(each)): each for each in selectable(session.client, seed)}
        if place not in allowed:
            return message("Kies een naam uit de lijst.", 400, **who(session, seed))
        session.about, session.notice = allowed[place], ""
        return to("toestemmingen")

    @routes.post("/uitloggen")
    async def log_out(request: Request) -> Response:
        """End the session."""
        response = to("")
        sessions.end(request, response)
        return response

    return routes
