"""$validate: what an AuditEvent claims and conforms to, and what it has of NEN 7513; of one that is sent, or of one in the log."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import AUDIT_EVENT_READ
from proeftuin.fhir.outcome import operation_outcome
from proeftuin.reasons import MALFORMED, PARAMETER_INVALID, PARAMETER_UNKNOWN, Refused
from services.logging.api import intake, retrieval
from services.logging.conformance.profiles import CANONICAL, of_url
from services.logging.conformance.report import issues, judge

_MODES = ("create", "profile")  # what is held against the profiles is the same; nothing is updated or deleted here


def router() -> APIRouter:
    """Return the routes of the operation."""
    routes = guarded(fhir)

    @routes.post("/fhir/AuditEvent/$validate")
    @require(intake.SCOPE, retrieval.SCOPE, media_types=intake.FHIR)
    async def validate(admission: Admitted) -> Response:
        """Judge the AuditEvent in the body, alone or in Parameters with `profile`; nothing is stored (FHIR R4 $validate)."""
        content = await admission.json_object()
        event, profile = _parameters(content) if content.get("resourceType") == "Parameters" else (content, None)
        return _answer(event, _asked(profile))

    @routes.get("/fhir/AuditEvent/{event_id}/$validate")
    @require(retrieval.SCOPE, event=AUDIT_EVENT_READ, query={"profile": f"a profile of BALP, {CANONICAL}<id>"})
    async def validate_stored(admission: Admitted, event_id: str) -> Response:
        """Judge an event of the caller's own as it stands in the log; `profile` may name one beside its claims."""
        profile = admission.query(strict=True).get("profile")
        event = await retrieval.own(admission, event_id)
        return _answer(event, _asked(profile))

    return routes


def _answer(event: dict[str, Any], asked: str | None) -> Response:
    """200 whatever is found (FHIR R4 $validate: the outcome of the validation is the answer)."""
    return fhir_response(operation_outcome(intake.faults(event) or issues(judge(event, asked))))


def _asked(profile: object) -> str | None:
    if profile is not None and not (isinstance(profile, str) and of_url(profile)):
        raise Refused(PARAMETER_INVALID, f"profile: the canonical of a profile of BALP, {CANONICAL}<id>")
    return profile


def _parameters(content: dict[str, Any]) -> tuple[dict[str, Any], object]:
    parameters = content.get("parameter")
    if not (isinstance(parameters, list) and all(isinstance(each, dict) for each in parameters)):
        raise Refused(MALFORMED, "Parameters has a list of parameter")
    found = {str(each.get("name")): each for each in parameters}
    if len(found) < len(parameters) or found.keys() - {"resource", "profile", "mode"}:
        raise Refused(PARAMETER_UNKNOWN, "$validate takes resource, profile and mode, each once")
    resource = found.get("resource", {}).get("resource")
    if not isinstance(resource, dict):
        raise Refused(MALFORMED, "there is no parameter resource with an AuditEvent")
    profile, mode = found.get("profile", {}), found.get("mode", {})
    if mode and mode.get("valueCode") not in _MODES:
        raise Refused(PARAMETER_INVALID, f"mode: {' or '.join(_MODES)}, as valueCode")
    if profile and not ({"valueUri", "valueCanonical"} & profile.keys()):
        raise Refused(PARAMETER_INVALID, "profile: a valueUri")
    return resource, profile.get("valueUri", profile.get("valueCanonical"))
