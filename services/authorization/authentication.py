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
CLIENT = {
    "client_id": "of the certificate, such as ura:90000101; may be left out beside client_assertion",
    "client_assertion_type": ASSERTION_TYPE, "client_assertion": "a JWT of the client's own (RFC 7523), or its presentation",
}  # fmt: skip
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
            raise _wrong(f"it comes with client_assertion_type {ASSERTION_TYPE}")
        if assertion is None:
            raise _wrong("it is missing beside client_assertion_type")
        await _check_assertion(assertion, client, issuer, clients)
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
    """Check a client assertion (RFC 7523 §3), and say what to change; its times count from the real clock, as its maker's do."""
    now = issuer.tenant.clock.real()
    claims = _verified(raw, client, clients)
    for name in ("iss", "sub"):
        if claims.get(name) != client.client_id:
            raise _wrong(f"{name} is not the client_id, {client.client_id}")
    expires = _check_times(claims, now.timestamp())
    named = claims.get("aud") if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    if not {issuer.url, f"{issuer.url}/token", f"{issuer.url}/par"} & {each for each in named or () if isinstance(each, str)}:
        raise _wrong(f"aud is not {issuer.url}, nor the endpoint of it that is asked")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise _wrong("jti is missing, or no text of 1 to 256 characters")
    until = datetime.fromtimestamp(expires + SKEW, UTC)
    await serve_once(issuer.tenant, "client_assertion", f"{client.client_id} {jti}", until, now, CLIENT_ASSERTION_REPLAYED)


def _verified(raw: str, client: Party, clients: Clients) -> dict[str, Any]:
    """Return the claims of an assertion that a registered key of the client signed."""
    if len(raw) > MAX_LENGTH:
        raise _wrong(f"it is longer than {MAX_LENGTH} characters")
    try:
        header = jwt.get_unverified_header(raw)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _wrong("it is no JWT: header.claims.signature, each base64url, with a kid that is text") from error
    kid = header.get("kid")
    if kid is None:
        raise _wrong("the header has no kid: the kid of the key in your registered JWKS that signed it")
    try:
        key = clients.key(client, kid)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
        raise _wrong("the registered key with this kid cannot be used: register it anew (proeftuin client register)") from error
    if key is None:
        raise _wrong(f"{client.client_id} registered no key with this kid (proeftuin client register)")
    if key.algorithm_name not in ALGORITHMS:
        raise _wrong(f"the registered key with this kid is not for one of {' '.join(ALGORITHMS)}")
    if header.get("alg") != key.algorithm_name:
        raise _wrong(f"alg is not {key.algorithm_name}, the algorithm of the registered key")
    try:
        return jwt.decode(raw, key.key, algorithms=[key.algorithm_name], options=_SIGNATURE_ONLY)
    except jwt.InvalidSignatureError as error:
        raise _wrong("the signature is not of the registered key with this kid") from error
    except (jwt.PyJWTError, TypeError, ValueError, RecursionError) as error:
        raise _wrong("the claims are no JSON object") from error


def _check_times(claims: dict[str, Any], moment: float) -> float:
    """Return `exp`; raises Refused unless the assertion holds now, and for no longer than LONGEST."""
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if claims.get(name) is not None}
    for name, value in times.items():
        if type(value) not in (int, float) or not abs(value) < 1 << 62:
            raise _wrong(f"{name} is no number of seconds since 1970")
    if "exp" not in times:
        raise _wrong("exp is missing")
    expires = float(times["exp"])
    if not moment < expires + SKEW:
        raise _wrong(f"exp was {moment - expires:.0f} seconds ago by the clock of this server")
    if not expires <= moment + LONGEST + SKEW:
        raise _wrong(f"exp is more than {LONGEST} seconds ahead")
    for name in ("nbf", "iat"):
        if not times.get(name, 0) - SKEW <= moment:
            raise _wrong(f"{name} is {times[name] - moment:.0f} seconds ahead of the clock of this server")
    return expires


def _wrong(what: str) -> Refused:
    return Refused(CLIENT_ASSERTION, f"client_assertion: {what}")
