"""Revocation (RFC 7009): by the client that the token was given to, or by the party that gave it."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import REVOCATION
from proeftuin.reasons import PARTY_MISMATCH, Refused
from proeftuin.tokens.access_token import inspect
from services.authorization import store
from services.authorization.api.introspection import TOKEN
from services.authorization.grants import GRANT, Ground
from services.authorization.issuer import Issuer


def router(issuers: dict[str, Issuer]) -> APIRouter:
    """Return the route that ends tokens."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/revoke")
    @require(event=REVOCATION, form=TOKEN, required=("token",), max_body=16384)
    async def revoke(admission: Admitted, party: str) -> Response:
        """Revoke at once, with every token that was exchanged for it; an unknown token is answered alike (RFC 7009 §2.2)."""
        issuer = issuers[party]
        token = inspect((await admission.form())["token"], issuer.keys)
        if token is not None:
            caller = admission.peer.client_id
            if caller not in (token.grant.client_id, issuer.tenant.party.client_id):
                raise Refused(PARTY_MISMATCH, "a token is revoked by its owner or by the party that gave it")
            admission.record.token = token.policy
            admission.record.patients = [token.patient] if token.patient else []
            await admission.write(store.end, Ground(GRANT, token.jti), caller, issuer.tenant.clock.now())
        return Response(status_code=200, headers={"Cache-Control": "no-store"})

    return routes
