"""The closed question: may this user see these categories of this holder's client?"""

import re
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import DECISION
from proeftuin.categories import KNOWN
from proeftuin.clock import instant
from proeftuin.fhir.search import date_range
from proeftuin.identifiers import UZI_SYSTEM, InvalidIdentifier, bsn_of
from proeftuin.legal_bases import called_on
from proeftuin.parties import CARE_KINDS, KINDS
from proeftuin.reasons import INVALID_REQUEST, PARTY_MISMATCH, Refused
from proeftuin.tokens.access_token import Person
from services.consent.asking import Acting, Asking, AsOf
from services.consent.decisions import Question

MOST_CATEGORIES = 32
_CODE = re.compile(r"[A-Za-z0-9.-]{1,64}")  # what may stand in an audit event as purpose, person or role


def router(asking: Asking) -> APIRouter:
    """Return the route of the closed question."""
    routes = guarded(problem)

    @routes.post("/decisions")
    @require("consent:decide", event=DECISION, media_types=("application/json",), max_body=16384)
    async def decisions(admission: Admitted) -> Response:
        """Answer permit, deny or no-decision for each category, with the reason and the consents that were weighed."""
        body = await admission.json_object()
        patient, question, categories = read_question(body)
        as_of = read_as_of(body.get("as_of"), instant(admission.tenant.clock.now()))
        admission.record.patients, admission.record.purpose = [patient], question.purpose
        if question.holder_ura != admission.peer.ura:
            raise Refused(PARTY_MISMATCH, "only the holder asks about the holder's data")
        answers = await asking.answer(admission, patient, question, categories, _acting(body["user"]), as_of)
        content: dict[str, Any] = {"decisions": [each.as_json() for each in answers]}
        if as_of is not None:
            content["as_of"] = {"valid": as_of.valid, "known": as_of.known}
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes


def read_question(body: dict[str, Any]) -> tuple[str, Question, list[str]]:
    """Return the client (BSN), the question and its categories; raises Refused(INVALID_REQUEST)."""
    patient, holder, user = (body.get(name) for name in ("patient", "holder", "user"))
    categories, purpose = body.get("categories"), body.get("purpose")
    if not (isinstance(patient, dict) and isinstance(holder, dict) and isinstance(user, dict)):
        raise Refused(INVALID_REQUEST, "patient, holder and user are objects")
    try:
        bsn = bsn_of(patient)
    except InvalidIdentifier as error:
        raise Refused(INVALID_REQUEST, f"patient: {error.why}") from error
    if not isinstance(categories, list) or not 0 < len(categories) <= MOST_CATEGORIES:
        raise Refused(INVALID_REQUEST, f"categories is a list of 1 to {MOST_CATEGORIES}")
    if not all(isinstance(each, str) and each in KNOWN for each in categories) or len(set(categories)) < len(categories):
        raise Refused(INVALID_REQUEST, "each category is a code of nl-gf-data-categories-cs or of Mitz, and stands there once")
    for name, whom in (("holder", holder), ("user", user)):  # who is not fully named would pass by an objection
        _check_whom(name, whom)
    if holder.get("ura") is None:
        raise Refused(INVALID_REQUEST, "holder.ura is required")
    acting = user.get("mandated")
    if acting is not None and not (isinstance(acting, dict) and acting.get("person") and user.get("person")):
        raise Refused(INVALID_REQUEST, "user.mandated is an object with person and role, and acts for user.person")
    codes = {f"user.{name}": user.get(name) for name in ("person", "role")}
    codes |= {f"user.mandated.{name}": (acting or {}).get(name) for name in ("person", "role")}
    for name, value in ({"purpose": purpose} | codes).items():
        if value is not None and not (isinstance(value, str) and _CODE.fullmatch(value)):
            raise Refused(INVALID_REQUEST, f"{name} is a string of 1 to 64 letters, digits, points and hyphens")
    basis = body.get("legal_basis")
    if basis is not None:
        basis = called_on(str(basis), user["kind"]).id
    return bsn, Question(holder["ura"], holder["kind"], user.get("ura"), user["kind"], purpose, basis), categories


def _check_whom(name: str, whom: dict[str, Any]) -> None:
    ura, kind = whom.get("ura"), whom.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refused(INVALID_REQUEST, f"{name}.kind is one of {', '.join(KINDS)}")
    if ura is None and kind in CARE_KINDS:
        raise Refused(INVALID_REQUEST, f"{name}.ura is required of who gives care")
    if ura is not None and not (isinstance(ura, str) and re.fullmatch("[0-9]{8}", ura)):
        raise Refused(INVALID_REQUEST, f"{name}.ura is a string of 8 digits")


def read_as_of(asked: Any, now: str) -> AsOf | None:  # noqa: ANN401 - JSON is any
    """Read `as_of`: absent (now), or `{"valid": moment, "known": moment}`, both in the past; raises Refused(INVALID_REQUEST).

    `valid` is the moment that is decided about, `known` the moment at which the register would have answered (default: `valid`).
    """
    if asked is None:
        return None
    if not isinstance(asked, dict) or "valid" not in asked or asked.keys() - {"valid", "known"}:
        raise Refused(INVALID_REQUEST, "as_of is an object with valid, and known if the register is to answer as of another moment")
    try:
        valid, known = (date_range(asked[name])[0] for name in ("valid", "known" if "known" in asked else "valid"))
    except (TypeError, ValueError) as error:
        raise Refused(INVALID_REQUEST, "as_of: dates or instants, such as 2026-01-31T12:00:00Z") from error
    if max(valid, known) > now:
        raise Refused(INVALID_REQUEST, "as_of: moments that have been")
    return AsOf(valid, known)


def _acting(user: dict[str, Any]) -> Acting:
    if user.get("person") is None:
        return Acting()
    person = Person(user["person"], UZI_SYSTEM, user.get("role"), user.get("ura"))
    mandated = user.get("mandated")
    if mandated is None:
        return Acting(person)
    return Acting(Person(mandated["person"], UZI_SYSTEM, mandated.get("role"), user.get("ura")), responsible=person)
