"""Subscribing to a client's consents, as Mitz has it (VZVZ's wiki: Mitz, abonnementen): FHIR R4 Subscription, JSON or XML."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted, json_object
from proeftuin.access.rendering import fhir, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import CREATE, DELETE
from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.identifiers import is_bsn
from proeftuin.parties import Seed
from proeftuin.reasons import NOT_FOUND, PARAMETER_INVALID, PROFILE, Refused
from services.consent import store, subscriptions
from services.consent.api.closed_question import check_holder
from services.consent.mitz.catalogue import KIND_OF_TYPE
from services.consent.mitz.fhir_xml import from_xml

BASE = "/mitz/abonnementen/fhir"
_EXTENSION = "http://fhir.nl/StructureDefinition/"
_OID = re.compile(r"urn:oid:[0-2](\.[0-9]{1,20}){2,20}")
_TYPES = ("application/fhir+json", "application/json", "application/fhir+xml", "application/xml")


def router(index_key: bytes, seed: Seed) -> APIRouter:
    """Return the routes of subscriptions."""
    routes = guarded(fhir)

    @routes.post(BASE + "/Subscription")
    @require(event=CREATE, media_types=_TYPES, max_body=1 << 15)
    async def subscribe(admission: Admitted) -> Response:
        """Subscribe a holder; a repeat for the same client and source system gives the same id. 202, `Location`."""
        patient, wanted = read(await _resource(admission), admission.peer.client_id)
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


async def _resource(admission: Admission) -> dict[str, Any]:
    body = await admission.body()
    return from_xml(body) if "xml" in admission.request.headers.get("content-type", "") else json_object(body)


def read(resource: dict[str, Any], owner: str) -> tuple[str, subscriptions.Subscription]:
    """Return the client (BSN) and the subscription in a FHIR resource; raises InvalidResource with every fault."""
    faults: list[Issue] = []

    def wanted(holds: object, expression: str, what: str) -> None:
        if not holds:
            faults.append(Issue("error", "business-rule", f"wanted: {what}", expression, PROFILE.code))

    wanted(resource.get("resourceType") == "Subscription", "Subscription", "a Subscription")
    wanted(resource.get("status") == "requested", "Subscription.status", "requested")
    wanted(resource.get("reason") == "OTV", "Subscription.reason", "OTV")
    criteria = str(resource.get("criteria", ""))
    asked = dict(parse_qsl(criteria.removeprefix("Consent?")))
    names = {"_query", "patientid", "providerid", "providertype"}
    wanted(
        criteria.startswith("Consent?") and asked.keys() == names and asked["_query"] == "otv", "Subscription.criteria",
        "Consent?_query=otv&patientid=<BSN>&providerid=<URA>&providertype=<type>",
    )  # fmt: skip
    wanted(is_bsn(asked.get("patientid", "")), "Subscription.criteria", "patientid is the BSN of one client")
    wanted(re.fullmatch("[0-9]{8}", asked.get("providerid", "")), "Subscription.criteria", "providerid is a URA")
    wanted(asked.get("providertype") in KIND_OF_TYPE, "Subscription.criteria", "providertype is a type that Mitz knows")
    channel = resource.get("channel")
    channel = channel if isinstance(channel, dict) else {}
    endpoint, payload = channel.get("endpoint"), channel.get("payload", _TYPES[2])
    wanted(channel.get("type") == "rest-hook", "Subscription.channel.type", "rest-hook")
    wanted(_is_https(endpoint), "Subscription.channel.endpoint", "an https address, at which a certificate of this network answers")
    wanted(payload in _TYPES, "Subscription.channel.payload", f"one of {', '.join(_TYPES)}")
    oids = {}
    extensions = resource.get("extension")
    for each in extensions if isinstance(extensions, list) else []:
        if isinstance(each, dict) and str(each.get("url", "")).startswith(_EXTENSION):
            oids[each["url"].removeprefix(_EXTENSION)] = str(each.get("valueOid", ""))
    for name in ("GatewaySystem", "SourceSystem"):
        wanted(_OID.fullmatch(oids.get(name, "")), "Subscription.extension", f"{_EXTENSION}{name} with a valueOid")
    meta = resource.get("meta", {})
    profiles = meta.get("profile", []) if isinstance(meta, dict) else None
    wanted(
        isinstance(profiles, list) and all(isinstance(each, str) for each in profiles),
        "Subscription.meta.profile",
        "a list of canonicals",
    )
    if faults:
        raise InvalidResource(faults)
    kept = {"meta": {"profile": profiles}, "channel": {"endpoint": endpoint, "payload": payload}}
    gateway, source = (oids[name].removeprefix("urn:oid:") for name in ("GatewaySystem", "SourceSystem"))
    return asked["patientid"], subscriptions.Subscription(
        subscriptions.new_id(), owner, asked["providerid"], asked["providertype"], gateway, source, kept
    )


def _is_https(address: object) -> bool:
    if not isinstance(address, str) or len(address) > 500:
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and not parts.username and not parts.fragment and parts.port != 0
    except ValueError:
        return False
