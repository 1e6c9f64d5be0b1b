"""The door of the iWlz network (iWlz RFC0014): a token for a certificate, asked in JSON, for oneself or for who mandated it."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import TOKEN_REQUEST
from proeftuin.parties import Party
from proeftuin.reasons import INVALID_REQUEST, MANDATE_MISSING, RESOURCE_UNKNOWN, SCOPE_UNKNOWN, UNKNOWN_CLIENT, Refused
from proeftuin.tokens.access_token import CERTIFICATE, Confirmation
from services.authorization.grants import GrantRequest
from services.authorization.issuer import Issuer
from services.authorization.iwlz import outcome
from services.authorization.iwlz.addresses import Addresses
from services.authorization.iwlz.mandates import Mandates
from services.authorization.iwlz.scopes import IwlzScopes
from services.authorization.iwlz.tokens import IwlzTokens, identity

DOOR = "iwlz client_credentials"


def router(issuer: Issuer, scopes: IwlzScopes, tokens: IwlzTokens, mandates: Mandates, addresses: Addresses) -> APIRouter:
    """Return the routes that give iWlz tokens, on the grants of `issuer`."""
    routes = guarded(outcome.server)
    own = replace(issuer, policies=scopes)

    @routes.post("/netwerkmodel/v3/auth/token")
    @require(event=TOKEN_REQUEST, media_types=("application/json",), max_body=16384)
    async def token(admission: Admitted) -> Response:
        """Give a token: `{"grant_type", "scope", "audience", "access_token"?: {"sub"}}`."""
        addresses.check(admission)
        asked = await admission.json_object()
        if asked.get("grant_type") != "client_credentials":
            raise Refused(INVALID_REQUEST, "grant_type is client_credentials")
        audience, wanted = asked.get("audience"), asked.get("scope")
        if not isinstance(audience, str) or not audience:
            raise Refused(RESOURCE_UNKNOWN, "audience is one https URL")
        if not isinstance(wanted, str):
            raise Refused(SCOPE_UNKNOWN, "scope is text")
        holder = _holder(admission, issuer)
        principal, mandate = _principal(asked.get("access_token"), holder, issuer, mandates)
        request = GrantRequest(
            door=DOOR,
            client=holder,
            confirmation=Confirmation(CERTIFICATE, admission.peer.thumbprint),
            scopes=tuple(wanted.split()),
            resource=audience,
            principal=principal if mandate else None,
            mandate=mandate,
        )
        given = await own.grant(admission, request)
        content = {
            "access_token": tokens.write(given, holder, principal),
            "token_type": "Bearer",
            "expires_in": given.grant.lifetime,
        }
        return json_response(content, headers={"Cache-Control": "no-store"})

    @routes.get("/netwerkmodel/v3/auth/jwks")
    @require()
    async def jwks(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """The key with which these tokens verify (RS256)."""
        return json_response(tokens.jwks, headers={"Cache-Control": "max-age=300"})

    return routes


def _holder(admission: Admission, issuer: Issuer) -> Party:
    found = issuer.known_clients.get(admission.peer.client_id)
    if found is None:
        raise Refused(UNKNOWN_CLIENT, f"{admission.peer.client_id} is no party of this network")
    return found


def _principal(asked: Any, holder: Party, issuer: Issuer, mandates: Mandates) -> tuple[Party, str | None]:  # noqa: ANN401 - JSON
    """Return for whom the token is, and by which mandate; an absent or empty `sub` means oneself."""
    sub = asked.get("sub", "") if isinstance(asked, dict) else ""
    if asked is not None and (not isinstance(asked, dict) or not isinstance(sub, str)):
        raise Refused(INVALID_REQUEST, 'access_token is {"sub": "<identity>"}')
    if not sub:
        return holder, None
    kind, _, value = sub.partition(":")
    field = {"uzovi": "uzovi", "agbcode": "agb", "kvk": "kvk"}.get(kind)
    principal = next((each for each in issuer.known_clients.values() if field and value and getattr(each, field) == value), None)
    if principal is None or principal == holder:
        raise Refused(MANDATE_MISSING, "no right to act for this party, or it is the actor itself")
    mandate = mandates.find(holder, principal)
    if mandate is None:
        raise Refused(MANDATE_MISSING, f"{identity(holder)} has no mandate of {identity(principal)}")
    return principal, mandate
