"""The one address for all traffic of the iWlz network (iWlz RFC0014): certificate, token, decision, and on to the audience."""

import json
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted, json_object
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import POLICY_DECISION
from proeftuin.reasons import POLICY_DENIED, UPSTREAM, Refused
from proeftuin.transport.client import Unreachable
from services.authorization.iwlz import outcome
from services.authorization.iwlz.addresses import Addresses
from services.authorization.iwlz.point import PROFILE_HEADER, Point

_PASSED = ("accept", "x-b3-sampled")  # headers of the caller that the resource server may see
_RETURNED = ("content-type",)


def router(point: Point, addresses: Addresses) -> APIRouter:
    """Return the route of the enforcement point."""
    routes = guarded(outcome.pep)

    @routes.post("/netwerkmodel/v3/pep")
    @require(event=POLICY_DECISION, media_types=("application/json",))
    async def pep(admission: Admitted) -> Response:
        """Judge a GraphQL request, and pass it on untouched to the audience of its token; the answer comes back untouched."""
        addresses.check(admission)
        profile = point.profile(admission.request.headers.get(PROFILE_HEADER))
        settings = point.profile_settings(profile)
        try:
            claims = await point.verified(admission.request.headers.get("authorization"), admission)
        except Refused as refused:
            raise outcome.Denied(refused.reason, refused.detail, outcome.of_token(refused, settings)) from refused
        admission.record.token = f"urn:ietf:params:oauth:jti:{claims.get('jti')}"
        body = await admission.body()
        decision = await point.decide(point.tokens.caller(claims), json_object(body), profile)
        admission.record.details |= decision.details() | {"operation": decision.operation, "audience": str(claims["aud"])}
        if not decision.allowed:
            result = outcome.of_decision(decision, settings, explain=point.settings.explanations)
            raise outcome.Denied(POLICY_DENIED, " ".join(dict.fromkeys(each.rule for each in decision.findings)), result)
        return await _pass_on(admission, claims, body, explain=point.settings.explanations)

    return routes


async def _pass_on(admission: Admission, claims: dict[str, Any], body: bytes, *, explain: bool) -> Response:
    asked = admission.request.headers
    headers = {name: asked[name] for name in _PASSED if name in asked}
    headers["claims"] = json.dumps(claims, separators=(",", ":"))
    try:
        peers = admission.tenant.client.peers  # the event of this request tells of the call: audience, decision and status
        answer = await peers.request("POST", str(claims["aud"]), headers=headers, body=body, trace=admission.trace.child())
    except Unreachable as error:
        status = 504 if "time" in str(error).lower() else 502
        text = "The resource server gave no answer in time" if status == 504 else "The resource server could not be reached"
        raise outcome.Denied(UPSTREAM, str(error), outcome.of_forwarding(status, text, explain=explain)) from error
    admission.record.details["status"] = str(answer.status)
    return Response(answer.body, answer.status, {name: answer.headers[name] for name in _RETURNED if name in answer.headers})
