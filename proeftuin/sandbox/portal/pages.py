"""The portal's pages, put together; and its first: who saw the client's data, kept as a file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from proeftuin.overview import html
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal import consent_pages, decision_pages, login_pages, words
from proeftuin.sandbox.portal.frame import fields, message, page, to, who
from proeftuin.sandbox.portal.log import Log
from proeftuin.sandbox.portal.network import Declined, Network
from proeftuin.sandbox.portal.register import Register
from proeftuin.sandbox.portal.sessions import PATH, Session, Sessions
from proeftuin.transport.client import Unreachable

FILES = ("pdf", "csv", "json", "html")
STYLE = html.CSS + (Path(__file__).parent / "portal.css").read_text(encoding="utf-8")


def router(home: Home) -> APIRouter:
    """Return the pages of the portal of the sandbox in `home`.

    Who mounts them sees to it that they answer this machine alone and take a POST from their own pages alone.
    """
    network = Network(home)
    log = Log(network)
    sessions = Sessions()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        await network.close()

    routes = APIRouter(prefix=PATH)

    @routes.get("/overzicht")
    async def overview(request: Request) -> Response:
        """Who saw the client's data; query `van`, `tot`, `organisatie` (party id), `verder` (cursor)."""
        session = sessions.of(request)
        if session is None:
            return to("")
        query = dict(request.query_params)
        try:
            found = (await log.ask(session, _asked(home, query))).json()
            fault = await log.fault(found)
        except ValueError as error:
            return message(str(error), 400, **who(session, home.seed))
        except (Stopped, Unreachable) as error:
            return _no_overview(session, home, error)
        filled = {name: query.get(name, "") for name in ("van", "tot", "organisatie")}
        following = urlencode({name: value for name, value in filled.items() if value} | {"verder": found["next"] or ""})
        return page(
            "portal_overview.html",
            **html.values(found, {"organisation": _name(home, filled["organisatie"])}), **who(session, home.seed),
            filled=filled, here=found["here"], fault=fault, following=following,
            organisations=[party for party in home.seed.parties if party.is_care_provider], today=date.today().isoformat(),  # noqa: DTZ011 - the client's own day
        )  # fmt: skip

    @routes.post("/bestand")
    async def keep(request: Request) -> Response:
        """The overview as a file; form as the query of the overview, and `vorm`: pdf, csv, json or html."""
        session = sessions.of(request)
        if session is None:
            return to("")
        form = dict(await fields(request))
        try:
            if form.get("vorm") not in FILES:
                raise ValueError("Kies een soort bestand uit de lijst.")
            answer = await log.ask(session, _asked(home, form) | {"_format": form["vorm"]})
        except ValueError as error:
            return message(str(error), 400, **who(session, home.seed))
        except (Stopped, Unreachable) as error:
            return _no_overview(session, home, error)
        headers = {"Content-Disposition": f'attachment; filename="overzicht.{form["vorm"]}"'}
        return Response(answer.body, headers=headers, media_type=answer.headers["Content-Type"])

    @routes.get("/overzicht.css")
    async def style() -> Response:
        """The style of every page."""
        return Response(STYLE, media_type="text/css")

    register = Register(network)
    portal = APIRouter(lifespan=lifespan)
    for each in (
        routes, login_pages.router(home.seed, sessions), consent_pages.router(home.seed, sessions, register, log),
        decision_pages.router(home.seed, sessions, register),
    ):  # fmt: skip
        portal.include_router(each)
    return portal


def _no_overview(session: Session, home: Home, error: Stopped | Unreachable) -> Response:
    why = words.refusal(error) if isinstance(error, Declined) and error.reason in words.CONSENT["refusal"] else str(error)
    return message(f"Het logboek geeft nu geen overzicht. {why}", 502, **who(session, home.seed))


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
