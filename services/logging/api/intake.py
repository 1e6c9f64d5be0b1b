"""ITI-20: AuditEvents in, one or a batch; answered after they are durable and signed for."""

import asyncio
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import FHIR_JSON, fhir, fhir_response, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.fhir.outcome import Issue, operation_outcome
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.fhir.validation import validate
from proeftuin.reasons import CATALOGUE, CONFLICT, MALFORMED, NOT_CONFORMING, PROFILE, Refused
from services.logging.api.preferences import Preferences
from services.logging.conformance.report import issues, judge
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
        """Store one event; header Idempotency-Key (or the id) makes a repeat harmless.

        `Prefer: return=OperationOutcome` gives the conformance report beside 201, `handling=strict` refuses what does not conform.
        """
        preferences = Preferences.of(admission.request.headers)
        event = await admission.json_object()
        key = admission.request.headers.get("idempotency-key")
        judged = _judge(event, key, admission.peer.client_id, sequencer, preferences)
        if judged.delivery is None:
            raise InvalidResource(judged.issues, CATALOGUE[judged.issues[0].reason or PROFILE.code])
        (appended,) = await sequencer.append([judged.delivery])
        if appended.conflicting:
            raise Refused(CONFLICT, _OTHER)
        place = f"{admission.tenant.audience}/fhir/AuditEvent/{judged.delivery.event_id}"
        headers = {"Location": place, "Audit-Index": str(appended.index)} | preferences.applied
        status = 200 if appended.repeated else 201
        if preferences.report:
            return fhir_response(operation_outcome(judged.issues), status, headers)
        return Response(judged.delivery.document, status, headers, FHIR_JSON)

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
        preferences = Preferences.of(admission.request.headers)
        judge_all = partial(_entries, entries, admission.peer.client_id, sequencer, preferences)
        judged = await asyncio.to_thread(judge_all) if preferences.any else judge_all()  # reports take their time
        placed = iter(await sequencer.append([each.delivery for each in judged if each.delivery is not None]))
        answers = [
            {"response": _refusal(each.issues) if each.delivery is None else _answer(each.delivery, next(placed), each.issues)}
            for each in judged
        ]
        answer = {"resourceType": "Bundle", "type": "batch-response"} | ({"entry": answers} if answers else {})
        return json_response(answer, media_type="application/fhir+json", headers=preferences.applied)

    return routes


def faults(event: dict[str, Any]) -> list[Issue]:
    """Return what makes this no AuditEvent (R4 base); BALP conformance is never a ground to refuse (§3)."""
    if event.get("resourceType") != "AuditEvent":
        return [_malformed("the resource is no AuditEvent")]
    return [issue for issue in validate(event) if issue.severity in ("error", "fatal")]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What will be stored of an event (None: it is refused, for the first issue), and what there is to tell."""

    delivery: Delivery | None
    issues: list[Issue]


def _entries(entries: list[Any], source: str, sequencer: Sequencer, preferences: Preferences) -> list[_Judged]:
    return [_entry(entry, source, sequencer, preferences) for entry in entries]


def _entry(entry: Any, source: str, sequencer: Sequencer, preferences: Preferences) -> _Judged:  # noqa: ANN401 - whatever was sent
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict):
        return _Judged(None, [_malformed("the entry has no resource")])
    request = entry.get("request", {"method": "POST"})
    if not isinstance(request, dict) or request.get("method") != "POST":
        return _Judged(None, [_malformed("events are only added: the entry's request has method POST")])
    full_url = entry.get("fullUrl")
    known = full_url.removeprefix("urn:uuid:") if isinstance(full_url, str) and full_url.startswith("urn:uuid:") else None
    return _judge(resource, known, source, sequencer, preferences)


def _judge(event: dict[str, Any], known: str | None, source: str, sequencer: Sequencer, preferences: Preferences) -> _Judged:
    found = faults(event)
    if found:
        return _Judged(None, found)
    try:
        delivery = sequencer.prepare(source, known or event.get("id") or str(uuid.uuid4()), event)
    except ValueError:
        return _Judged(
            None, [_malformed("the event holds a character that is no Unicode, or a moment outside the years 1 to 9999")]
        )
    if not preferences.any:
        return _Judged(delivery, [])
    report = judge(event)
    return _Judged(delivery if report.holds or not preferences.strict else None, issues(report))


def _answer(delivery: Delivery, appended: Appended, report: list[Issue]) -> dict[str, Any]:
    if appended.conflicting:
        issue = Issue("error", CONFLICT.issue, _OTHER, None, CONFLICT.code)
        return {"status": "409 Conflict", "outcome": operation_outcome([issue])}
    status = "200 OK" if appended.repeated else "201 Created"
    answer = {"status": status, "location": f"AuditEvent/{delivery.event_id}", "etag": f'W/"{appended.index}"'}
    return answer | ({"outcome": operation_outcome(report)} if report else {})


def _refusal(found: list[Issue]) -> dict[str, Any]:
    status = "422 Unprocessable Entity" if found[0].reason == NOT_CONFORMING.code else "400 Bad Request"
    return {"status": status, "outcome": operation_outcome(found)}


def _malformed(text: str) -> Issue:
    return Issue("error", "structure", text, None, MALFORMED.code)
