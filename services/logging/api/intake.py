"""ITI-20: AuditEvents in, one or a batch; answered after they are durable and signed for."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir, fhir_response, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.fhir.outcome import Issue, operation_outcome
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.fhir.validation import validate
from proeftuin.reasons import CONFLICT, MALFORMED, PROFILE, Refused
from services.logging.sequencer import Appended, Delivery, Sequencer

FHIR = ("application/fhir+json", "application/json")
SCOPE = "system/AuditEvent.c"
LARGEST = 500  # entries in a batch
_OTHER = "this caller delivered another event under this id; give each event an id of its own"


def router(sequencer: Sequencer) -> APIRouter:
    """Return the routes by which events come in."""
    routes = guarded(fhir)

    @routes.post("/fhir/AuditEvent")
    @require(SCOPE, media_types=FHIR)
    async def create(admission: Admitted) -> Response:
        """Store one event; header Idempotency-Key (or the id) makes a repeat harmless."""
        event = await admission.json_object()
        judged = _judge(event, admission.request.headers.get("idempotency-key"), admission.peer.client_id, sequencer)
        if not isinstance(judged, Delivery):
            raise InvalidResource(judged, MALFORMED if judged[0].reason == MALFORMED.code else PROFILE)
        (appended,) = await sequencer.append([judged])
        if appended.conflicting:
            raise Refused(CONFLICT, _OTHER)
        place = f"{admission.tenant.audience}/fhir/AuditEvent/{judged.event_id}"
        headers = {"Location": place, "Audit-Index": str(appended.index)}
        return fhir_response(event | {"id": judged.event_id}, 200 if appended.repeated else 201, headers)

    @routes.post("/fhir")
    @require(SCOPE, media_types=FHIR, max_body=8 << 20)
    async def batch(admission: Admitted) -> Response:
        """Store each entry of a batch; a malformed one is refused in its own entry, the others are stored."""
        bundle = await admission.json_object()
        entries = bundle.get("entry", [])
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "batch" or not isinstance(entries, list):
            raise Refused(MALFORMED, "the body is no Bundle of type batch")
        if len(entries) > LARGEST:
            raise Refused(MALFORMED, f"a batch has at most {LARGEST} entries")
        judged = [_entry(entry, admission.peer.client_id, sequencer) for entry in entries]
        placed = iter(await sequencer.append([each for each in judged if isinstance(each, Delivery)]))
        answers: list[dict[str, Any]] = []
        for each in judged:
            if isinstance(each, Delivery):
                answers.append({"response": _answer(each, next(placed))})
            else:
                answers.append({"response": {"status": "400 Bad Request", "outcome": operation_outcome(each)}})
        answer = {"resourceType": "Bundle", "type": "batch-response"} | ({"entry": answers} if answers else {})
        return json_response(answer, media_type="application/fhir+json")

    return routes


def faults(event: dict[str, Any]) -> list[Issue]:
    """Return what makes this no AuditEvent (R4 base); BALP conformance is never a ground to refuse (§3)."""
    if event.get("resourceType") != "AuditEvent":
        return [_malformed("the resource is no AuditEvent")]
    return [issue for issue in validate(event) if issue.severity in ("error", "fatal")]


def _entry(entry: Any, source: str, sequencer: Sequencer) -> Delivery | list[Issue]:  # noqa: ANN401 - whatever was sent
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict):
        return [_malformed("the entry has no resource")]
    request = entry.get("request", {"method": "POST"})
    if not isinstance(request, dict) or request.get("method") != "POST":
        return [_malformed("events are only added: the entry's request has method POST")]
    full_url = entry.get("fullUrl")
    known = full_url.removeprefix("urn:uuid:") if isinstance(full_url, str) and full_url.startswith("urn:uuid:") else None
    return _judge(resource, known, source, sequencer)


def _judge(event: dict[str, Any], known: str | None, source: str, sequencer: Sequencer) -> Delivery | list[Issue]:
    issues = faults(event)
    if issues:
        return issues
    try:
        return sequencer.prepare(source, known or event.get("id") or str(uuid.uuid4()), event)
    except ValueError:
        return [_malformed("the event holds a character that is no Unicode, or a moment outside the years 1 to 9999")]


def _answer(delivery: Delivery, appended: Appended) -> dict[str, Any]:
    if appended.conflicting:
        issue = Issue("error", CONFLICT.issue, _OTHER, None, CONFLICT.code)
        return {"status": "409 Conflict", "outcome": operation_outcome([issue])}
    status = "200 OK" if appended.repeated else "201 Created"
    return {"status": status, "location": f"AuditEvent/{delivery.event_id}", "etag": f'W/"{appended.index}"'}


def _malformed(text: str) -> Issue:
    return Issue("error", "structure", text, None, MALFORMED.code)
