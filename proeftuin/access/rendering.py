"""A refusal in the form that each interface prescribes, always with the reason code, the remedy and the trace id."""

import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from proeftuin.fhir.outcome import Issue, operation_outcome
from proeftuin.reasons import Refused
from proeftuin.transport.tracing import Trace

Form = Callable[[Refused, Trace], Response]
FHIR_JSON = "application/fhir+json"


def json_response(
    content: Any,  # noqa: ANN401 - JSON is any
    status: int = 200,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response:
    """Return `content` as compact JSON."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
    return Response(body, status, headers, media_type)


def fhir_response(resource: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a FHIR resource, with its version as weak ETag (FHIR R4 §3.1.0.1.3)."""
    version = resource.get("meta", {}).get("versionId")
    etag = {"ETag": f'W/"{version}"'} if version else {}
    return json_response(resource, status, FHIR_JSON, etag | (headers or {}))


def oauth(refused: Refused, trace: Trace) -> Response:
    """Render as RFC 6749 §5.2, with `reason`, `remedy` and `trace_id` beside the two standard members."""
    reason = refused.reason
    content = {
        "error": reason.oauth, "error_description": refused.detail,
        "reason": reason.code, "remedy": reason.remedy, "trace_id": trace.trace_id,
    }  # fmt: skip
    return json_response(content, refused.status, headers={"Cache-Control": "no-store"} | _headers(refused))


def fhir(refused: Refused, trace: Trace) -> Response:
    """Render as OperationOutcome: one issue for each fault, the reason in `details.coding`, the remedy in `diagnostics`."""
    reason = refused.reason
    issues = getattr(refused, "issues", None) or [
        Issue("error", reason.issue, f"{refused.detail}. {reason.remedy}", None, reason.code)
    ]
    outcome = operation_outcome(issues)
    outcome["extension"] = [{"url": "https://proeftuin.example/StructureDefinition/trace-id", "valueId": trace.trace_id}]
    return json_response(outcome, refused.status, FHIR_JSON, _headers(refused))


def problem(refused: Refused, trace: Trace) -> Response:
    """Render as problem+json (RFC 9457)."""
    reason = refused.reason
    content = {
        "type": f"https://proeftuin.example/reasons#{reason.code}", "title": reason.code.replace("_", " "),
        "status": refused.status, "detail": refused.detail,
        "reason": reason.code, "remedy": reason.remedy, "trace_id": trace.trace_id,
    }  # fmt: skip
    return json_response(content, refused.status, "application/problem+json", _headers(refused))


def _headers(refused: Refused) -> dict[str, str]:
    reason = refused.reason
    headers = {"X-Reason": reason.code}
    if refused.status == 401:
        headers["WWW-Authenticate"] = f'Bearer error="{reason.oauth}", error_description="{reason.code}"'
    elif reason.code == "insufficient_scope":
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    elif refused.status == 503:
        headers["Retry-After"] = "1"
    return headers | refused.headers
