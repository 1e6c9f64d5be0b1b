"""A new decision in three steps: the form, what will hold in words, confirmed. The first two change nothing."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from proeftuin.parties import CARE_KINDS, Seed
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.portal import choices, words
from proeftuin.sandbox.portal.choices import ANYONE, Choice, Fields, Held, Incomplete, today_here
from proeftuin.sandbox.portal.consent_pages import PLACE
from proeftuin.sandbox.portal.effects import effects
from proeftuin.sandbox.portal.frame import declined, elsewhere, fields, is_about, page, to, who
from proeftuin.sandbox.portal.register import Register
from proeftuin.sandbox.portal.sessions import PATH, Session, Sessions
from proeftuin.transport.client import Unreachable


def router(seed: Seed, sessions: Sessions, register: Register) -> APIRouter:
    """Return the pages of a new decision, for who is logged in."""
    routes = APIRouter(prefix=f"{PATH}/{PLACE}")

    @routes.get("/nieuw")
    async def new(request: Request) -> Response:
        """The form; its fields may stand in the query (`antwoord`, `van`, `aan`, `wat`, `tot`)."""
        session = sessions.of(request)
        return to("") if session is None else _form(request.query_params.multi_items(), session, seed)

    @routes.post("/nakijken")
    async def review(request: Request) -> Response:
        """What will hold, in words, before it is confirmed."""
        return await decide(request, confirmed=False)

    @routes.post("/vastleggen")
    async def confirm(request: Request) -> Response:
        """Register the decision."""
        return await decide(request, confirmed=True)

    async def decide(request: Request, *, confirmed: bool) -> Response:
        session = sessions.of(request)
        if session is None:
            return to("")
        given = await fields(request)
        if not is_about(session, dict(given), seed):
            return elsewhere(session, seed)
        try:
            choice = choices.read_form(given, seed, today_here())
        except Incomplete as error:
            return _form(given, session, seed, error)
        try:
            holding = [each for each in await register.held(session) if each.holds(today_here())]
            if not confirmed or choices.same(choice, [each.choice for each in holding]):
                return _review(choice, holding, session, seed)
            made = await register.give(session, choices.resource(choice, seed, session.about, datetime.now(UTC)))
        except (Stopped, Unreachable) as error:
            return declined(error, session, seed)
        session.notice = words.CONSENT["notice"]["proposed" if made["status"] == "proposed" else "given"]
        return to(PLACE)

    return routes


def _form(given: Fields, session: Session, seed: Seed, error: Incomplete | None = None) -> Response:
    values = dict.fromkeys(("antwoord", "van", "aan", "tot"), "") | dict(given)
    return page(
        "consent_form.html", 400 if error else 200, **who(session, seed), **_options(seed, session), error=error,
        given=values | {"wat": [value for name, value in given if name == "wat"]}, today=today_here().isoformat(),
    )  # fmt: skip


def _review(choice: Choice, holding: list[Held], session: Session, seed: Seed) -> Response:
    data = words.whose(session.client, session.about)
    return page(
        "consent_review.html", **who(session, seed), sentence=words.sentence(choice, seed, data),
        categories=[words.category(each) for each in choice.categories], until=words.day(choice.until) if choice.until else None,
        permit=choice.permit, fields=choice.fields(), again=urlencode(choice.fields()),
        same=choices.same(choice, [each.choice for each in holding]),
        effects=[words.effect(each, choice, seed, data) for each in effects(choice, holding, seed)],
        standing=words.standing_of(session.client, session.about, today_here()) if choice.permit else "",
    )  # fmt: skip


def _options(seed: Seed, session: Session) -> dict[str, Any]:
    """What the form offers."""
    loose = sorted(choices.OFFERED - set(words.CONSENT["group"]), key=words.category)
    own = choices.holders(seed, session.about)
    kinds = [kind for kind in words.CONSENT["user"] if kind in CARE_KINDS]
    return {
        "holders": {
            "": [(ANYONE, _begin(words.holder(ANYONE, seed)))],
            "Een organisatie die u kent": [(party.id, party.name) for party in own],
            "Een soort zorgverlener": [(kind, _begin(words.holder(kind, seed))) for kind in kinds],
        },
        "users": {
            "": [(ANYONE, words.user(ANYONE, seed))],
            "Een soort zorgverlener": [(kind, words.user(kind, seed)) for kind in kinds],
            "Eén organisatie": [(party.id, party.name) for party in choices.users(seed)],
        },
        "groups": list(words.CONSENT["group"].items()),
        "loose": [(each, words.category(each)) for each in loose],
    }  # fmt: skip


def _begin(text: str) -> str:
    return text[0].upper() + text[1:]
