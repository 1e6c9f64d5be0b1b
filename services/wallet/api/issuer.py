"""The issuer: a party issues, offers, lists and revokes its own credentials (body as the Nuts node's issuer API v2 takes it)."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import CREDENTIAL_REVOCATION, ISSUANCE, OFFER
from services.wallet import store
from services.wallet.issuing import Issuer
from services.wallet.wallet import Wallet

JSON = ("application/json",)


def router(wallets: dict[str, Wallet], issuers: dict[str, Issuer]) -> APIRouter:
    """Return the routes of the issuer."""
    routes = guarded(problem)

    @routes.post("/iam/{party}/issuer/vc")
    @require(own_party=True, event=ISSUANCE, media_types=JSON, max_body=65536)
    async def issue(admission: Admitted, party: str) -> Response:
        """Issue a credential; answers the JWT as a JSON string."""
        return json_response(await wallets[party].issue(admission, await admission.json_object()), 201)

    @routes.post("/iam/{party}/issuer/offers")
    @require(own_party=True, event=OFFER, media_types=JSON, max_body=65536)
    async def offer(admission: Admitted, party: str) -> Response:
        """Offer credentials to a party by OpenID4VCI (see `Issuer.offer`)."""
        answer = await issuers[party].offer(admission, await admission.json_object())
        return json_response(answer, 201, headers={"Cache-Control": "no-store"})

    @routes.get("/iam/{party}/issuer/vc")
    @require(own_party=True, query={"type": "a type of credential", "subject": "a DID"})
    async def issued(admission: Admitted, party: str) -> Response:
        """What was issued, newest first. `revoked_at` tells what was revoked."""
        asked = admission.query()
        rows = await wallets[party].tenant.database.read(store.issued_of, asked.get("type"), asked.get("subject"))
        return json_response([{name: row[name] for name in _SHOWN if row[name] is not None} for row in rows])

    @routes.delete("/iam/{party}/issuer/vc/{credential_id}")
    @require(own_party=True, event=CREDENTIAL_REVOCATION)
    async def revoke(admission: Admitted, party: str, credential_id: str) -> Response:
        """Revoke the credential whose id ends with this (what stands after the `#`)."""
        await wallets[party].revoke(admission, credential_id)
        return Response(status_code=204)

    return routes


_SHOWN = ("id", "type", "subject", "issued_at", "revoked_at", "raw")
