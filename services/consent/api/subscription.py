"""Subscribing to a client's consents, as Mitz has it (VZVZ's wiki: Mitz, abonnementen): FHIR R4 Subscription, JSON or XML."""

import re
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted, json_object
from proeftuin.access.rendering import fhir, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import CREATE, DELETE
from proeftuin.parties import Seed
from proeftuin.reasons import NOT_FOUND, PARAMETER_INVALID, Refused
from services.consent import store, subscriptions
from services.consent.api.closed_question import check_holder
from services.consent.mitz.fhir_xml import from_xml
from services.consent.mitz.subscription_rules import PAYLOADS, SUBSCRIPTION, XML, asked, extensions

BASE = "/mitz/abonnementen/fhir"


def router(index_key: bytes, seed: Seed) -> APIRouter:
    """Return the routes of subscriptions."""
    routes = guarded(fhir)

    @routes.post(BASE + "/Subscription")
    @require(event=CREATE, media_types=PAYLOADS, max_body=1 << 15)
    async def subscribe(admission: Admitted) -> Response:
        """Subscribe a holder; a repeat for the same client and source system gives the same id. 202, `Location`."""
        patient, wanted = read(resource_in(admission, await admission.body()), admission.peer.client_id)
        admission.record.patients = [patient]
        check_holder(admission, seed, wanted.holder)
        admission.record.data = [{"reference": f"Subscription/{wanted.id}"}]
        known = await admission.write(subscriptions.subscribe, store.patient_token(index_key, patient), wanted)
        return Response(status_code=202, headers={"Location": f"Subscription/{known}"})

    @routes.delete(BASE + "/Subscription/{subscription_id}")
    @require(event=DELETE)
    async def unsubscribe(admission: Admitted, subscription_id: str) -> Response:
        """End a subscription of the caller's own: 204."""
        admission.record.data = [{"reference": f"Subscription/{subscription_id[:64]}"}]
        if not await admission.write(subscriptions.unsubscribe, subscription_id, admission.peer.client_id):
            raise Refused(NOT_FOUND, "the caller has no subscription with this id")
        return Response(status_code=204)

    @routes.get(BASE + "/Subscription/$processingStatus")
    @require()
    async def status(admission: Admitted, providerid: str = "") -> Response:
        """How many subscriptions there are for a holder of the caller's own: Parameters with `count`."""
        if not re.fullmatch("[0-9]{8}", providerid):
            raise Refused(PARAMETER_INVALID, "providerid is a URA")
        check_holder(admission, seed, providerid)
        count = await admission.tenant.database.read(subscriptions.count, providerid)
        content = {"resourceType": "Parameters", "parameter": [{"name": "count", "valueInteger": count}]}
        return json_response(content, media_type="application/fhir+json")

    return routes


def resource_in(admission: Admission, raw: bytes) -> dict[str, Any]:
    """Return the resource in `raw`, XML or JSON as its media type says; raises Refused(MALFORMED)."""
    return from_xml(raw) if "xml" in admission.request.headers.get("content-type", "") else json_object(raw)


def read(resource: dict[str, Any], owner: str) -> tuple[str, subscriptions.Subscription]:
    """Return the client (BSN) and the subscription in a FHIR resource; raises InvalidResource with every fault."""
    SUBSCRIPTION.demand_fhir(resource)
    wanted, channel, oids = asked(resource), resource["channel"], extensions(resource)
    kept = {
        "meta": {"profile": resource.get("meta", {}).get("profile", [])},
        "channel": {"endpoint": channel["endpoint"], "payload": channel.get("payload", XML)},
    }
    gateway, source = (str(oids[name]["valueOid"]).removeprefix("urn:oid:") for name in ("GatewaySystem", "SourceSystem"))
    return wanted["patientid"], subscriptions.Subscription(
        subscriptions.new_id(), owner, wanted["providerid"], wanted["providertype"], gateway, source, kept
    )
