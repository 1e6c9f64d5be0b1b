"""ITI-81: search and read of AuditEvents by the organisation that logged them; reading the log is logged too."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import AUDIT_LOG_USED
from proeftuin.fhir.search import carries_bsn, date_range, read_cursor, write_cursor
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.reasons import IDENTIFIER_IN_URL, NOT_FOUND, PARAMETER_INVALID, PARAMETER_UNKNOWN, Refused
from services.logging import store

SCOPE = "system/AuditEvent.rs"
_COLUMNS = {  # search parameter -> column
    "_id": "event_id", "type": "type", "subtype": "subtype", "action": "action", "outcome": "outcome",
    "agent.identifier": "agent", "trace": "trace_id",
}  # fmt: skip
_PATIENT = ("patient.identifier", "entity.identifier")


def router(index_key: bytes) -> APIRouter:
    """Return the routes by which an organisation reads its own events."""
    routes = guarded(fhir)

    @routes.get("/fhir/AuditEvent")
    @require(SCOPE, event=AUDIT_LOG_USED)
    async def search(admission: Admitted) -> Response:
        """Search by the parameters of ITI-81; `date` is required (a period)."""
        pairs = parse_qsl(admission.request.url.query, keep_blank_values=True)
        if any(carries_bsn(name) or carries_bsn(value) for name, value in pairs):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        return await _answer(admission, pairs, index_key)

    @routes.post("/fhir/AuditEvent/_search")
    @require(SCOPE, event=AUDIT_LOG_USED, media_types=("application/x-www-form-urlencoded",))
    async def search_by_form(admission: Admitted) -> Response:
        """The same, with the parameters in a form: the way to search for a client."""
        pairs = parse_qsl((await admission.body()).decode("utf-8", "replace"), keep_blank_values=True)
        return await _answer(admission, pairs, index_key)

    @routes.get("/fhir/AuditEvent/{event_id}")
    @require(SCOPE, event=AUDIT_LOG_USED)
    async def read(admission: Admitted, event_id: str) -> Response:
        """Read one event of the caller's own."""
        observer = admission.peer.identifier[1]
        row = await admission.tenant.database.read(store.by_id, event_id, observer)
        if row is None:
            raise Refused(NOT_FOUND, "the caller has no event with this id")
        admission.record.data = [{"reference": f"AuditEvent/{event_id}"}]
        return fhir_response(row.resource)

    return routes


async def _answer(admission: Admission, pairs: list[tuple[str, str]], index_key: bytes) -> Response:
    query, patients = parse(pairs, index_key, admission.peer.identifier[1])
    admission.record.patients = patients
    admission.record.query = b"AuditEvent"
    rows, more = await admission.tenant.database.read(store.search, query)
    base = f"{admission.tenant.audience}/fhir/AuditEvent"
    links = [{"relation": "self", "url": base}]
    if more is not None and not patients:
        rest = [(name, value) for name, value in pairs if name != "_cursor"]
        links.append({"relation": "next", "url": f"{base}?{urlencode([*rest, ('_cursor', write_cursor(str(more)))])}"})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "link": links}
    entries = [
        {"fullUrl": f"{base}/{row.resource.get('id')}", "resource": row.resource, "search": {"mode": "match"}} for row in rows
    ]
    if entries:
        bundle["entry"] = entries
    return json_response(bundle, media_type="application/fhir+json")


def parse(pairs: list[tuple[str, str]], index_key: bytes, observer: str) -> tuple[store.Query, list[str]]:
    """Return the query on the events of `observer`, and the BSNs that it asks for; raises Refused."""
    equal: dict[str, str] = {"observer": observer}
    since = until = before = None
    count, patients = 50, []
    for name, value in pairs:
        if name in _COLUMNS:
            equal[_COLUMNS[name]] = value.rpartition("|")[2]
        elif name in _PATIENT:
            bsn = value.removeprefix(f"{BSN_SYSTEM}|")
            patients.append(bsn)
            equal["patient_token"] = store.patient_token(index_key, bsn)
        elif name == "date":
            since, until = _period(value, since, until)
        elif name == "_count" and value.isdigit():
            count = max(1, min(int(value), 500))
        elif name == "_cursor":
            place = read_cursor(value) or ""
            if not place.isdigit():
                raise Refused(PARAMETER_INVALID, "_cursor: take it from the link 'next', unchanged")
            before = int(place)
        else:
            known = ", ".join([*_COLUMNS, *_PATIENT, "date", "_count"])
            raise Refused(PARAMETER_UNKNOWN, f"AuditEvent can be searched by {known}")
    if since is None and until is None:
        raise Refused(PARAMETER_INVALID, "date: a period is required (ITI-81), such as date=ge2026-01-01")
    return store.Query(equal, since, until, before, count), patients


def _period(value: str, since: str | None, until: str | None) -> tuple[str | None, str | None]:
    prefix, text = (value[:2], value[2:]) if value[:2] in ("ge", "gt", "le", "lt", "eq") else ("eq", value)
    try:
        low, high = date_range(text)
    except ValueError:
        raise Refused(PARAMETER_INVALID, "date: a date or instant after ge, gt, le, lt or nothing") from None
    if prefix in ("ge", "gt", "eq"):
        since = high if prefix == "gt" else low
    if prefix in ("le", "lt", "eq"):
        until = low if prefix == "lt" else high
    return since, until
