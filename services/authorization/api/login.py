"""The test login of the sandbox: it stands where Dezi (professionals) and DigiD (clients) stand, and asks no password.

The certificate of the organisation is the proof: a care provider gets statements on its own professionals, a portal on clients.
"""

import secrets

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import LOGIN
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.parties import Seed
from proeftuin.reasons import IDENTITY_INVALID, INVALID_REQUEST, PARTY_MISMATCH, Refused
from proeftuin.settings import Network
from proeftuin.tokens import identity
from proeftuin.tokens.access_token import Person
from services.authorization.api.token import FORM, client_of
from services.authorization.issuer import Issuer


def router(issuers: dict[str, Issuer], seed: Seed, network: Network) -> APIRouter:
    """Return the route that states who a person is, at the issuers that are identity providers."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/login")
    @require(event=LOGIN, media_types=FORM, max_body=4096)
    async def login(admission: Admitted, party: str) -> Response:
        """Form: `client_id`, and `professional` (UZI number) or `client` (BSN); answers `{"id_token", "expires_in"}`."""
        issuer = issuers[party]
        form = await admission.form()
        caller = client_of(admission, issuer, form.get("client_id"))
        statement_id = secrets.token_urlsafe(16)
        if "professional" in form and issuer.url == network.identity_professionals:
            professional = seed.professional(form["professional"])
            if professional is None or professional.employer != caller.id:
                raise Refused(PARTY_MISMATCH, f"no professional with this number works at {caller.name}")
            admission.record.person = Person(professional.uzi, UZI_SYSTEM, professional.role, caller.ura)
            statement = identity.state_professional(
                issuer.keys, issuer.url, professional, caller, statement_id, issuer.tenant.clock
            )
        elif "client" in form and issuer.url == network.identity_clients:
            if caller.kind != "portaal":
                raise Refused(PARTY_MISMATCH, "a client logs in through a portal")
            client = seed.client(form["client"])
            if client is None:
                raise Refused(IDENTITY_INVALID, "the sandbox has no client with this number")
            admission.record.person = Person(client.bsn, BSN_SYSTEM)
            statement = identity.state_client(issuer.keys, issuer.url, client, caller, statement_id, issuer.tenant.clock)
        else:
            raise Refused(
                INVALID_REQUEST,
                f"send 'professional' to {network.identity_professionals}/login or 'client' to {network.identity_clients}/login",
            )
        content = {"id_token": statement, "expires_in": identity.LIFETIME}
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes
