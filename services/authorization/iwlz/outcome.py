"""What a caller of the iWlz doors gets to see: the errors of each profile (iWlz RFC0014 §6.2, RFC0040).

Their bodies are prescribed, in part as plain text; so what other doors say in the body, detail and remedy, stands in headers here.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from proeftuin.reasons import CATALOGUE, Reason, Refused
from proeftuin.transport.tracing import Trace
from services.authorization.decision.model import PEP, Decision, Finding

JSON, TEXT = "application/json", "text/plain"
STATUS = {  # the highest of these decides, in this order
    "INTERNAL_SERVER_ERROR": 500, "UNAUTHORIZED": 401, "BAD_REQUEST": 400, "GRAPHQL_VALIDATION_FAILED": 400, "FORBIDDEN": 403,
}  # fmt: skip
_EXPIRED = {"token_expired", "token_not_yet"}
_NO_RIGHT = {"mandate_missing", "unknown_client", "party_mismatch"}


class Denied(Refused):
    """A refusal of which the answer is known: `result` is that of the decision point."""

    def __init__(self, reason: Reason, detail: str, result: Mapping[str, Any]) -> None:
        super().__init__(reason, detail, status=result["http_status"])
        self.result = result


def of_decision(decision: Decision, settings: Mapping[str, Any], *, explain: bool) -> dict[str, Any]:
    """Return the result of the decision point: `allowed`, `http_status`, `headers` and, when denied, `body` as text."""
    if decision.allowed:
        return {"allowed": True, "http_status": 200, "headers": {"content-type": JSON}}
    codes = {each.code for each in decision.findings}
    status = next((STATUS[code] for code in STATUS if code in codes), 400)
    errors = [_error(each, explain=explain) for each in decision.findings]
    if settings["errors"] == "graphql":
        return _result(status, {"errors": errors})
    judged = not any(each.rule.startswith("graphql.") or each.rule == "none" for each in decision.findings)
    if status != 500 and judged:
        status = 403
    first = decision.findings[0]
    name = {400: "bad_request", 403: "access_denied", 500: "server_error"}.get(status, "bad_request")
    text = "Scope is not allowed" if first.rule == "scope" else first.text
    return _result(status, {"ErrorCode": name, "Error": text} | ({"errors": errors} if explain else {}))


def of_token(refused: Refused, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result for a token that does not hold: 401 in the profile's words, 403 when it is bound to another certificate."""
    text = "Jwt is expired" if refused.reason.code in _EXPIRED else "Jwt is invalid"
    if refused.status == 403:
        text = "Invalid Client Certificate"
    if settings["errors"] == "graphql":
        return {"allowed": False, "http_status": refused.status, "headers": {"content-type": TEXT}, "body": text}
    return _result(refused.status, {"ErrorCode": "unauthorized" if refused.status == 401 else "access_denied", "Error": text})


def of_forwarding(status: int, text: str, *, explain: bool) -> dict[str, Any]:
    """Return the result when the resource server gave no answer: 502 or 504."""
    finding = Finding("pep.forward", (), "INTERNAL_SERVER_ERROR", text, "The audience of your token is where it was sent.", PEP)
    return _result(status, {"errors": [_error(finding, explain=explain)]})


def pep(refused: Refused, _: Trace) -> Response:
    """Render a refusal of the PEP."""
    if isinstance(refused, Denied):
        result = refused.result
        return _response(refused, result["http_status"], str(result["body"]), result["headers"]["content-type"])
    if _of_certificate(refused):
        return _response(refused, 403, "Invalid Client Certificate", TEXT)
    return _response(refused, refused.status, json.dumps({"ErrorCode": refused.reason.oauth, "Error": refused.detail}), JSON)


def server(refused: Refused, _: Trace) -> Response:
    """Render a refusal of the authorization server: status and plain text of its table (iWlz RFC0014)."""
    code = refused.reason.code
    if _of_certificate(refused):
        return _response(refused, 403, "Invalid Client Certificate", TEXT)
    if code == "resource_unknown":
        return _response(refused, 400, "audience is required", TEXT)
    if code in _NO_RIGHT:
        return _response(refused, 401, "authenticating with issuing authority", TEXT)
    if code == "scope_unknown":
        return _response(refused, 400, "Access denied, invalid scope", TEXT)
    return _response(refused, refused.status, refused.detail, TEXT)


def _of_certificate(refused: Refused) -> bool:
    return refused.reason.code in {code for code in CATALOGUE if code.startswith("certificate_")}


def _result(status: int, content: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": False, "http_status": status, "headers": {"content-type": JSON}, "body": json.dumps(content)}


def _error(finding: Finding, *, explain: bool) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": finding.code}
    if explain:
        extensions |= {"origin": finding.origin, "rule": finding.rule, "policy": list(finding.policies), "hint": finding.hint}
    return {"message": finding.text, "extensions": extensions}


def _response(refused: Refused, status: int, body: str, media_type: str) -> Response:
    detail = "".join(each if each.isascii() and each.isprintable() else "?" for each in refused.detail)
    headers = {"X-Reason": refused.reason.code, "X-Detail": detail, "X-Remedy": refused.reason.remedy, "Cache-Control": "no-store"}
    return Response(body, status, headers, media_type)
