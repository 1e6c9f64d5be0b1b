"""ITI-130-NL, several resources at once: a transaction Bundle of PUT entries, all or nothing."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import FHIR_JSON, fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import TRANSACTION, UPDATE
from proeftuin.audit.record import Entry
from proeftuin.reasons import INSUFFICIENT_SCOPE, Refused
from services.addressing import store
from services.addressing.api.asked import base_url
from services.addressing.content import PROFILES, from_transaction, scope
from services.addressing.ownership import Writer


def router() -> APIRouter:
    """Return the route of the transaction."""
    routes = guarded(fhir)

    @routes.post("/fhir")
    @require(*map(scope, PROFILES), event=TRANSACTION, media_types=(FHIR_JSON, "application/json"))
    async def transaction(admission: Admitted) -> Response:
        """A transaction-response with an ETag for each entry; each entry needs the scope of its type."""
        entries = from_transaction(await admission.json_object(), base_url(admission))
        admission.record.data = [{"reference": entry.place} for entry in entries]
        admission.record.entries = [Entry(UPDATE, (), entry.place) for entry in entries]
        lacking = {scope(entry.resource["resourceType"]) for entry in entries} - admission.token.grant.scopes
        if lacking:
            raise Refused(INSUFFICIENT_SCOPE, f"an entry needs scope {' and '.join(sorted(lacking))}")
        tenant = admission.tenant
        writer = Writer.of(admission.peer, tenant.party.client_id)
        written = await admission.write(store.write, entries, writer, tenant.clock)
        answer: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction-response"}
        if written:  # FHIR JSON has no empty lists
            answer["entry"] = [{"response": _response(resource)} for resource in written]
        return fhir_response(answer)

    return routes


def _response(resource: dict[str, Any]) -> dict[str, str]:
    version = store.version(resource)
    return {
        "status": "201 Created" if version == 1 else "200 OK",
        "location": f"{resource['resourceType']}/{resource['id']}/_history/{version}",
        "etag": f'W/"{version}"',
        "lastModified": resource["meta"]["lastUpdated"],
    }
