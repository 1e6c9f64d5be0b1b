"""The door of Nuts RFC021: `vp_token-bearer`, one or more presentations of one holder, answering a presentation definition."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.credentials import jose, presentation
from proeftuin.credentials.dids import AUTHORIZATION_SERVER, Resolver
from proeftuin.credentials.exchange import submission
from proeftuin.credentials.verifier import Evidence, Verifier
from proeftuin.parties import Party
from proeftuin.reasons import INVALID_REQUEST, UNKNOWN_CLIENT, Refused
from services.authorization import presented
from services.authorization.api.token import Asked, Door
from services.authorization.grants import GrantRequest
from services.authorization.issuer import Issuer
from services.authorization.profiles import ORGANIZATION, Profiles

GRANT_TYPE = "vp_token-bearer"
DID_METHODS = ["web", "jwk", "key", "x509"]
_ASKED = {"scope": "the scope of a profile; required", "wallet_owner_type": "organization (absent) or service_provider"}
_FORMATS = {
    "jwt_vp_json": {"alg_values_supported": list(jose.ALGORITHMS)},
    "jwt_vc_json": {"alg_values_supported": list(jose.ALGORITHMS)},
}


def router(issuers: dict[str, Issuer], profiles: dict[str, Profiles]) -> APIRouter:
    """Return the routes by which a wallet finds out what to present."""
    routes = guarded(oauth)

    @routes.get("/oauth2/{party}/presentation_definition")
    @require(query=_ASKED)
    async def presentation_definition(admission: Admitted, party: str) -> Response:
        """What is to be presented for a scope."""
        asked = admission.query()
        if "scope" not in asked:
            raise Refused(INVALID_REQUEST, "missing required parameters")
        found = profiles[party].definition(asked["scope"], asked.get("wallet_owner_type", ORGANIZATION))
        return json_response(found.raw, headers={"Cache-Control": "max-age=60"})

    @routes.get("/oauth2/{party}/oauth-client")
    @require()
    async def client_metadata(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Metadata of the party as a client (RFC 8414, Nuts RFC021 §3.1)."""
        content = {
            "client_id": issuers[party].url, "token_endpoint_auth_method": "tls_client_auth", "grant_types": [GRANT_TYPE],
            "response_types": [], "client_id_scheme": "entity_id", "vp_formats": _FORMATS,
        }  # fmt: skip
        return json_response(content, headers={"Cache-Control": "max-age=300"})

    return routes


def metadata(issuer: Issuer) -> dict[str, Any]:
    """Return what the metadata of an authorization server adds for presentations (RFC 8414, Nuts RFC021 §3.1)."""
    return {
        "presentation_definition_endpoint": f"{issuer.url}/presentation_definition",
        "presentation_definition_uri_supported": True,
        "client_id_schemes_supported": ["entity_id"],
        "did_methods_supported": DID_METHODS,
        "vp_formats": _FORMATS,
        "vp_formats_supported": _FORMATS,
    }


def door(profiles: dict[str, Profiles], verifiers: dict[str, Verifier], resolvers: dict[str, Resolver]) -> Door:
    """Return the door, with what each party's issuer asks for and how it verifies."""

    async def read(asked: Asked) -> tuple[GrantRequest, Mapping[str, Any]]:
        """Check what is presented, in RFC021's order, and translate it; raises Refused with the first check that fails."""
        issuer, party = asked.issuer, asked.issuer.tenant.party.id
        names = ("assertion", "presentation_submission", "scope", "client_id")
        assertion, raw_submission, scope, client_id = presented.required(asked.form, *names)
        vps = presented.read_all(assertion)
        submitted = submission.read(raw_submission)
        presented.check_cheap(vps, issuer, presentation.MAX_VALIDITY)
        profile, others = profiles[party].select(scope)
        matched = submission.check(profile.definitions[ORGANIZATION], submitted, vps)
        for vp in vps:
            await presented.serve(issuer, vp, presentation.check_nonce(vp))
        found = Evidence()
        for vp in vps:
            found += await verifiers[party].verify(vp)
        client = presented.organization(asked, matched.fields)
        presented.check_connection(asked, client)
        await _check_client_id(client_id, client, vps[0].holder, resolvers[party])
        wanted = presented.wanted_of(asked, profile, matched.fields)
        request = GrantRequest(
            door=GRANT_TYPE,
            client=client,
            confirmation=asked.confirmation,
            scopes=presented.granted_scopes(asked, profile, others, client, matched.fields),
            resource=presented.resource_of(asked),
            patient=wanted.patient,
            purpose=wanted.purpose,
            lifetime=wanted.lifetime,
            not_before=wanted.not_before,
            until=found.expires,
            id_token=found.statement,
            stands_on=presented.grounds(found),
            claims=matched.fields,
            evidence=presented.shown(vps, profile, submitted),
        )
        return request, {}

    return read


async def _check_client_id(claimed: str, client: Party, holder: str, resolver: Resolver) -> None:
    """Raise Refused unless `claimed` is the party's client_id here, or the issuer identifier that its DID document names."""
    if claimed == client.client_id:
        return
    services = (await resolver.document(holder)).services if holder.startswith("did:web:") else {}
    if services.get(AUTHORIZATION_SERVER) != claimed:
        detail = f"client_id is {client.client_id}, or the {AUTHORIZATION_SERVER} of the holder's DID document"
        raise Refused(UNKNOWN_CLIENT, detail, status=400)
