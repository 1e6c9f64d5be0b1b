"""The decision point, asked as that of nuts-knooppunt: 200 for every decision, 400 only for what cannot be read."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import POLICY_DECISION
from proeftuin.reasons import INVALID_REQUEST, Refused
from services.authorization.decision.knooppunt import ForbiddenPolicyError, KnooppuntDecisions


def router(decisions: KnooppuntDecisions) -> APIRouter:
    """Return the routes."""
    routes = guarded(problem)

    async def decide(admission: Admission) -> Response:
        asked = (await admission.json_object()).get("input")
        if not isinstance(asked, dict):
            raise Refused(INVALID_REQUEST, "input is an object")
        try:
            answer = await decisions.decide(asked)
        except (ForbiddenPolicyError, ValueError) as error:
            raise Refused(INVALID_REQUEST, str(error)) from error
        admission.record.details |= {
            "decision": "permit" if answer["allow"] else "deny",
            "policies": f"{answer['version']['version']} {answer['version']['sha256']}",
            "rules": " ".join(answer["policies"]),
        }
        return json_response(answer, headers={"Cache-Control": "no-store"})

    @routes.post("/pdp")
    @require(own_party=True, event=POLICY_DECISION, media_types=("application/json",))
    async def pdp(admission: Admitted) -> Response:
        """Decide on `{"input": {"subject", "request", "context"}}`; for the enforcement points of the party itself."""
        return await decide(admission)

    @routes.post("/pdp/v1/data/knooppunt/authz")
    @require(own_party=True, event=POLICY_DECISION, media_types=("application/json",))
    async def opa(admission: Admitted) -> Response:
        """The same, at the address that an OPA would have."""
        return await decide(admission)

    return routes
