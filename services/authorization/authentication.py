"""Who asks: the certificate of the connection (RFC 8705 §2.1), and a signed assertion where the client sends one (RFC 7523)."""

from datetime import UTC, datetime
from typing import Any

import jwt

from proeftuin.access.admission import Admission
from proeftuin.access.possession import serve_once
from proeftuin.parties import Party
from proeftuin.reasons import CLIENT_ASSERTION, CLIENT_ASSERTION_REPLAYED, UNKNOWN_CLIENT, Refused
from services.authorization.clients import ALGORITHMS, Clients
from services.authorization.issuer import Issuer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHODS = ["tls_client_auth", "private_key_jwt"]
LONGEST, SKEW = 60, 5  # seconds
MAX_LENGTH = 8192
_SIGNATURE_ONLY: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_sub": False,
                        "verify_jti": False}  # fmt: skip


async def client_of(admission: Admission, issuer: Issuer, clients: Clients, form: dict[str, str]) -> Party:
    """Return the party that the certificate names, when it says so itself in `client_id`, or proves it in `client_assertion`.

    Raises Refused: UNKNOWN_CLIENT, CLIENT_ASSERTION or CLIENT_ASSERTION_REPLAYED.
    """
    assertion = form.get("client_assertion")
    client = party_of(admission, issuer, form.get("client_id") or (admission.peer.client_id if assertion is not None else None))
    if assertion is not None or "client_assertion_type" in form:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Refused(CLIENT_ASSERTION, f"client_assertion comes with client_assertion_type {ASSERTION_TYPE}")
        await _check_assertion(assertion or "", client, issuer, clients)
    return client


def party_of(admission: Admission, issuer: Issuer, claimed: str | None) -> Party:
    """Return the party that the certificate names; raises Refused unless `claimed` is its client_id and the network knows it."""
    actual = admission.peer.client_id
    if claimed != actual:
        raise Refused(UNKNOWN_CLIENT, f"client_id is {(claimed or 'absent')[:60]!r}, the certificate is of {actual}")
    client = issuer.known_clients.get(actual)
    if client is None:
        raise Refused(UNKNOWN_CLIENT, f"{actual} is no party of this network")
    return client


async def _check_assertion(raw: str, client: Party, issuer: Issuer, clients: Clients) -> None:
    """Check a client assertion (RFC 7523 §3); its times count from the real clock, on which its maker is too."""
    now = issuer.tenant.clock.real()
    try:
        if len(raw) > MAX_LENGTH:
            raise Refused(CLIENT_ASSERTION, f"the assertion is longer than {MAX_LENGTH} characters")
        header = jwt.get_unverified_header(raw)
        key = clients.key(client, header.get("kid"))
        if key is None:
            raise Refused(CLIENT_ASSERTION, f"{client.client_id} registered no key with the assertion's kid")
        if key.algorithm_name not in ALGORITHMS:
            raise Refused(CLIENT_ASSERTION, f"the registered key is not for one of {' '.join(ALGORITHMS)}")
        claims: dict[str, Any] = jwt.decode(raw, key.key, algorithms=[key.algorithm_name], options=_SIGNATURE_ONLY)
        named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        expires, jti = float(claims["exp"]), claims["jti"]
        begins = max(float(claims.get("nbf", 0)), float(claims.get("iat", 0)))
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Refused(CLIENT_ASSERTION, "the assertion is no JWT with the claims of RFC 7523 §3, or its signature fails") from error
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise Refused(CLIENT_ASSERTION, "iss and sub must both be the client_id")
    if not {issuer.url, f"{issuer.url}/token", f"{issuer.url}/par"} & {each for each in named if isinstance(each, str)}:
        raise Refused(CLIENT_ASSERTION, f"aud must be {issuer.url}, or the endpoint of it that is asked")
    moment = now.timestamp()
    if not (begins - SKEW <= moment < expires + SKEW) or not expires <= moment + LONGEST + SKEW:
        raise Refused(CLIENT_ASSERTION, f"the assertion is not valid now, or for longer than {LONGEST} seconds")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise Refused(CLIENT_ASSERTION, "jti must be a text of 1 to 256 characters")
    until = datetime.fromtimestamp(expires + SKEW, UTC)
    await serve_once(issuer.tenant, "client_assertion", f"{client.client_id} {jti}", until, now, CLIENT_ASSERTION_REPLAYED)
