"""ITI-81: search and read of AuditEvents by the organisation that logged them; reading the log is logged too."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import AUDIT_EVENT_READ, AUDIT_LOG_USED
from proeftuin.audit.redaction import search_request
from proeftuin.fhir.search import MAXIMUM_VALUES, carries_bsn, date_range, read_cursor, write_cursor
from proeftuin.identifiers import BSN_SYSTEM, is_bsn
from proeftuin.reasons import IDENTIFIER_IN_URL, NOT_FOUND, PARAMETER_INVALID, PARAMETER_UNKNOWN, Refused
from services.logging import store
from services.logging.indexing import agent_token, facet, indexable, patient_token

SCOPE = "system/AuditEvent.rs"
_COLUMNS = {  # search parameter -> column that holds its code
    "_id": "event_id", "type": "type", "subtype": "subtype", "action": "action", "outcome": "outcome", "trace": "trace_id",
    "purpose": "purpose",
}  # fmt: skip
_IDENTIFIED = {"source.identifier": "observer", "organization": "organization"}  # -> column that holds system|value
_EXACT = _COLUMNS | _IDENTIFIED | {"agent.identifier": "agent"}
_FACETS = ("address", "entity-type", "entity-role")
_PERIODS = ("date", "_lastUpdated")
_PATIENT = ("patient.identifier", "entity.identifier")
PARAMETERS = {
    **dict.fromkeys(_COLUMNS, "codes, with a comma between them"),
    **dict.fromkeys(_IDENTIFIED, "system|value"), "agent.identifier": "system|value or value",
    **dict.fromkeys(_FACETS, "codes, with a comma between them"),
    **dict.fromkeys(_PATIENT, f"{BSN_SYSTEM}|<BSN> of one client: in a form alone"),
    **dict.fromkeys(_PERIODS, "a date or instant after ge, gt, le, lt or nothing; date is required, twice for a period"),
    "_count": "at most 500", "_cursor": "from the link next, unchanged",
}  # fmt: skip


def router(index_key: bytes) -> APIRouter:
    """Return the routes by which an organisation reads its own events."""
    routes = guarded(fhir)

    @routes.get("/fhir/AuditEvent")
    @require(SCOPE, event=AUDIT_LOG_USED, query=PARAMETERS, required=("date",))
    async def search(admission: Admitted) -> Response:
        """Search by the parameters of ITI-81; `date` is required (a period)."""
        pairs = parse_qsl(admission.request.url.query, keep_blank_values=True)
        if any(carries_bsn(name) or carries_bsn(value) for name, value in pairs):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        return await _answer(admission, pairs, index_key, "AuditEvent")

    @routes.post("/fhir/AuditEvent/_search")
    @require(SCOPE, event=AUDIT_LOG_USED, query=PARAMETERS, form=PARAMETERS)
    async def search_by_form(admission: Admitted) -> Response:
        """The same, with the parameters in a form: the way to search for a client. A next page is the same form to link 'next'."""
        place = parse_qsl(admission.request.url.query, keep_blank_values=True)
        if any(carries_bsn(name) or carries_bsn(value) for name, value in place):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        form = (await admission.body()).decode("utf-8", "replace")
        return await _answer(admission, [*place, *parse_qsl(form, keep_blank_values=True)], index_key, "AuditEvent/_search")

    @routes.get("/fhir/AuditEvent/{event_id}")
    @require(SCOPE, event=AUDIT_EVENT_READ)
    async def read(admission: Admitted, event_id: str) -> Response:
        """Read one event of the caller's own."""
        return fhir_response(await own(admission, event_id))

    return routes


async def own(admission: Admission, event_id: str) -> dict[str, Any]:
    """Return one event of the caller's own; raises Refused(NOT_FOUND)."""
    admission.record.data = [{"reference": f"AuditEvent/{event_id}"}]
    observer = "|".join(admission.peer.identifier)
    row = await admission.tenant.database.read(store.by_id, event_id, admission.peer.client_id, observer)
    if row is None:
        raise Refused(NOT_FOUND, "the caller has no event with this id")
    return row.resource


async def _answer(admission: Admission, pairs: list[tuple[str, str]], index_key: bytes, place: str) -> Response:
    admission.record.query = search_request(place, pairs)
    own = {"source": [admission.peer.client_id], "observer": [indexable("|".join(admission.peer.identifier))]}
    query, patient = parse(pairs, index_key, own)
    admission.record.patients = [patient] if patient else []
    return await searchset(admission, query, pairs)


async def searchset(admission: Admission, query: store.Query, pairs: list[tuple[str, str]]) -> Response:
    """Return the matching events as a Bundle; link `next` goes on where it ends, by the method and on the path of this request."""
    rows, more = await admission.tenant.database.read(store.search, query)
    base = f"{admission.tenant.audience}/fhir/AuditEvent"
    here = f"{admission.tenant.audience}{admission.request.url.path}"
    links = [{"relation": "self", "url": here.removesuffix("/_search")}]
    if more is not None:
        by_form = admission.request.method == "POST"  # the form itself may hold a BSN, so it does not go into the link
        rest = [] if by_form else [pair for pair in pairs if pair[0] != "_cursor"]
        links.append({"relation": "next", "url": f"{here}?{urlencode([*rest, ('_cursor', write_cursor(str(more)))])}"})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "link": links}
    entries = [{"fullUrl": f"{base}/{row.event_id}", "resource": row.resource, "search": {"mode": "match"}} for row in rows]
    if entries:
        bundle["entry"] = entries
    return json_response(bundle, media_type="application/fhir+json")


def parse(pairs: list[tuple[str, str]], index_key: bytes, own: dict[str, list[str]]) -> tuple[store.Query, str | None]:
    """Return the query within the columns of `own`, and the BSN that it asks for; raises Refused."""
    equal: dict[str, list[str]] = {}
    facets: list[frozenset[str]] = []
    periods: dict[str, tuple[str | None, str | None]] = dict.fromkeys(_PERIODS, (None, None))
    patient = before = None
    count, seen = 50, set[str]()
    for name, value in pairs:
        kind = "patient" if name in _PATIENT else name
        if name not in _PERIODS and kind in seen:
            raise Refused(PARAMETER_INVALID, f"{name}: once, with commas between the values of which one must hold")
        seen.add(kind)
        if name in _EXACT:
            equal[_EXACT[name]] = _values(name, value, index_key)
        elif name in _FACETS:
            facets.append(frozenset(facet(name, each.rpartition("|")[2]) for each in value.split(",")))
        elif name in _PATIENT:
            patient = _bsn(name, value)
        elif name in _PERIODS:
            low, high = _period(name, value)
            since, until = periods[name]
            periods[name] = max(filter(None, (since, low)), default=None), min(filter(None, (until, high)), default=None)
        elif name == "_count":
            count = max(1, min(_number(value, "_count: a whole number"), 500))
        elif name == "_cursor":
            before = _number(read_cursor(value) or "", "_cursor: take it from the link 'next', unchanged")
        else:
            raise Refused(PARAMETER_UNKNOWN, f"AuditEvent can be searched by {', '.join(PARAMETERS)}")
    if sum(map(len, [*equal.values(), *facets])) > MAXIMUM_VALUES:
        raise Refused(PARAMETER_INVALID, f"a search has at most {MAXIMUM_VALUES} values")
    if periods["date"] == (None, None):
        raise Refused(PARAMETER_INVALID, "date: a period is required (ITI-81), such as date=ge2026-01-01")
    for column, values in own.items():  # what is asked for can only narrow what is the caller's own
        equal[column] = [each for each in values if each in equal.get(column, values)]
    token = None if patient is None else patient_token(index_key, patient)
    return store.Query(equal, token, *periods["date"], *periods["_lastUpdated"], tuple(facets), before, count), patient


def _bsn(name: str, value: str) -> str:
    bsn = value.removeprefix(f"{BSN_SYSTEM}|")
    if not is_bsn(bsn):
        raise Refused(PARAMETER_INVALID, f"{name}: the BSN of one client, with or without its system")
    return bsn


def _values(name: str, value: str, index_key: bytes) -> list[str]:
    """The values of a parameter as they stand in its column."""
    values = value.split(",")
    if name in _COLUMNS:
        return [indexable(each.rpartition("|")[2]) for each in values]
    if name == "agent.identifier":
        return [_agent(index_key, each) for each in values]
    if not all("|" in each for each in values):
        raise Refused(PARAMETER_INVALID, f"{name}: system|value")
    return [indexable(each) for each in values]


def _number(text: str, what: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise Refused(PARAMETER_INVALID, what)
    return int(text)


def _agent(index_key: bytes, token: str) -> str:
    system, _, value = token.rpartition("|")
    return agent_token(index_key, system, value)


def _period(name: str, value: str) -> tuple[str | None, str | None]:
    prefix, text = (value[:2], value[2:]) if value[:2] in ("ge", "gt", "le", "lt", "eq") else ("eq", value)
    try:
        low, high = date_range(text)
    except ValueError:
        raise Refused(PARAMETER_INVALID, f"{name}: a date or instant after ge, gt, le, lt or nothing") from None
    since = {"ge": low, "gt": high, "eq": low}.get(prefix)
    return since, {"le": high, "lt": low, "eq": high}.get(prefix)
