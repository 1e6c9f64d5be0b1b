"""What the party's own care system brings in: a Bundle as it exports them, all of it or nothing."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import TRANSACTION, UPDATE
from proeftuin.audit.record import Entry
from proeftuin.fhir.bundle import subjects
from proeftuin.reasons import MALFORMED, Refused
from services.datastation import records

FHIR = ("application/fhir+json", "application/json")


def router() -> APIRouter:
    """Return the route by which records come in; only the party itself may use it."""
    routes = guarded(fhir)

    @routes.post("/{party}/fhir")
    @require(own_party=True, event=TRANSACTION, media_types=FHIR, max_body=16 << 20)
    async def load(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - the path chose the tenant
        """Validate and store a Bundle (collection, transaction, batch or document of PUT-like entries)."""
        bundle = await admission.json_object()
        if bundle.get("resourceType") != "Bundle":
            raise Refused(MALFORMED, "the body is no Bundle")
        admission.record.patients = sorted({bsn for _, named in subjects(bundle) for bsn in named})  # also when it is refused
        resources = records.read_export(bundle)
        clients = await admission.tenant.database.read(records.clients_of, resources)
        admission.record.patients = sorted({bsn for each in clients for bsn in each})
        admission.record.entries = [
            Entry(UPDATE, about, f"{resource['resourceType']}/{resource['id']}")
            for resource, about in zip(resources, clients, strict=True)
        ]
        stored = await admission.write(records.store, resources, admission.tenant.clock.now())
        answers = [
            {
                "response": {
                    "status": "201 Created" if each["meta"]["versionId"] == "1" else "200 OK",
                    "location": f"{each['resourceType']}/{each['id']}",
                    "etag": f'W/"{each["meta"]["versionId"]}"',
                }
            }
            for each in stored
        ]
        return fhir_response({"resourceType": "Bundle", "type": "transaction-response", "entry": answers})

    return routes
