"""The client's own consents: register, read, change and withdraw (IHE PCF ITI-108 in form)."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.acting import standing_of
from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import CREATE, READ, SEARCH, UPDATE
from proeftuin.fhir.search import carries_bsn
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import Seed
from proeftuin.reasons import IDENTIFIER_IN_URL, MALFORMED, NOT_FOUND, PARAMETER_UNKNOWN, SUBJECT_MISMATCH, Refused
from proeftuin.representation import Standing
from services.consent import store
from services.consent.model import patient_of, read_consent
from services.consent.notifying import Notifying
from services.consent.representation import decided

FHIR = ("application/fhir+json", "application/json")
SCOPE = "patient/Consent.cruds"


def router(index_key: bytes, seed: Seed, notifying: Notifying) -> APIRouter:
    """Return the routes by which a client, or a representative, manages consents; `index_key` makes the tokens for BSNs."""
    add, change = notifying.after(store.add), notifying.after(store.update)
    routes = guarded(fhir)

    def acting(admission: Admission) -> tuple[str, str, Standing]:
        """Return the token of the client, the BSN of who acts, and how that person may decide."""
        person = admission.token.grant.person
        if person is None or person.system != BSN_SYSTEM:
            raise Refused(SUBJECT_MISMATCH, "consents are the client's own")
        standing = standing_of(seed, admission.tenant, admission.patient, person.identifier)
        return store.patient_token(index_key, admission.patient), person.identifier, standing

    @routes.post("/fhir/Consent")
    @require(SCOPE, patient=True, event=CREATE, media_types=FHIR)
    async def create(admission: Admitted) -> Response:
        """Register a consent, or an objection."""
        token, person, standing = acting(admission)
        sent = _checked(admission, await admission.json_object()) | {"id": str(uuid.uuid4())}
        resource = decided(sent, admission.patient, person, standing, None)
        admission.record.data = [{"reference": f"Consent/{resource['id']}"}]
        stored = await admission.write(add, resource, token, admission.tenant.clock.now())
        notifying.wake()
        return fhir_response(stored, 201, {"Location": f"{admission.tenant.audience}/fhir/Consent/{stored['id']}"})

    @routes.get("/fhir/Consent")
    @require(SCOPE, patient=True, event=SEARCH)
    async def search(admission: Admitted) -> Response:
        """All consents of the client, withdrawn ones too; there are no parameters."""
        pairs = admission.request.query_params.multi_items()
        if any(carries_bsn(text) for pair in pairs for text in pair):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        if pairs:
            raise Refused(PARAMETER_UNKNOWN, "the client gets all its consents, without parameters")
        found = await admission.tenant.database.read(store.of_patient, acting(admission)[0])
        admission.record.query = b"Consent"
        base = f"{admission.tenant.audience}/fhir/Consent"
        entries = [{"fullUrl": f"{base}/{each['id']}", "resource": each, "search": {"mode": "match"}} for each in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": [{"relation": "self", "url": base}]}
        return fhir_response(bundle | ({"entry": entries} if entries else {}))

    @routes.get("/fhir/Consent/{consent_id}")
    @require(SCOPE, patient=True, event=READ)
    async def read(admission: Admitted, consent_id: str) -> Response:
        """One consent of the client."""
        found = await admission.tenant.database.read(store.read, consent_id, acting(admission)[0])
        if found is None:
            raise Refused(NOT_FOUND, "the client has no consent with this id")
        admission.record.data = [{"reference": f"Consent/{consent_id}"}]
        return fhir_response(found)

    @routes.put("/fhir/Consent/{consent_id}")
    @require(SCOPE, patient=True, event=UPDATE, media_types=FHIR)
    async def update(admission: Admitted, consent_id: str) -> Response:
        """Change a consent; status inactive withdraws it, for every decision that starts after this answer."""
        token, person, standing = acting(admission)
        resource = await admission.json_object()
        if resource.get("id") != consent_id:
            raise Refused(MALFORMED, "the id of the resource is not that of the address")
        _checked(admission, resource)
        admission.record.data = [{"reference": f"Consent/{consent_id}"}]
        before = await admission.tenant.database.read(store.read, consent_id, token)
        resource = decided(resource, admission.patient, person, standing, before)
        if_match = admission.request.headers.get("if-match")
        stored = await admission.write(change, resource, token, if_match, admission.tenant.clock.now())
        notifying.wake()
        return fhir_response(stored)

    return routes


def _checked(admission: Admission, resource: dict[str, Any]) -> dict[str, Any]:
    named = patient_of(resource)
    if named is not None and named != admission.patient:
        raise Refused(SUBJECT_MISMATCH, "the consent is of another client than the token")
    read_consent(resource, admission.patient)
    return resource
