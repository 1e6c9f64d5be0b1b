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
from proeftuin.reasons import MALFORMED, Refused
from services.logging.sequencer import Delivery, Sequencer

FHIR = ("application/fhir+json", "application/json")
SCOPE = "system/AuditEvent.c"
LARGEST = 500  # entries in a batch


def router(sequencer: Sequencer) -> APIRouter:
    """Return the routes by which events come in."""
    routes = guarded(fhir)

    @routes.post("/fhir/AuditEvent")
    @require(SCOPE, media_types=FHIR)
    async def create(admission: Admitted) -> Response:
        """Store one event; header Idempotency-Key (or the id) makes a repeat harmless."""
        event = await admission.json_object()
        issues = faults(event)
        if issues:
            raise InvalidResource(issues)
        key = admission.request.headers.get("idempotency-key") or event.get("id") or str(uuid.uuid4())
        (appended,) = await sequencer.append([Delivery(admission.peer.client_id, str(key)[:36], event)])
        headers = {"Location": f"{admission.tenant.audience}/fhir/AuditEvent/{key}", "Audit-Index": str(appended.index)}
        return fhir_response(event, 200 if appended.repeated else 201, headers)

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
        judged = [_judge(entry, admission.peer.client_id) for entry in entries]
        placed = iter(await sequencer.append([each for each in judged if isinstance(each, Delivery)]))
        answers: list[dict[str, Any]] = []
        for each in judged:
            if isinstance(each, Delivery):
                appended = next(placed)
                answers.append({"response": {
                    "status": "200 OK" if appended.repeated else "201 Created",
                    "location": f"AuditEvent/{each.event_id}", "etag": f'W/"{appended.index}"',
                }})  # fmt: skip
            else:
                answers.append({"response": {"status": "400 Bad Request", "outcome": operation_outcome(each)}})
        return json_response(
            {"resourceType": "Bundle", "type": "batch-response", "entry": answers}, media_type="application/fhir+json"
        )

    return routes


def faults(event: dict[str, Any]) -> list[Issue]:
    """Return what makes this no AuditEvent (R4 base); BALP conformance is never a ground to refuse (§3)."""
    if event.get("resourceType") != "AuditEvent":
        return [Issue("error", "structure", "the resource is no AuditEvent", None, MALFORMED.code)]
    return [issue for issue in validate(event) if issue.severity in ("error", "fatal")]


def _judge(entry: Any, source: str) -> Delivery | list[Issue]:  # noqa: ANN401 - whatever was sent
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict):
        return [Issue("error", "structure", "the entry has no resource", None, MALFORMED.code)]
    issues = faults(resource)
    if issues:
        return issues
    key = str(entry.get("fullUrl") or "").removeprefix("urn:uuid:") or resource.get("id") or str(uuid.uuid4())
    return Delivery(source, str(key)[:36], resource)
