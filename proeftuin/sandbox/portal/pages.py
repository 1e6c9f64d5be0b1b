"""The portal's pages: log in as one of the clients of the sandbox, see who saw your data, keep it as a file."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from proeftuin.overview import html
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal.log import Log
from proeftuin.sandbox.portal.sessions import PATH, Sessions
from proeftuin.transport.client import Unreachable

TEMPLATES = html.environment(Path(__file__).parent / "templates")
FILES = ("pdf", "csv", "json", "html")
MOST_BODY = 4096  # bytes of a form


def router(home: Home, log: Log | None = None) -> APIRouter:
    """Return the pages of the portal of the sandbox in `home`.

    Who mounts them sees to it that they answer this machine alone and take a POST from their own pages alone.
    """
    log = log or Log(home)
    sessions = Sessions()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        await log.close()

    routes = APIRouter(prefix=PATH, lifespan=lifespan)

    @routes.get("")
    async def begin(request: Request) -> Response:
        """The choice of whom to be: the sandbox has no passwords."""
        if sessions.of(request) is not None:
            return _to("overzicht")
        return _page("portal_login.html", clients=home.seed.clients)

    @routes.post("/inloggen")
    async def log_in(request: Request) -> Response:
        """Form `client`: the place of the client in parties.toml, so that no BSN is sent."""
        place = (await _form(request)).get("client", "")
        clients = home.seed.clients
        if not re.fullmatch("[0-9]{1,4}", place) or int(place) >= len(clients):
            return _page("portal_message.html", 400, message="Kies een naam uit de lijst.")
        response = _to("overzicht")
        sessions.begin(clients[int(place)], response)
        return response

    @routes.post("/uitloggen")
    async def log_out(request: Request) -> Response:
        """End the session."""
        response = _to("")
        sessions.end(request, response)
        return response

    @routes.get("/overzicht")
    async def overview(request: Request) -> Response:
        """Who saw the client's data; query `van`, `tot`, `organisatie` (party id), `verder` (cursor)."""
        session = sessions.of(request)
        if session is None:
            return _to("")
        query = dict(request.query_params)
        try:
            found = (await log.ask(session, _asked(home, query))).json()
            fault = await log.fault(found)
        except ValueError as error:
            return _page("portal_message.html", 400, message=str(error))
        except (Stopped, Unreachable) as error:
            return _page("portal_message.html", 502, message=f"Het logboek geeft nu geen overzicht. {error}")
        filled = {name: query.get(name, "") for name in ("van", "tot", "organisatie")}
        following = urlencode({name: value for name, value in filled.items() if value} | {"verder": found["next"] or ""})
        client = session.client
        return _page(
            "portal_overview.html",
            **html.values(found, {"organisation": _name(home, filled["organisatie"])}),
            client=f"{client.given} {client.family}", filled=filled, here=found["here"], fault=fault, following=following,
            organisations=[party for party in home.seed.parties if party.is_care_provider], today=date.today().isoformat(),  # noqa: DTZ011 - the client's own day
        )  # fmt: skip

    @routes.post("/bestand")
    async def keep(request: Request) -> Response:
        """The overview as a file; form as the query of the overview, and `vorm`: pdf, csv, json or html."""
        session = sessions.of(request)
        if session is None:
            return _to("")
        form = await _form(request)
        try:
            if form.get("vorm") not in FILES:
                raise ValueError("Kies een soort bestand uit de lijst.")
            answer = await log.ask(session, _asked(home, form) | {"_format": form["vorm"]})
        except ValueError as error:
            return _page("portal_message.html", 400, message=str(error))
        except (Stopped, Unreachable) as error:
            return _page("portal_message.html", 502, message=f"Het logboek geeft nu geen bestand. {error}")
        headers = {"Content-Disposition": f'attachment; filename="overzicht.{form["vorm"]}"'}
        return Response(answer.body, headers=headers, media_type=answer.headers["Content-Type"])

    @routes.get("/overzicht.css")
    async def style() -> Response:
        """The style of every page."""
        return Response(html.CSS, media_type="text/css")

    return routes


def _asked(home: Home, given: dict[str, str]) -> dict[str, str]:
    """The form for the log; raises ValueError with what the client can mend."""
    asked: dict[str, str] = {}
    for name, theirs in (("van", "from"), ("tot", "to")):
        if value := given.get(name):
            try:
                asked[theirs] = date.fromisoformat(value).isoformat()
            except ValueError:
                raise ValueError("Vul een datum in zoals 31-12-2026.") from None
    if "from" in asked and "to" in asked and asked["from"] > asked["to"]:
        raise ValueError("De eerste datum ligt na de laatste. Draai ze om.")
    if given.get("organisatie"):
        party = next((each for each in home.seed.parties if each.id == given["organisatie"]), None)
        if party is None:
            raise ValueError("Kies een organisatie uit de lijst.")
        asked["organisation"] = "|".join(party.identifiers[0])
    if given.get("verder"):
        asked["_cursor"] = given["verder"]
    return asked


def _name(home: Home, party: str) -> str | None:
    return next((each.name for each in home.seed.parties if each.id == party), None)


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - whatever the template shows
    return HTMLResponse(TEMPLATES.get_template(template).render(values), status)


def _to(place: str) -> Response:
    return RedirectResponse(f"{PATH}/{place}".rstrip("/"), 303)
