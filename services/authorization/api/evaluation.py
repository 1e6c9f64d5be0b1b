"""The decision point over the Authorization API 1.0 of OpenID AuthZEN (§6, §7, §9), and in the dialect of iWlz RFC0052."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import POLICY_DECISION
from proeftuin.reasons import INVALID_REQUEST, Refused
from services.authorization.decision.evaluation import Evaluator
from services.authorization.iwlz.point import is_own

MOST = 100  # evaluations in one request
_STOP: dict[str, Callable[[bool], bool]] = {  # §7.1.2.1: after which decision the rest is not looked at
    "execute_all": lambda _: False,
    "deny_on_first_deny": lambda decision: not decision,
    "permit_on_first_permit": lambda decision: decision,
}
JSON = ("application/json",)


def router(evaluator: Evaluator, base_url: str) -> APIRouter:
    """Return the routes of the Authorization API."""
    routes = guarded(problem)

    @routes.get("/.well-known/authzen-configuration")
    @require()
    async def metadata(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """Metadata of the decision point (§9)."""
        return json_response(
            {
                "policy_decision_point": base_url,
                "access_evaluation_endpoint": f"{base_url}/access/v1/evaluation",
                "access_evaluations_endpoint": f"{base_url}/access/v1/evaluations",
            }
        )

    @routes.post("/access/v1/evaluation")
    @require(event=POLICY_DECISION, media_types=JSON)
    async def evaluation(admission: Admitted) -> Response:
        """Decide on one subject, action, resource and context (§6)."""
        found = await evaluator.evaluate(await admission.json_object(), look_up=is_own(admission))
        _log(admission, [found])
        return _answer(found)

    @routes.post("/access/v1/evaluations")
    @require(event=POLICY_DECISION, media_types=JSON)
    async def evaluations(admission: Admitted) -> Response:
        """Decide on several; what stands beside `evaluations` is the default for each (§7)."""
        asked = await admission.json_object()
        each = _each(asked)
        if not each:  # §7.1: without evaluations it is a single one
            found = await evaluator.evaluate(asked, look_up=is_own(admission))
            _log(admission, [found])
            return _answer(found)
        stop = _STOP[_semantic(asked)]
        results: list[dict[str, Any]] = []
        for one in each:
            await asyncio.sleep(0)  # others are served between two decisions
            results.append(await _one(evaluator, one, look_up=is_own(admission)))
            if stop(results[-1]["decision"]):
                break
        _log(admission, results)
        return _answer({"evaluations": results})

    @routes.post("/rfc0052/access/v1/evaluations")
    @require(event=POLICY_DECISION, media_types=JSON)
    async def dialect(admission: Admitted) -> Response:
        """Decide in the dialect of RFC0052: always `evaluations`, answered by `results` of the same length and order."""
        each = _each(await admission.json_object())
        if not each:
            raise Refused(INVALID_REQUEST, "evaluations is a list with at least one evaluation")
        results = [await evaluator.evaluate_filter(one, look_up=is_own(admission)) for one in each]
        _log(admission, results)
        return _answer({"results": results})

    return routes


def _each(asked: dict[str, Any]) -> list[dict[str, Any]]:
    found = asked.get("evaluations", [])
    if not isinstance(found, list) or len(found) > MOST or not all(isinstance(one, dict) for one in found):
        raise Refused(INVALID_REQUEST, f"evaluations is a list of at most {MOST} objects")
    defaults = {name: asked[name] for name in ("subject", "action", "resource", "context") if name in asked}
    return [defaults | one for one in found]


def _semantic(asked: dict[str, Any]) -> str:
    options = asked.get("options", {})
    named = options.get("evaluations_semantic", "execute_all") if isinstance(options, dict) else None
    if not isinstance(named, str) or named not in _STOP:
        raise Refused(INVALID_REQUEST, f"options.evaluations_semantic is one of {', '.join(_STOP)}")
    return named


def _log(admission: Admission, results: list[dict[str, Any]]) -> None:
    denied = sum(not each["decision"] for each in results)
    policies = {str(each["context"]["policies"]) for each in results if "policies" in each.get("context", {})}
    admission.record.details |= {
        "decision": f"{len(results) - denied} permit, {denied} deny",
        "policies": " ".join(sorted(policies)),
    }


async def _one(evaluator: Evaluator, asked: dict[str, Any], *, look_up: bool) -> dict[str, Any]:
    """Return the answer to one of several; an error in it denies that one, and says so (§7.2.1)."""
    try:
        return await evaluator.evaluate(asked, look_up=look_up)
    except Refused as refused:
        error = {"status": refused.status, "message": refused.detail}
        return {"decision": False, "context": {"reason": refused.reason.code, "error": error}}


def _answer(content: dict[str, Any]) -> Response:
    return json_response(content, headers={"Cache-Control": "no-store"})
