"""Converting a Consent between the form of Mitz and of IHE PCF; nothing is stored (nl-generic-functions-ig)."""

import uuid

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.fhir.refusal import check
from proeftuin.reasons import PARAMETER_INVALID, Refused
from services.consent import pcf
from services.consent.api.registration import FHIR


def router() -> APIRouter:
    """Return the route of the conversion."""
    routes = guarded(fhir)

    @routes.post("/fhir/Consent/$convert")
    @require(media_types=FHIR)
    async def convert(admission: Admitted, to: str = "") -> Response:
        """Return the Consent in the body in the other form: `to` is pcf or mitz. Every element that does not fit is named."""
        resource = await admission.json_object()
        if to not in ("pcf", "mitz"):
            raise Refused(PARAMETER_INVALID, "to is pcf, or mitz")
        lacking = {} if {"policy", "policyRule"} & resource.keys() else {"policyRule": {"text": "Mitz"}}
        check(resource | lacking, "Consent")  # Mitz leaves out what R4 demands (ppc-1)
        return fhir_response(pcf.from_mitz(resource, str(uuid.uuid4())) if to == "pcf" else pcf.to_mitz(resource))

    return routes
