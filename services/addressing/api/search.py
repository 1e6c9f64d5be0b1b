"""ITI-90-NL: search, by GET or by POST, in pages; without parameters it is the initial load of a replica."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import SEARCH
from proeftuin.audit.redaction import search_request
from proeftuin.fhir import bundle, repository
from proeftuin.fhir.search import Search, described, parse
from proeftuin.reasons import MALFORMED, Refused
from services.addressing.api.asked import base_url, pairs, query, self_url, synchronised
from services.addressing.content import PROFILES


def router() -> APIRouter:
    """Return the routes of the search on each type."""
    routes = guarded(fhir)
    for resource_type in PROFILES:
        _add(routes, resource_type)
    return routes


def _add(routes: APIRouter, resource_type: str) -> None:
    parameters = described(resource_type)

    @routes.get(f"/fhir/{resource_type}")
    @require(event=SEARCH, query=parameters)
    async def search(admission: Admitted) -> Response:
        """Searchset Bundle; the CapabilityStatement lists the parameters."""
        wanted = parse(resource_type, pairs(query(admission)), in_url=True)
        admission.record.query = search_request(resource_type, pairs(query(admission)))
        return await _found(admission, resource_type, wanted)

    @routes.post(f"/fhir/{resource_type}/_search")
    @require(event=SEARCH, query=parameters, form=parameters, max_body=65536)
    async def search_by_form(admission: Admitted) -> Response:
        """The same, with the parameters in a form; post the same form to the link next."""
        in_url = pairs(query(admission))
        parse(resource_type, in_url, in_url=True)
        body = await admission.body()
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise Refused(MALFORMED, "the form is not UTF-8") from error
        wanted = parse(resource_type, in_url + pairs(text))
        admission.record.query = search_request(resource_type, in_url + pairs(text))
        return await _found(admission, resource_type, wanted)


async def _found(admission: Admission, resource_type: str, wanted: Search) -> Response:
    moment = synchronised(admission) if wanted.cursor is None else None
    page = await admission.tenant.database.read(repository.search, resource_type, wanted)
    return fhir_response(bundle.searchset(page, self_url(admission), base_url(admission), moment))
