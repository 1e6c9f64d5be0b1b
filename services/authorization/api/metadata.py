"""Authorization server metadata (RFC 8414) and public keys (RFC 7517)."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from services.authorization.issuer import DETAILS_TYPE, Issuer


def router(issuers: dict[str, Issuer]) -> APIRouter:
    """Return the routes by which a client finds out how to ask."""
    routes = guarded(oauth)

    @routes.get("/.well-known/oauth-authorization-server/oauth2/{party}")
    @require()
    async def metadata(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Metadata of the party's issuer."""
        issuer = issuers[party]
        content = {
            "issuer": issuer.url,
            "token_endpoint": f"{issuer.url}/token",
            "jwks_uri": f"{issuer.url}/jwks",
            "introspection_endpoint": f"{issuer.url}/introspect",
            "revocation_endpoint": f"{issuer.url}/revoke",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": sorted(issuer.policies.scopes),
            "token_endpoint_auth_methods_supported": ["tls_client_auth"],
            "introspection_endpoint_auth_methods_supported": ["tls_client_auth"],
            "revocation_endpoint_auth_methods_supported": ["tls_client_auth"],
            "tls_client_certificate_bound_access_tokens": True,
            "authorization_details_types_supported": [DETAILS_TYPE],
        }
        return json_response(content, headers={"Cache-Control": "max-age=300"})

    @routes.get("/oauth2/{party}/jwks")
    @require()
    async def jwks(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Public keys of the party's issuer, the signing key first."""
        return json_response(issuers[party].keys.jwks(), headers={"Cache-Control": "max-age=300"})

    return routes
