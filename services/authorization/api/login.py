"""The test login of the sandbox: it stands where Dezi (professionals) and DigiD (clients) stand, and asks no password.

The certificate of the organisation is the proof: a care provider gets statements on its own professionals, a portal on clients.
"""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import LOGIN
from proeftuin.parties import Seed
from proeftuin.reasons import INVALID_REQUEST, Refused
from proeftuin.settings import Network
from proeftuin.tokens import identity
from services.authorization import people
from services.authorization.authentication import party_of
from services.authorization.issuer import Issuer

ASKED = {
    "client_id": "of the certificate, such as ura:90000101; required", "professional": "UZI number, at the issuer of professionals",
    "client": "BSN, at the issuer of clients",
}  # fmt: skip


def router(issuers: dict[str, Issuer], seed: Seed, network: Network) -> APIRouter:
    """Return the route that states who a person is, at the issuers that are identity providers."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/login")
    @require(event=LOGIN, form=ASKED, max_body=4096)
    async def login(admission: Admitted, party: str) -> Response:
        """State who the person is; answers `{"id_token", "expires_in"}`."""
        issuer = issuers[party]
        form = await admission.form()
        caller = party_of(admission, issuer, form.get("client_id"))
        if issuer.logs_in is None or issuer.logs_in not in form:
            raise Refused(
                INVALID_REQUEST,
                f"send 'professional' to {network.identity_professionals}/login or 'client' to {network.identity_clients}/login",
            )
        person = admission.record.person = people.person(seed, issuer.logs_in, caller, form[issuer.logs_in])
        statement = identity.state(issuer.keys, issuer.url, caller, people.stated(seed, person, caller), issuer.tenant.clock)
        content = {"id_token": statement, "expires_in": identity.LIFETIME}
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes
