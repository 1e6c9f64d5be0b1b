"""Proof of possession at a door: reads the DPoP header of a request, and lets each proof serve once (RFC 9449 §4.3, §11.1)."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from starlette.requests import Request

from proeftuin.reasons import DPOP_NONCE, DPOP_PROOF, DPOP_REPLAYED, Reason, Refused
from proeftuin.storage import replay
from proeftuin.tenant import Tenant
from proeftuin.tokens import dpop

HEADER, NONCE_HEADER = "DPoP", "DPoP-Nonce"


def proof_of(request: Request, base_url: str, tenant: Tenant, access_token: str | None = None) -> dpop.Proof:
    """Return the proof in the request's one DPoP header, at a resource for this `access_token`.

    `base_url` is this service's own address: what the caller says in the Host header is no evidence of where it is.
    Raises Refused, with a nonce to use where one is needed.
    """
    now = tenant.clock.real()
    try:
        headers = request.headers.getlist(HEADER)
        if len(headers) != 1:
            raise Refused(DPOP_PROOF, "there is not exactly one DPoP header")
        url = base_url + request.url.path
        return dpop.verify(headers[0], method=request.method, url=url, nonces=tenant.nonces, now=now, access_token=access_token)
    except Refused as refused:
        if refused.reason is DPOP_NONCE:
            refused.headers[NONCE_HEADER] = tenant.nonces.new(now)
        raise


async def serve_proof(tenant: Tenant, proof: dpop.Proof) -> None:
    """Let the proof serve, once; raises Refused(DPOP_REPLAYED)."""
    now = tenant.clock.real()
    await serve_once(tenant, "dpop", f"{proof.key} {proof.jti}", now + timedelta(seconds=dpop.KEPT), now, DPOP_REPLAYED)


def challenge(refused: Refused) -> None:
    """Make the refusal of a token or its proof that of a resource: 401, with the challenge of the DPoP scheme (RFC 9449 §7.1)."""
    if refused.reason.oauth in ("invalid_token", "invalid_dpop_proof", "use_dpop_nonce"):
        refused.status = 401
        refused.headers["WWW-Authenticate"] = f'DPoP error="{refused.reason.oauth}", algs="{" ".join(dpop.ALGORITHMS)}"'


async def serve_once(tenant: Tenant, kind: str, value: str, forgotten: datetime, now: datetime, reason: Reason) -> None:
    """Let `value` serve for the first time; raises Refused(`reason`) at every later one, whichever process it reaches."""
    try:
        await tenant.database.write(replay.serve, kind, value, forgotten, now)
    except sa.exc.IntegrityError as error:
        raise Refused(reason, "this one has served before") from error
