"""ITI-130-NL, one resource: PUT creates at an id of the writer's choice, or updates the version that If-Match names."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import FHIR_JSON, fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import UPDATE
from services.addressing import store
from services.addressing.api.asked import base_url
from services.addressing.content import PROFILES, check_id, from_update, scope
from services.addressing.ownership import Writer

FHIR = (FHIR_JSON, "application/json")


def router() -> APIRouter:
    """Return the routes that write each type."""
    routes = guarded(fhir)
    for resource_type in PROFILES:
        _add(routes, resource_type)
    return routes


def _add(routes: APIRouter, resource_type: str) -> None:
    @routes.put(f"/fhir/{resource_type}/{{resource_id}}")
    @require(scope(resource_type), event=UPDATE, media_types=FHIR)
    async def update(admission: Admitted, resource_id: str) -> Response:
        """201 with Location, or 200; 412 when another version stands there, 422 when it does not conform."""
        check_id(resource_id)
        admission.record.data = [{"reference": f"{resource_type}/{resource_id}"}]
        sent = await admission.json_object()
        if_match = admission.request.headers.get("if-match")
        entry = from_update(sent, resource_type, resource_id, if_match, base_url(admission))
        tenant = admission.tenant
        writer = Writer.of(admission.peer, tenant.party.client_id)
        (written,) = await admission.write(store.write, [entry], writer, tenant.clock)
        if store.version(written) > 1:
            return fhir_response(written)
        return fhir_response(written, 201, {"Location": f"{base_url(admission)}/{entry.place}/_history/1"})
