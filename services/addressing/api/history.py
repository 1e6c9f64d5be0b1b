"""ITI-91-NL: what changed of a type, by which a replica stays up to date."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import HISTORY
from proeftuin.audit.redaction import search_request
from proeftuin.fhir import bundle, repository
from proeftuin.fhir.search import date_range, parse
from proeftuin.reasons import PARAMETER_INVALID, PARAMETER_UNKNOWN, Refused
from services.addressing.api.asked import base_url, pairs, query, self_url, synchronised
from services.addressing.content import PROFILES

PARAMETERS = {
    "_since": "an instant, inclusive", "_count": "at most 100", "_cursor": "from the link next, unchanged",
    "_format": "json",
}  # fmt: skip


def router() -> APIRouter:
    """Return the routes of the history of each type."""
    routes = guarded(fhir)
    for resource_type in PROFILES:
        _add(routes, resource_type)
    return routes


def _add(routes: APIRouter, resource_type: str) -> None:
    @routes.get(f"/fhir/{resource_type}/_history")
    @require(event=HISTORY, query=PARAMETERS)
    async def history(admission: Admitted) -> Response:
        """History Bundle, newest first; `_since` (inclusive), `_count` and `_cursor`."""
        asked = pairs(query(admission))
        sinces = [value for name, value in asked if name == "_since"]
        wanted = parse(resource_type, [pair for pair in asked if pair[0] != "_since"], in_url=True)
        if wanted.criteria or wanted.includes or wanted.revincludes:
            raise Refused(PARAMETER_UNKNOWN, "a history takes _since, _count and _cursor")
        since = _since(sinces)
        admission.record.query = search_request(f"{resource_type}/_history", asked)
        moment = synchronised(admission) if wanted.cursor is None else None
        page = await admission.tenant.database.read(
            repository.history, resource_type, since=since, count=wanted.count, cursor=wanted.cursor
        )
        return fhir_response(bundle.history(page, self_url(admission), base_url(admission), moment))


def _since(values: list[str]) -> str | None:
    if not values:
        return None
    try:
        (value,) = values
        return date_range(value)[0]
    except ValueError:
        raise Refused(PARAMETER_INVALID, "_since: one instant, with + written as %2B") from None
