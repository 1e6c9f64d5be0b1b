"""The holder: a party loads, lists, removes and presents the credentials that were issued to it."""

import json

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import HOLDING, PRESENTATION
from proeftuin.reasons import MALFORMED, Refused
from services.wallet import accepting, presenting, store
from services.wallet.wallet import Wallet

JSON = ("application/json",)


def router(wallets: dict[str, Wallet]) -> APIRouter:
    """Return the routes of the holder."""
    routes = guarded(problem)

    @routes.post("/iam/{party}/holder/vc")
    @require(own_party=True, event=HOLDING, media_types=JSON, max_body=65536)
    async def hold(admission: Admitted, party: str) -> Response:
        """Load a credential, a JWT as JSON string; it is verified first."""
        try:
            raw = json.loads(await admission.body())
        except (ValueError, RecursionError) as error:
            raise Refused(MALFORMED, "the body is not JSON") from error
        if not isinstance(raw, str):
            raise Refused(MALFORMED, "the body is a JSON string with the JWT; self-attested credentials are given when presenting")
        await wallets[party].hold(admission, raw)
        return Response(status_code=204)

    @routes.post("/iam/{party}/holder/offers")
    @require(own_party=True, event=HOLDING, media_types=JSON, max_body=65536)
    async def accept(admission: Admitted, party: str) -> Response:
        """Accept a credential offer (see `accepting.accept`); answers what was received, verified and loaded."""
        found = await accepting.accept(admission, wallets[party], await admission.json_object())
        return json_response([{"id": each.id, "type": each.type, "issuer": each.issuer} for each in found], 201)

    @routes.get("/iam/{party}/holder/vc")
    @require(own_party=True)
    async def held(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """What is held and not expired, newest first."""
        found = await wallets[party].held()
        return json_response([{"id": each.id, "type": each.type, "issuer": each.issuer, "raw": raw} for each, raw in found])

    @routes.delete("/iam/{party}/holder/vc/{credential_id}")
    @require(own_party=True, event=HOLDING)
    async def drop(admission: Admitted, party: str, credential_id: str) -> Response:  # noqa: ARG001 - the path chose the tenant
        """Remove the credential whose id ends with this (what stands after the `#`)."""
        admission.record.details["credential"] = credential_id
        await admission.write(store.drop, credential_id)
        return Response(status_code=204)

    @routes.post("/iam/{party}/holder/vp")
    @require(own_party=True, event=PRESENTATION, media_types=JSON, max_body=262144)
    async def present(admission: Admitted, party: str) -> Response:
        """Make a presentation for one audience (see `presenting.present`); what does not match is explained."""
        answer = await presenting.present(admission, wallets[party], await admission.json_object())
        return json_response(answer, headers={"Cache-Control": "no-store"})

    return routes
