"""The token endpoint (RFC 6749 §3.2): finds the door of the grant_type, and binds what it gives to a certificate or a key.

A door is a function that authenticates the client and translates one protocol's form into a GrantRequest; it returns that with the
members that the protocol adds to the answer. `app.py` lists the doors; a protocol that is no form has a route of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access import possession
from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import TOKEN_REQUEST
from proeftuin.audit.redaction import token_request
from proeftuin.parties import Party
from proeftuin.reasons import UNSUPPORTED_GRANT_TYPE, Refused
from proeftuin.tokens.access_token import AccessToken, Confirmation
from services.authorization import authentication
from services.authorization.clients import Clients
from services.authorization.details import Details
from services.authorization.grants import GrantRequest
from services.authorization.issuer import Issuer

FORM = authentication.CLIENT | {
    "scope": "with a space between two", "resource": "the audience of the token (RFC 8707), as addressing lists it",
    "authorization_details": "RFC 9396, a JSON list: services/authorization/README.md",
    "id_token": "client_credentials: the identity statement of the person who acts",
    "code": "authorization_code", "redirect_uri": "authorization_code", "code_verifier": "authorization_code: RFC 7636",
    "subject_token": "token-exchange", "subject_token_type": "token-exchange", "requested_token_type": "token-exchange",
    "audience": "token-exchange: another name of resource", "actor_token": "refused: the actor is who authenticates",
    "assertion": "vp_token-bearer, jwt-bearer: the presentations", "presentation_submission": "vp_token-bearer",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A form at the token endpoint of `issuer`, and what its sender proved to have: a key, or else the certificate."""

    issuer: Issuer
    admission: Admission
    form: dict[str, str]
    confirmation: Confirmation
    clients: Clients

    async def client(self) -> Party:
        """Return the authenticated client; raises Refused."""
        return await authentication.client_of(self.admission, self.issuer, self.clients, self.form)


Door = Callable[[Asked], Awaitable[tuple[GrantRequest, Mapping[str, Any]]]]


def router(issuers: dict[str, Issuer], doors: Mapping[str, Door], clients: Clients) -> APIRouter:
    """Return the route that gives tokens, one door for each grant_type."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/token")
    @require(
        event=TOKEN_REQUEST, form={"grant_type": f"one of {', '.join(doors)}"} | FORM, required=("grant_type",), max_body=65536
    )
    async def token(admission: Admitted, party: str) -> Response:
        """Give a token, or say which check failed and what to change."""
        issuer = issuers[party]
        form = await admission.form()
        admission.record.query = token_request(admission.request.url.path, form)
        door = doors.get(form["grant_type"])
        if door is None:
            raise Refused(UNSUPPORTED_GRANT_TYPE, f"grant_type {form['grant_type'][:60]!r} is not offered")
        confirmation = await proven(admission)
        request, added = await door(Asked(issuer, admission, form, confirmation, clients))
        given = await issuer.grant(admission, request)
        return answer(issuer, given, added)

    return routes


async def proven(admission: Admission) -> Confirmation:
    """Return what a token is to be bound to: the key of the request's DPoP proof (RFC 9449 §5), else the certificate.

    Raises Refused: DPOP_PROOF, DPOP_NONCE or DPOP_REPLAYED.
    """
    tenant = admission.tenant
    if possession.HEADER not in admission.request.headers:
        return Confirmation("x5t#S256", admission.peer.thumbprint)
    proof = possession.proof_of(admission.request, admission.base_url, tenant)
    await possession.serve_proof(tenant, proof)
    return Confirmation("jkt", proof.key)


def answer(issuer: Issuer, given: AccessToken, added: Mapping[str, Any]) -> Response:
    """Return the answer of RFC 6749 §5.1 with what was granted of the details, and what the protocol adds."""
    now = int(issuer.tenant.clock.now().timestamp())
    content: dict[str, Any] = {
        "access_token": given.raw,
        "token_type": given.grant.confirmation.scheme,
        "expires_in": given.expires_at - now,
        "scope": " ".join(sorted(given.grant.scopes)),
        **added,
    }
    if granted := Details(given.grant.patient, given.grant.purpose).as_json():
        content["authorization_details"] = granted  # RFC 9396 §7
    headers = {"Cache-Control": "no-store"}
    if given.grant.confirmation.scheme == "DPoP":
        headers[possession.NONCE_HEADER] = issuer.tenant.nonces.new(issuer.tenant.clock.real())
    return json_response(content, headers=headers)
