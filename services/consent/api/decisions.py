"""The closed question: may this user see these categories of this holder's client? (logging-consent.md §7.4)."""

import re
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import DECISION
from proeftuin.audit.record import MINOR_FAILURE, NO_CONSENT_ON_FILE, SERIOUS_FAILURE
from proeftuin.clock import instant
from proeftuin.identifiers import UZI_SYSTEM, InvalidIdentifier, bsn_of
from proeftuin.parties import CARE_KINDS, CATEGORIES, KINDS
from proeftuin.reasons import INVALID_REQUEST, PARTY_MISMATCH, Refused
from proeftuin.tokens.access_token import Person
from services.consent import store
from services.consent.decisions import DENY, NO_DECISION, Decision, Question, decide
from services.consent.model import Consent, read_consent

MOST_CATEGORIES = 32
_CODE = re.compile(r"[A-Za-z0-9.-]{1,64}")  # what may stand in an audit event as purpose, person or role


def router(index_key: bytes) -> APIRouter:
    """Return the route of the closed question."""
    routes = guarded(problem)

    @routes.post("/decisions")
    @require("consent:decide", event=DECISION, media_types=("application/json",), max_body=16384)
    async def decisions(admission: Admitted) -> Response:
        """Answer permit, deny or no-decision for each category, with the reason and the consents that were weighed."""
        body = await admission.json_object()
        patient, question, categories = read_question(body)
        admission.record.patients = [patient]
        admission.record.purpose = question.purpose
        admission.record.details["category"] = " ".join(categories)
        if question.holder_ura != admission.peer.ura:
            raise Refused(PARTY_MISMATCH, "only the holder asks about the holder's data")
        resources = await admission.tenant.database.read(store.of_patient, store.patient_token(index_key, patient))
        consents = [read_consent(resource, patient) for resource in resources]
        now = instant(admission.tenant.clock.now())
        answers = [decide(question, category, consents, now) for category in categories]
        _note(admission, body["user"], answers, consents)
        return json_response({"decisions": [answer.as_json() for answer in answers]}, headers={"Cache-Control": "no-store"})

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
    if not all(isinstance(each, str) and each in CATEGORIES for each in categories) or len(set(categories)) < len(categories):
        raise Refused(INVALID_REQUEST, "each category is a code of nl-gf-data-categories-cs, and stands there once")
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
    return bsn, Question(holder["ura"], holder["kind"], user.get("ura"), user["kind"], purpose), categories


def _check_whom(name: str, whom: dict[str, Any]) -> None:
    ura, kind = whom.get("ura"), whom.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refused(INVALID_REQUEST, f"{name}.kind is one of {', '.join(KINDS)}")
    if ura is None and kind in CARE_KINDS:
        raise Refused(INVALID_REQUEST, f"{name}.ura is required of who gives care")
    if ura is not None and not (isinstance(ura, str) and re.fullmatch("[0-9]{8}", ura)):
        raise Refused(INVALID_REQUEST, f"{name}.ura is a string of 8 digits")


def _note(admission: Admission, user: dict[str, Any], answers: list[Decision], consents: list[Consent]) -> None:
    """Make the event tell the decision and every consent weighed: outcome 8 on a deny (BALP AuthZconsent), 4 on no decision."""
    record = admission.record
    if user.get("person") is not None:
        responsible = Person(user["person"], UZI_SYSTEM, user.get("role"), user.get("ura"))
        record.person = responsible
        if acting := user.get("mandated"):
            record.person = Person(acting["person"], UZI_SYSTEM, acting.get("role"), user.get("ura"))
            record.responsible = responsible
    record.consents = [f"Consent/{consent.id}" for consent in consents] or [NO_CONSENT_ON_FILE]
    record.details["decision"] = " ".join(f"{answer.category}={answer.outcome}" for answer in answers)
    for outcome, failure in ((DENY, SERIOUS_FAILURE), (NO_DECISION, MINOR_FAILURE)):
        refused = next((answer for answer in answers if answer.outcome == outcome and answer.reason), None)
        if refused is not None and refused.reason is not None:
            record.refuse(refused.reason, f"no permit for {refused.category}", failure)
            return
