"""The message check: a vendor posts its own message and is told each deviation, with its rule and clause; nothing else happens."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.fhir.validation import validate
from proeftuin.reasons import CONTENT_TYPE, NOT_FOUND, Finding, Refused
from services.consent.api import closed_question, open_question
from services.consent.api.subscription import resource_in
from services.consent.consent_rules import rules_for
from services.consent.mitz import closed_rules, open_rules
from services.consent.mitz.notification_rules import NOTIFICATION
from services.consent.mitz.rules import ERROR, WARNING, errors
from services.consent.mitz.subscription_rules import PAYLOADS, SUBSCRIPTION

_TYPES = ("application/fhir+json", "application/fhir+xml")


def router() -> APIRouter:
    """Return the route that checks messages."""
    routes = guarded(problem)

    @routes.post("/mitz/check/{kind}")
    @require(max_body=1 << 17)
    async def check(admission: Admitted, kind: str) -> Response:
        """Name every deviation of the message that is posted; its door refuses it for the errors, and answers in spite of warnings.

        Answers `{"accepted": bool, "findings": [{"rule", "clause", "severity", "text", "expression"}]}`.
        """
        if kind not in _KINDS:
            raise Refused(NOT_FOUND, f"there are checks of {', '.join(_KINDS)}")
        found = _KINDS[kind](admission, await admission.body())
        content: dict[str, Any] = {"accepted": not errors(found), "findings": [each.as_json() for each in found]}
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes


def _closed_question(admission: Admission, raw: bytes) -> list[Finding]:
    _check_type(admission, "xml")
    message = closed_question.read_message(admission, raw)
    return closed_rules.SENT.findings(admission.request.headers) + closed_rules.RULES.findings(message)


def _open_question(admission: Admission, raw: bytes) -> list[Finding]:
    _check_type(admission, "xml")
    message = open_question.read_message(admission, raw)
    return open_rules.SENT.findings(admission.request.headers) + open_rules.RULES.findings(message)


def _subscription(admission: Admission, raw: bytes) -> list[Finding]:
    return [*_media_type(admission, "SB-00"), *SUBSCRIPTION.findings(_resource(admission, raw))]


def _notification(admission: Admission, raw: bytes) -> list[Finding]:
    resource = _resource(admission, raw)
    return [*_media_type(admission, "NT-00"), *NOTIFICATION.findings(resource)]


def _consent(admission: Admission, raw: bytes) -> list[Finding]:
    resource = _resource(admission, raw)
    lacking = {} if {"policy", "policyRule"} & resource.keys() else {"policyRule": {"text": "Mitz"}}  # Mitz breaks ppc-1 itself
    faults = [
        Finding("R4-01", "FHIR R4 §2.26: Consent", ERROR, each.diagnostics, each.expression)
        for each in validate(resource | lacking, "Consent")
    ]
    return [*_media_type(admission, "CO-00"), *(faults or rules_for(resource)(resource))]


_KINDS: dict[str, Callable[[Admission, bytes], list[Finding]]] = {
    "geslotenautorisatievraag": _closed_question,
    "openautorisatievraag": _open_question,
    "Subscription": _subscription,
    "notification": _notification,
    "Consent": _consent,
}


def _resource(admission: Admission, raw: bytes) -> dict[str, Any]:
    _check_type(admission, "xml", "json")
    return resource_in(admission, raw)


def _sent(admission: Admission) -> str:
    return admission.request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_type(admission: Admission, *forms: str) -> None:
    """A message in another form cannot be read; one whose type is but wrong, can."""
    if not any(form in _sent(admission) for form in forms):
        raise Refused(CONTENT_TYPE, f"a message of this kind is {' or '.join(forms).upper()}")


def _media_type(admission: Admission, rule: str) -> Iterator[Finding]:
    if _sent(admission) not in _TYPES:
        severity = WARNING if _sent(admission) in PAYLOADS else ERROR
        yield Finding(rule, "Mitz: media type", severity, f"Content-Type is none of {', '.join(_TYPES)}")
