"""A recipient makes its public key known: evaluations for it are sealed with this key."""

from fastapi import APIRouter
from joserfc.errors import JoseError
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import RECIPIENT_KEY
from proeftuin.reasons import INVALID_REQUEST, Refused
from services.pseudonymisation import store
from services.pseudonymisation.api.evaluate import JSON
from services.pseudonymisation.evaluation import read_key, seal


def router() -> APIRouter:
    """Return the route of the registration."""
    routes = guarded(problem)

    @routes.put("/recipients/{scope}")
    @require("prs:register", event=RECIPIENT_KEY, media_types=JSON, max_body=8192)
    async def register(admission: Admitted, scope: str) -> Response:
        """Register a public JWK under the caller's own organization (its client_id) and this scope."""
        jwk = await admission.json_object()
        try:
            key = read_key(jwk)
            seal(bytes(32), jwk, "", scope, admission.tenant.clock.now())  # a key for signatures fails here, not at each evaluation
        except (JoseError, ValueError) as error:
            raise Refused(INVALID_REQUEST, f"the key: {error}") from error
        organization = admission.peer.client_id
        admission.record.details |= {"recipient": organization, "recipient_scope": scope}
        admission.record.data = [{"identifier": {"value": f"{organization}/{scope}"}, "display": "recipient key"}]
        now = admission.tenant.clock.now()
        first = await admission.write(store.register, organization, scope, dict(key.as_dict(private=False)), now)
        return json_response({"organization": organization, "scope": scope}, 201 if first else 200)

    return routes
