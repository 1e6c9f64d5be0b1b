"""The doors by which a wallet fetches what it was offered: OpenID4VCI 1.0 (final), metadata, offer, token, nonce and credential."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import ISSUANCE, TOKEN_REQUEST
from proeftuin.audit.redaction import token_request
from proeftuin.credentials.openid4vci import GRANT_TYPE, ISSUER_METADATA, SERVER_METADATA
from proeftuin.reasons import CREDENTIAL_REQUEST, Refused
from proeftuin.transport.tracing import Trace
from services.wallet.issuance import Issuance
from services.wallet.issuing import Issuer

_NO_STORE = {"Cache-Control": "no-store"}
_KEPT = {"Cache-Control": "max-age=60"}


def credential_error(refused: Refused, trace: Trace) -> Response:
    """Render as §8.3.1.2: what is wrong with the body has a code of its own there."""
    if refused.oauth == "invalid_request":
        refused.oauth = CREDENTIAL_REQUEST.oauth
    return oauth(refused, trace)


_ASKED = {
    "grant_type": GRANT_TYPE, "client_id": "of the certificate, such as ura:90000101", "pre-authorized_code": "of the offer",
    "tx_code": "the transaction code, where the offer has one",
}  # fmt: skip


def routers(issuers: dict[str, Issuer], rules: Issuance) -> list[APIRouter]:
    """Return the routes of the credential issuers; `rules` name the credentials, each of which is a scope."""
    routes, credentials = guarded(oauth), guarded(credential_error)

    @routes.get(f"/.well-known/{ISSUER_METADATA}/iam/{{party}}")
    @require()
    async def metadata(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Credential issuer metadata (§12.2.4) of the party whose identifier ends in this path."""
        return json_response(issuers[party].metadata(), headers=_KEPT)

    @routes.get(f"/.well-known/{SERVER_METADATA}/iam/{{party}}")
    @require()
    async def server(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """Authorization server metadata (RFC 8414) of the same identifier."""
        return json_response(issuers[party].server_metadata(), headers=_KEPT)

    @routes.get("/iam/{party}/offers/{offer_id}")
    @require()
    async def offered(admission: Admitted, party: str, offer_id: str) -> Response:
        """The credential offer (§4.1.3), for the party that it is for."""
        return json_response(await issuers[party].offered(admission, offer_id), headers=_NO_STORE)

    @routes.post("/iam/{party}/token")
    @require(event=TOKEN_REQUEST, form=_ASKED, max_body=65536)
    async def token(admission: Admitted, party: str) -> Response:
        """A token for a pre-authorized code (§6.1), and the transaction code where the offer has one."""
        form = await admission.form()
        admission.record.query = token_request(admission.request.url.path, form)
        return json_response(await issuers[party].token(admission, form), headers=_NO_STORE)

    @routes.post("/iam/{party}/nonce")
    @require()
    async def nonce(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """A nonce for one key proof (§7)."""
        return json_response({"c_nonce": issuers[party].nonce()}, headers=_NO_STORE)

    @credentials.post("/iam/{party}/credential")
    @require(*rules.offered(), event=ISSUANCE, media_types=("application/json",), max_body=65536)
    async def credential(admission: Admitted, party: str) -> Response:
        """A credential of the offer, for a proof of the key of its DID (§8.2)."""
        return json_response(await issuers[party].credential(admission, await admission.json_object()), headers=_NO_STORE)

    return [routes, credentials]
