"""The DID document (GFI-001) and the status lists (GFI-003): what everybody in the network may read."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.credentials.dids import MEDIA_TYPE
from proeftuin.credentials.status import VALIDITY
from proeftuin.reasons import NOT_FOUND, Refused
from proeftuin.transport.tracing import Trace
from services.wallet.wallet import Wallet


def bare(refused: Refused, trace: Trace) -> Response:
    """Render as problem+json, but for a document that is not there: GFI-001 prescribes an empty body then."""
    if refused.reason is NOT_FOUND:
        return Response(status_code=404, headers={"X-Reason": NOT_FOUND.code})
    return problem(refused, trace)


def router(wallets: dict[str, Wallet]) -> APIRouter:
    """Return the routes that publish."""
    routes = guarded(bare)

    @routes.get("/iam/{party}/did.json")
    @require()
    async def document(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """The DID document of the party."""
        return json_response(wallets[party].document, media_type=MEDIA_TYPE, headers={"Cache-Control": "max-age=60"})

    @routes.get("/iam/{party}/status/{dialect}/{page}")
    @require()
    async def status_list(admission: Admitted, party: str, dialect: str, page: str) -> Response:
        """A page of the status list as credential (JWT), `dialect` bitstring or 2021; 304 when it is the one of If-None-Match."""
        if dialect not in ("bitstring", "2021") or not (page.isascii() and page.isdigit() and len(page) < 6):
            raise Refused(NOT_FOUND, "a status list is bitstring or 2021, with the number of a page")
        raw, etag = await wallets[party].status_list("2021" if dialect == "2021" else "bitstring", int(page))
        headers = {"ETag": etag, "Cache-Control": f"no-cache, max-age={int(VALIDITY.total_seconds())}"}
        if admission.request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(raw, media_type="application/vc+jwt", headers=headers)

    return routes
