"""Authorization server metadata (RFC 8414, OpenID Connect Discovery 1.0) and public keys (RFC 7517), which the party can rotate."""

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import KEY_ROTATION
from proeftuin.tokens import dpop
from proeftuin.tokens.keys import ALGORITHM
from services.authorization import details
from services.authorization.api import authorization_code, jwt_bearer, vp_token
from services.authorization.authentication import METHODS
from services.authorization.clients import ALGORITHMS
from services.authorization.issuer import Issuer

CACHED = {"Cache-Control": "max-age=300"}


def router(issuers: dict[str, Issuer], grant_types: Iterable[str]) -> APIRouter:
    """Return the routes by which a client finds out how to ask; `grant_types` are those of the token endpoint's doors."""
    routes = guarded(oauth)
    offered = sorted(grant_types)

    @routes.get("/.well-known/oauth-authorization-server/oauth2/{party}")
    @require()
    async def metadata(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Metadata of the party's issuer."""
        return json_response(document(issuers[party], offered), headers=CACHED)

    @routes.get("/oauth2/{party}/.well-known/oauth-authorization-server")
    @require()
    async def appended(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """The same, where a client looks that puts the well-known part after the issuer."""
        return json_response(document(issuers[party], offered), headers=CACHED)

    @routes.get("/oauth2/{party}/.well-known/openid-configuration")
    @require()
    async def configuration(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """The same, where OpenID Connect looks for it."""
        return json_response(document(issuers[party], offered), headers=CACHED)

    @routes.get("/oauth2/{party}/jwks")
    @require()
    async def jwks(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Public keys of the party's issuer, the signing key first."""
        return json_response(issuers[party].keys.jwks(), headers=CACHED)

    @routes.post("/oauth2/{party}/keys")
    @require(own_party=True, event=KEY_ROTATION)
    async def rotate(admission: Admitted, party: str) -> Response:
        """Sign with a new key from now on; the old one verifies for as long as something that it signed can live."""
        kid = issuers[party].keys.rotate()
        admission.record.details["kid"] = kid
        return json_response({"kid": kid}, 201)

    return routes


def document(issuer: Issuer, grant_types: list[str]) -> dict[str, object]:
    """Return the metadata; what has to do with a browser stands there only of issuers at which persons log in."""
    url = issuer.url
    content: dict[str, object] = {
        "issuer": url,
        "token_endpoint": f"{url}/token",
        "jwks_uri": f"{url}/jwks",
        "introspection_endpoint": f"{url}/introspect",
        "revocation_endpoint": f"{url}/revoke",
        "grant_types_supported": [each for each in grant_types if _offers(issuer, each)],
        "response_types_supported": ["code"] if issuer.logs_in else [],
        "scopes_supported": sorted(issuer.policies.scopes),
        "tls_client_certificate_bound_access_tokens": True,
        "mtls_endpoint_aliases": {
            name: f"{url}/{path}"
            for name, path in (
                ("token_endpoint", "token"),
                ("introspection_endpoint", "introspect"),
                ("revocation_endpoint", "revoke"),
            )
        },
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "authorization_details_types_supported": [details.TYPE],
    }
    for endpoint, methods in (("token", METHODS), ("introspection", METHODS[:1]), ("revocation", METHODS[:1])):
        content[f"{endpoint}_endpoint_auth_methods_supported"] = methods
    content["token_endpoint_auth_signing_alg_values_supported"] = list(ALGORITHMS)
    if issuer.own_resource:
        content |= vp_token.metadata(issuer)
    if issuer.logs_in:
        content |= {
            "authorization_endpoint": f"{url}/authorize",
            "pushed_authorization_request_endpoint": f"{url}/par",
            "userinfo_endpoint": f"{url}/userinfo",
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "claims_supported": authorization_code.CLAIMS,
            "prompt_values_supported": ["login"],
        }
    return content


def _offers(issuer: Issuer, grant_type: str) -> bool:
    """Persons log in at some issuers; at those of a source organisations present credentials."""
    if grant_type == authorization_code.GRANT_TYPE:
        return issuer.logs_in is not None
    return issuer.own_resource is not None or grant_type not in (vp_token.GRANT_TYPE, jwt_bearer.GRANT_TYPE)
