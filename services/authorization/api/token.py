"""The token endpoint: client credentials over mTLS (RFC 6749 §4.4, RFC 8705 §2.1), bounded by authorization_details (RFC 9396)."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import TOKEN_REQUEST
from proeftuin.audit.redaction import token_request
from proeftuin.parties import Party
from proeftuin.reasons import INVALID_REQUEST, UNKNOWN_CLIENT, UNSUPPORTED_GRANT_TYPE, Refused
from services.authorization.issuer import Issuer

FORM = ("application/x-www-form-urlencoded",)


def router(issuers: dict[str, Issuer]) -> APIRouter:
    """Return the route that gives tokens."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/token")
    @require(event=TOKEN_REQUEST, media_types=FORM, max_body=32768)
    async def token(admission: Admitted, party: str) -> Response:
        """Give a token, or say which check failed and what to change."""
        issuer = issuers[party]
        form = await admission.form()
        admission.record.query = token_request(admission.request.url.path, form)
        if "grant_type" not in form:
            raise Refused(INVALID_REQUEST, "the form has no grant_type")
        if form["grant_type"] != "client_credentials":
            raise Refused(UNSUPPORTED_GRANT_TYPE, f"grant_type {form['grant_type'][:60]!r} is not offered")
        given = await issuer.grant(admission, client_of(admission, issuer, form.get("client_id")), form)
        content = {
            "access_token": given.raw,
            "token_type": "Bearer",
            "expires_in": given.grant.lifetime,
            "scope": " ".join(sorted(given.grant.scopes)),
        }
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes


def client_of(admission: Admission, issuer: Issuer, claimed: str | None) -> Party:
    """Return the party that the certificate names; raises Refused unless `claimed` is its client_id and the network knows it."""
    actual = admission.peer.client_id
    if claimed != actual:
        raise Refused(UNKNOWN_CLIENT, f"client_id is {(claimed or 'absent')[:60]!r}, the certificate is of {actual}")
    client = issuer.known_clients.get(actual)
    if client is None:
        raise Refused(UNKNOWN_CLIENT, f"{actual} is no party of this network")
    return client
