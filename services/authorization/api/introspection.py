"""Introspection (RFC 7662): the party's own resource server asks whether a token still holds."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import INTROSPECTION
from proeftuin.reasons import INVALID_REQUEST, Refused
from proeftuin.tokens.access_token import inspect
from services.authorization.api.token import FORM
from services.authorization.issuer import Issuer


def router(issuers: dict[str, Issuer]) -> APIRouter:
    """Return the route that tells about tokens."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/introspect")
    @require(own_party=True, event=INTROSPECTION, media_types=FORM, max_body=16384)
    async def introspect(admission: Admitted, party: str) -> Response:
        """Answer `{"active": false}` for everything that is not a live token of this issuer."""
        issuer = issuers[party]
        raw = (await admission.form()).get("token")
        if not raw:
            raise Refused(INVALID_REQUEST, "the form has no token")
        token = inspect(raw, issuer.keys)
        if token is None or not await issuer.is_active(token):
            admission.record.details["active"] = "false"
            return json_response({"active": False}, headers={"Cache-Control": "no-store"})
        admission.record.token, admission.record.person = token.policy, token.grant.person
        if token.patient is not None:
            admission.record.patients = [token.patient]
        grant = token.grant
        content = {
            "active": True, "iss": issuer.url, "client_id": grant.client_id, "sub": grant.client_id, "aud": grant.audience,
            "scope": " ".join(sorted(grant.scopes)), "iat": token.issued_at, "exp": token.expires_at, "jti": token.jti,
            "token_type": "Bearer", "cnf": {"x5t#S256": grant.thumbprint},
        }  # fmt: skip
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes
