"""Evaluate a blinded identifier: in the wire of the guide (/evaluate) and in that of the running service (/oprf/eval)."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import EVALUATION
from proeftuin.pseudonym import decode
from proeftuin.reasons import INVALID_REQUEST, NOT_FOUND, PSEUDONYM_INVALID, Refused
from services.pseudonymisation import store
from services.pseudonymisation.evaluation import check_recipient, evaluate, evaluation_key, seal

JSON = ("application/json",)


def router(master: bytes) -> APIRouter:
    """Return the routes of the evaluation; `master` is the secret that the keys come from."""
    routes = guarded(problem)

    @routes.post("/evaluate")
    @require("prs:read", event=EVALUATION, media_types=JSON, max_body=4096)
    async def evaluate_(admission: Admitted) -> Response:
        """The guide's wire: blinded_input, recipient_organization, recipient_scope."""
        body = await admission.json_object()
        sealed = await _evaluate(
            admission, master, body.get("blinded_input"), body.get("recipient_organization"), body.get("recipient_scope")
        )
        return json_response({"evaluated_output": sealed}, headers={"Cache-Control": "no-store"})

    @routes.post("/oprf/eval")
    @require("prs:read", event=EVALUATION, media_types=JSON, max_body=4096)
    async def oprf_eval(admission: Admitted) -> Response:
        """The running service's wire: encryptedPersonalId, recipientOrganization, recipientScope."""
        body = await admission.json_object()
        sealed = await _evaluate(
            admission, master, body.get("encryptedPersonalId"), body.get("recipientOrganization"), body.get("recipientScope")
        )
        return json_response({"jwe": sealed}, headers={"Cache-Control": "no-store"})

    return routes


async def _evaluate(admission: Admission, master: bytes, blinded: object, organization: object, scope: object) -> str:
    try:
        organization, scope = check_recipient(organization, scope)
    except ValueError as error:
        raise Refused(INVALID_REQUEST, str(error)) from error
    if not isinstance(blinded, str):
        raise Refused(INVALID_REQUEST, "the blinded input is a string")
    admission.record.details |= {"recipient": organization, "recipient_scope": scope}
    key = await admission.tenant.database.read(store.key_of, organization, scope)
    if key is None:
        raise Refused(NOT_FOUND, _nearest(organization, scope, await admission.tenant.database.read(store.known)))
    try:
        evaluated = evaluate(evaluation_key(master, organization, scope), decode(blinded))
    except ValueError as error:
        raise Refused(PSEUDONYM_INVALID, f"the blinded input: {error}") from error
    return seal(evaluated, key, organization, scope, admission.tenant.clock.now())


def _nearest(organization: str, scope: str, known: list[tuple[str, str]]) -> str:
    """Say which recipients there are: another spelling would give another pseudonym, silently (§3.2)."""
    there = "; ".join(f"{each} with scope {its_scope}" for each, its_scope in known[:10]) or "none yet"
    return f"no recipient {organization!r} with scope {scope!r}; registered: {there}"
