"""The enforcement point: certificate, token, binding, scope, subject, checked in this order, deny by default."""

import re
from collections.abc import Mapping
from datetime import datetime

from starlette.requests import Request

from proeftuin.access import possession
from proeftuin.access.requirement import Requirement
from proeftuin.identifiers import BSN_SYSTEM, is_bsn
from proeftuin.pki.identity import Peer
from proeftuin.reasons import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_INVALID,
    CERTIFICATE_REVOKED,
    CRL_EXPIRED,
    IDENTIFIER_IN_URL,
    INSUFFICIENT_SCOPE,
    NOT_FOUND,
    PARTY_MISMATCH,
    SUBJECT_MISSING,
    TOKEN_MALFORMED,
    TOKEN_MISSING,
    Refused,
)
from proeftuin.tenant import Tenant
from proeftuin.tokens.access_token import AccessToken
from proeftuin.transport.trust import Trust


def check_certificate(peer: Peer | None, trust: Trust, now: datetime) -> Peer:
    """Return the caller's identity; raises Refused when the certificate names nobody, or ended since the handshake.

    A connection that is kept open is not looked at by TLS again: expiry, revocation and the age of the list are.
    """
    if peer is None:
        raise Refused(CERTIFICATE_INVALID, "the certificate carries no identity of an organisation")
    if now >= peer.not_after:
        raise Refused(CERTIFICATE_EXPIRED, f"certificate {peer.serial:x} ended at {peer.not_after:%Y-%m-%d %H:%M} UTC")
    revocations = trust.revocations()
    if now >= revocations.next_update:
        raise Refused(CRL_EXPIRED, f"the revocation list ended at {revocations.next_update:%Y-%m-%d %H:%M} UTC")
    if revocations.include(peer.certificate_id):
        raise Refused(CERTIFICATE_REVOKED, f"certificate {peer.serial:x} stands on the revocation list")
    return peer


def check_path(parts: Mapping[str, str]) -> None:
    """Raise Refused when a variable part of the path is a BSN, or no id, type or name: nothing can stand there."""
    if any(map(is_bsn, parts.values())):
        raise Refused(IDENTIFIER_IN_URL, "the path carries a BSN")
    for name, value in parts.items():
        if not re.fullmatch(r"[A-Za-z0-9\-._/]{1,64}", value):
            raise Refused(NOT_FOUND, f"{name}: 1 to 64 letters, digits, '-', '.' or '_'")


def check_party(peer: Peer, requirement: Requirement, client_id: str) -> None:
    """Raise Refused when the route is only for the tenant itself and `peer` is another."""
    if requirement.own_party and peer.client_id != client_id:
        raise Refused(PARTY_MISMATCH, f"this address is for {client_id} alone")


async def check_token(request: Request, peer: Peer, requirement: Requirement, tenant: Tenant) -> AccessToken | None:
    """Return the verified token, or None where the route needs none; raises Refused with the first thing that is wrong."""
    if requirement.scopes is None:
        return None
    authorization = request.headers.get("authorization")
    if not authorization:
        raise Refused(TOKEN_MISSING, "there is no Authorization header", headers={"WWW-Authenticate": "Bearer, DPoP"})
    scheme, _, raw = authorization.partition(" ")
    raw = raw.strip()
    if scheme.lower() not in ("bearer", "dpop"):
        raise Refused(TOKEN_MALFORMED, "the Authorization header is not 'Bearer <token>' or 'DPoP <token>'")
    if scheme.lower() == "bearer":
        token = await tenant.verifier.verify(raw, peer)
    else:
        token = await _proven(request, raw, peer, tenant)
    if token.grant.client_id != peer.client_id:
        raise Refused(PARTY_MISMATCH, f"the token is of {token.grant.client_id}, the certificate of {peer.client_id}")
    return token


async def _proven(request: Request, raw: str, peer: Peer, tenant: Tenant) -> AccessToken:
    """Return the token that was sent with a proof of its key, which serves once (RFC 9449 §7)."""
    try:
        proof = possession.proof_of(request, request.app.state.service.settings.base_url, tenant, raw)
        token = await tenant.verifier.verify(raw, peer, proof.key)
        await possession.serve_proof(tenant, proof)
    except Refused as refused:
        possession.challenge(refused)
        raise
    return token


def check_scope(token: AccessToken, requirement: Requirement) -> None:
    """Raise Refused when a verified token does not open this route: another scope, or no client."""
    wanted = requirement.scopes or frozenset()
    if not wanted & token.grant.scopes:
        raise Refused(INSUFFICIENT_SCOPE, f"this request needs scope {' or '.join(sorted(wanted))}")
    if requirement.patient and token.patient is None:
        raise Refused(SUBJECT_MISSING, "the token names no client (person_id)")


def is_client_self(token: AccessToken) -> bool:
    """Tell whether the token's acting person is the very client whose data it opens."""
    person = token.grant.person
    return person is not None and person.system == BSN_SYSTEM and person.identifier == token.patient
