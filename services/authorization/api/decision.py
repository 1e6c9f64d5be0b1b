"""The decision point in the shape of an Open Policy Agent (so is VECOZO's), and a door that explains a decision rule by rule."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import POLICY_DECISION
from proeftuin.reasons import INVALID_REQUEST, MALFORMED, Refused
from services.authorization.decision.evaluation import findings_of
from services.authorization.iwlz import outcome
from services.authorization.iwlz.point import PROFILE_HEADER, Point
from services.authorization.iwlz.tokens import stated

JSON = ("application/json",)


def router(point: Point) -> APIRouter:
    """Return the routes."""
    routes = guarded(problem)

    @routes.post("/v1/data/authz/result")
    @require(event=POLICY_DECISION, media_types=JSON)
    async def result(admission: Admitted) -> Response:
        """Decide on an OPA-Envoy input: parsed_body {query, variables}, attributes.request.http.headers.authorization.

        Answers `{"decision_id", "result": {"allowed", "http_status", "headers", "body"?}}`; 200 also when it denies.
        """
        profile = point.profile(admission.request.headers.get(PROFILE_HEADER))
        settings = point.profile_settings(profile)
        asked = (await admission.json_object()).get("input")
        authorization = _at(asked, "attributes", "request", "http", "headers", "authorization")
        body = _at(asked, "parsed_body")
        if not isinstance(body, dict):
            raise Refused(MALFORMED, "input.parsed_body is an object with query and variables")
        try:
            claims = await point.verified(authorization if isinstance(authorization, str) else None, admission)
            caller = point.tokens.caller(claims)
        except Refused as refused:
            admission.record.details |= {"decision": "deny", "rules": refused.reason.code}
            found = outcome.of_token(refused, settings)
        else:
            decision = await point.decide(caller, body, profile)
            admission.record.details |= decision.details()
            found = outcome.of_decision(decision, settings, explain=point.settings.explanations)
        return json_response({"decision_id": str(uuid.uuid4()), "result": found}, headers={"Cache-Control": "no-store"})

    @routes.post("/explain")
    @require(event=POLICY_DECISION, media_types=JSON)
    async def explain(admission: Admitted) -> Response:
        """Say of each rule whether it holds: `{"query", "variables"?, "profile"?}` with a `token`, or with supposed `claims`.

        With `claims` (those of the token, and `scopes`) the answer is about a caller that may not exist: it opens nothing, and no
        register is asked about that caller.
        """
        asked = await admission.json_object()
        named = asked.get("profile", point.settings.profile)
        if named not in point.decisions.profiles:
            raise Refused(INVALID_REQUEST, f"profile is one of {', '.join(point.decisions.profiles)}")
        token, claims = asked.get("token"), asked.get("claims")
        if isinstance(token, str):
            caller = point.tokens.caller(await point.verified(f"Bearer {token}", admission))
        elif isinstance(claims, dict):
            caller = stated(claims)
        else:
            raise Refused(INVALID_REQUEST, "give a token, or claims to suppose")
        supposed = not isinstance(token, str)
        decision = await point.decide(caller, asked, named, look_up=not supposed)
        admission.record.details |= decision.details() | {"decision": f"explained: {'permit' if decision.allowed else 'deny'}"}
        return json_response(
            {
                "allowed": decision.allowed,
                "supposed": supposed,
                "profile": decision.profile,
                "policies": decision.version.as_json(),
                "operation": decision.operation,
                "rules": decision.rules,
                "findings": findings_of(decision),
            }
        )

    return routes


def _at(value: Any, *path: str) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
