"""What every page of the portal has: its templates, the client who is logged in, forms that are read within bounds."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from proeftuin.overview import html
from proeftuin.parties import Client, Seed
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.portal import words
from proeftuin.sandbox.portal.network import Declined
from proeftuin.sandbox.portal.sessions import PATH, Session
from proeftuin.transport.client import Unreachable

TEMPLATES = html.environment(Path(__file__).parent / "templates")
MOST_BODY = 4096  # bytes of a form
ELSEWHERE = (
    "U koos intussen voor iemand anders, misschien in een ander venster. Er is niets gewijzigd. Kijk boven aan de pagina voor wie "
    "u nu iets regelt."
)


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - whatever the template shows
    """Render a page; with `client` in `values` it has the header of who is logged in (see `who`)."""
    return HTMLResponse(TEMPLATES.get_template(template).render(values), status)


def who(session: Session, seed: Seed) -> dict[str, Any]:
    """Return what the header shows: who is logged in, about whom the pages are, and whom the client may choose."""
    places = {place: each for place, each in enumerate(seed.clients) if each in selectable(session.client, seed)}
    return {
        "client": words.name(session.client), "about": words.name(session.about), "own": session.about == session.client,
        "whose": words.whose(session.client, session.about), "place": seed.clients.index(session.about),
        "choices": [(place, words.name(each)) for place, each in places.items()],
    }  # fmt: skip


def selectable(client: Client, seed: Seed) -> list[Client]:
    """Return about whom a client may ask: the client, and whoever names the client as representative."""
    return [each for each in seed.clients if each == client or any(known.bsn == client.bsn for known in each.representatives)]


def message(text: str, status: int, **header: Any) -> HTMLResponse:  # noqa: ANN401 - see `who`
    """Tell that it does not work, and why."""
    return page("portal_message.html", status, message=text, **header)


def declined(error: Stopped | Unreachable, session: Session, seed: Seed) -> HTMLResponse:
    """Tell in words what the network refused, and what to do."""
    status = 409 if isinstance(error, Declined) and error.reason == "version_stale" else 502
    return message(words.refusal(error), status, back="toestemmingen", **who(session, seed))


def is_about(session: Session, given: dict[str, str], seed: Seed) -> bool:
    """Tell whether a form (`voor`) was made for whom the session is about now: another window may have chosen another."""
    return given.get("voor") == str(seed.clients.index(session.about))


def elsewhere(session: Session, seed: Seed) -> HTMLResponse:
    """Tell that nothing is changed, for a form that is not `is_about`."""
    return message(ELSEWHERE, 409, back="toestemmingen", **who(session, seed))


async def fields(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a form, in order; none of a form that is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            return []
    return parse_qsl(body.decode("utf-8", "replace"))


def to(place: str) -> Response:
    """Send the browser to another page of the portal, with GET."""
    return RedirectResponse(f"{PATH}/{place}".rstrip("/"), 303)
