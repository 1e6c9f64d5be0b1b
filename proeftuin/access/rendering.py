"""A refusal in the form that each interface prescribes, always with the reason code, the remedy and the trace id."""

import re
from collections.abc import Callable
from typing import Any

from lxml import etree
from starlette.responses import Response

from proeftuin import strict_json
from proeftuin.fhir.outcome import Issue, operation_outcome
from proeftuin.reasons import Deviating, Refused, Unmatched
from proeftuin.transport.tracing import Trace

Form = Callable[[Refused, Trace], Response]
FHIR_JSON = "application/fhir+json"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_XML = "application/soap+xml; charset=UTF-8"
_FAULTS = "https://proeftuin.example/reasons"
_NOT_IN_DESCRIPTION = re.compile(r"[^ !#-\[\]-~]")  # RFC 6749 §5.2


def json_response(
    content: Any,  # noqa: ANN401 - JSON is any
    status: int = 200,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response:
    """Return `content` as compact JSON."""
    return Response(strict_json.encode(content), status, headers, media_type)


def fhir_response(resource: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a FHIR resource, with its version as weak ETag (FHIR R4 §3.1.0.1.3)."""
    version = resource.get("meta", {}).get("versionId")
    etag = {"ETag": f'W/"{version}"'} if version else {}
    return json_response(resource, status, FHIR_JSON, etag | (headers or {}))


def oauth(refused: Refused, trace: Trace) -> Response:
    """Render as RFC 6749 §5.2, with `reason`, `remedy` and `trace_id` beside the two standard members."""
    reason = refused.reason
    content = {
        "error": refused.oauth, "error_description": _NOT_IN_DESCRIPTION.sub("?", refused.detail.replace('"', "'")),
        "reason": reason.code, "remedy": reason.remedy, "trace_id": trace.trace_id,
    }  # fmt: skip
    return json_response(content | _explained(refused), refused.status, headers={"Cache-Control": "no-store"} | _headers(refused))


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
    return json_response(content | _explained(refused), refused.status, "application/problem+json", _headers(refused))


def _explained(refused: Refused) -> dict[str, Any]:
    if isinstance(refused, Deviating):
        return {"findings": [each.as_json() for each in refused.findings]}
    return {"explanation": refused.explanation} if isinstance(refused, Unmatched) else {}


def soap(refused: Refused, trace: Trace) -> Response:
    """Render as SOAP 1.2 Fault (§5.4): Sender or Receiver, the reason as subcode, the remedy in the text; each finding in Detail.

    Detail holds `trace-id`, and for each finding a `finding` with `rule`, `clause`, `severity` and what was found, as text.
    """
    reason = refused.reason
    fault = etree.Element(f"{{{SOAP}}}Fault")
    code = etree.SubElement(fault, f"{{{SOAP}}}Code")
    etree.SubElement(code, f"{{{SOAP}}}Value").text = "env:Receiver" if reason.status >= 500 else "env:Sender"
    etree.SubElement(etree.SubElement(code, f"{{{SOAP}}}Subcode"), f"{{{SOAP}}}Value").text = f"pt:{reason.code}"
    text = etree.SubElement(etree.SubElement(fault, f"{{{SOAP}}}Reason"), f"{{{SOAP}}}Text")
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    text.text = _printable(f"{refused.detail}. {reason.remedy}")
    detail = etree.SubElement(fault, f"{{{SOAP}}}Detail")
    etree.SubElement(detail, f"{{{_FAULTS}}}trace-id").text = trace.trace_id
    for found in refused.findings if isinstance(refused, Deviating) else []:
        element = etree.SubElement(detail, f"{{{_FAULTS}}}finding", rule=found.rule, clause=found.clause, severity=found.severity)
        element.text = _printable(found.text)
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP, "pt": _FAULTS})
    etree.SubElement(root, f"{{{SOAP}}}Body").append(fault)
    content = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return Response(content, reason.status, _headers(refused), SOAP_XML)


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())


def _headers(refused: Refused) -> dict[str, str]:
    reason = refused.reason
    headers = {"X-Reason": reason.code}
    if refused.status == 401:
        headers["WWW-Authenticate"] = f'Bearer error="{refused.oauth}", error_description="{reason.code}"'
    elif reason.code == "insufficient_scope":
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    elif refused.status == 503:
        headers["Retry-After"] = "1"
    return headers | refused.headers
