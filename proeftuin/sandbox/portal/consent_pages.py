"""The pages about consent: what the client decided, with a button to take it back, and who was refused. A GET changes nothing."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from proeftuin.parties import Seed
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.portal import words
from proeftuin.sandbox.portal.choices import Held, today_here
from proeftuin.sandbox.portal.frame import declined, elsewhere, fields, is_about, page, to, who
from proeftuin.sandbox.portal.log import Log
from proeftuin.sandbox.portal.refused import Refused, refused
from proeftuin.sandbox.portal.register import Register
from proeftuin.sandbox.portal.sessions import PATH, Session, Sessions
from proeftuin.transport.client import Unreachable

PLACE = "toestemmingen"


def router(seed: Seed, sessions: Sessions, register: Register, log: Log) -> APIRouter:
    """Return the pages about consent, for who is logged in."""
    routes = APIRouter(prefix=f"{PATH}/{PLACE}")

    @routes.get("")
    async def mine(request: Request) -> Response:
        """What the client decided."""
        session = sessions.of(request)
        if session is None:
            return to("")
        try:
            found = await register.held(session)
        except (Stopped, Unreachable) as error:
            return declined(error, session, seed)
        notice, session.notice = session.notice, ""
        today = today_here()
        cards = [_card(each, session, seed) for each in found]
        past = [card for card, each in zip(cards, found, strict=True) if each.status == "inactive" or each.over(today)]
        return page(
            "consent_list.html", **who(session, seed), notice=notice, past=past,
            standing=words.standing_of(session.client, session.about, today), current=[each for each in cards if each not in past],
        )  # fmt: skip

    async def change(request: Request, status: str) -> Response:
        session = sessions.of(request)
        if session is None:
            return to("")
        given = dict(await fields(request))
        if not is_about(session, given, seed):
            return elsewhere(session, seed)
        try:
            changed = await register.change(session, given.get("keuze", ""), given.get("versie", ""), status)
        except (Stopped, Unreachable) as error:
            return declined(error, session, seed)
        permit = changed["provision"]["type"] == "permit"
        session.notice = words.CONSENT["notice"][
            "withdrawn_yes" if status == "inactive" and permit else "withdrawn_no" if status == "inactive"
            else "agreed" if changed["status"] == "active" else "proposed"
        ]  # fmt: skip
        return to(PLACE)

    @routes.post("/intrekken")
    async def withdraw(request: Request) -> Response:
        """Take a decision back; form `keuze` (id) and `versie` as they were seen, `voor`."""
        return await change(request, "inactive")

    @routes.post("/akkoord")
    async def agree(request: Request) -> Response:
        """Agree with what the other side proposed; form as of withdraw."""
        return await change(request, "active")

    @routes.get("/geweigerd")
    async def denied(request: Request) -> Response:
        """Who was refused for want of consent; query `verder` (cursor of the log)."""
        session = sessions.of(request)
        if session is None:
            return to("")
        cursor = request.query_params.get("verder")
        try:
            overview = (await log.ask(session, {"_cursor": cursor} if cursor else {})).json()
            fault = await log.fault(overview)
            holding = [each for each in await register.held(session) if each.holds(today_here())]
        except (Stopped, Unreachable) as error:
            return declined(error, session, seed)
        found = [_told(each, session, seed) for each in refused(overview, seed, holding)]
        following = urlencode({"verder": overview["next"]}) if overview["next"] else ""
        return page("consent_refused.html", **who(session, seed), refused=found, fault=fault, following=following)

    return routes


def _card(held: Held, session: Session, seed: Seed) -> dict[str, Any]:
    """A decision as the list shows it."""
    choice = held.choice
    return {
        "id": held.id, "version": held.version, "permit": choice.permit, "proposed": held.status == "proposed",
        "sentence": words.sentence(choice, seed, words.whose(session.client, session.about)),
        "categories": words.categories(choice.categories), "since": words.day(held.since),
        "until": words.day(choice.until) if choice.until else "U heeft geen einddatum gekozen",
        "by": words.givers(held.by, session.client, seed), "agreed": session.client.bsn in held.by,
        "withdrawn": words.day(held.changed) if held.status == "inactive" else None,
    }  # fmt: skip


def _told(each: Refused, session: Session, seed: Seed) -> dict[str, Any]:
    """A refusal as the page shows it: `yes` is the query of the form, `against` what a yes would not go before."""
    data = words.whose(session.client, session.about)
    return {
        "when": each.when, "organisation": each.organisation, "who": each.who, "asked_of": each.asked_of, "why": each.why,
        "categories": words.categories(each.categories) or "Niet bekend", "allowed": each.allowed,
        "yes": urlencode(each.yes.fields()),
        "against": [(held.id, words.sentence(held.choice, seed, data)) for held in each.against],
    }  # fmt: skip
