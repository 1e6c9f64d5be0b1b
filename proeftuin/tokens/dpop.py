"""Proof of possession of a key (RFC 9449): what a proof must say, the nonces that servers hand out, and how a client makes one."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin.reasons import DPOP_NONCE, DPOP_PROOF, Refused
from proeftuin.tokens.keys import ALGORITHM, public_jwk

MEDIA_TYPE = "dpop+jwt"
ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256")
WINDOW = 60  # seconds by which `iat` may differ where the proof carries no nonce
NONCE_LIFETIME = 300
KEPT = max(NONCE_LIFETIME, 2 * WINDOW)  # seconds after which a proof cannot be fresh any more, so its jti is forgotten
MAX_LENGTH = 4096
_UNVERIFIED_TIME: Any = {"verify_iat": False, "verify_exp": False, "verify_nbf": False, "verify_aud": False, "verify_jti": False,
                         "verify_sub": False, "verify_iss": False}  # fmt: skip
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # members of a JWK that nobody may be shown


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that was verified, except that its `jti` may have served before; `key` is the RFC 7638 thumbprint (`jkt`)."""

    key: str
    jti: str


class Nonces:
    """Nonces that every process with the same `secret` recognises for NONCE_LIFETIME seconds; nothing is stored."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def new(self, now: datetime) -> str:
        """Return a nonce that holds from now on, and that nobody can foresee."""
        return self._sign(int(now.timestamp()).to_bytes(8, "big") + secrets.token_bytes(8))

    def holds(self, nonce: str, now: datetime) -> bool:
        """Tell whether `nonce` was handed out, and not too long ago."""
        try:
            given = base64.urlsafe_b64decode(nonce)[:16]
        except ValueError:
            return False
        age = now.timestamp() - int.from_bytes(given[:8], "big")
        return -1 <= age <= NONCE_LIFETIME and hmac.compare_digest(self._sign(given).encode(), nonce.encode())

    def _sign(self, given: bytes) -> str:
        signed = given + hmac.digest(self._secret, given, "sha256")[:17]  # 33 bytes, which need no padding
        return base64.urlsafe_b64encode(signed).decode()


def verify(raw: str, *, method: str, url: str, nonces: Nonces, now: datetime, access_token: str | None = None) -> Proof:
    """Return the proof when it was made for this request (RFC 9449 §4.3), at a resource for this `access_token` too (`ath`).

    It is fresh when it carries a nonce that still holds; without one, when its `iat` is within WINDOW seconds of `now`, so a
    caller whose clock is wrong is handed a nonce. Raises Refused: DPOP_PROOF or DPOP_NONCE.
    """
    claims, key = _read(raw)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 256:
        raise Refused(DPOP_PROOF, "jti is missing, or longer than 256 characters")
    if claims.get("htm") != method:
        raise Refused(DPOP_PROOF, f"htm is not {method}")
    if _address(claims.get("htu")) != _address(url):
        raise Refused(DPOP_PROOF, "htu is not the address of this request, without query and fragment")
    if access_token is not None and claims.get("ath") != digest(access_token):
        raise Refused(DPOP_PROOF, "ath is not the SHA-256 of this access token")
    nonce, made = claims.get("nonce"), claims.get("iat")
    if not isinstance(made, int | float) or isinstance(made, bool):
        raise Refused(DPOP_PROOF, "iat is missing, or no number")
    if nonce is not None and not (isinstance(nonce, str) and nonces.holds(nonce, now)):
        raise Refused(DPOP_NONCE, "the nonce is not one of this server, or too old")
    # so, since JSON has integers that are beyond a float, and its NaN is greater than nothing
    if nonce is None and not abs(int(now.timestamp()) - made) <= WINDOW:
        raise Refused(DPOP_NONCE, f"iat is not within {WINDOW} seconds of this server's clock, and there is no nonce")
    return Proof(key, jti)


def _read(raw: str) -> tuple[dict[str, Any], str]:
    """Return the claims and the thumbprint of the key that signed them."""
    try:
        if len(raw) > MAX_LENGTH:
            raise Refused(DPOP_PROOF, f"the proof is longer than {MAX_LENGTH} characters")
        header = jwt.get_unverified_header(raw)
        algorithm, members = header.get("alg"), header["jwk"]
        if header.get("typ") != MEDIA_TYPE or algorithm not in ALGORITHMS:
            raise Refused(DPOP_PROOF, f"the header must say typ {MEDIA_TYPE}, alg one of {' '.join(ALGORITHMS)}, and a public jwk")
        if _PRIVATE & members.keys():
            raise Refused(DPOP_PROOF, "the jwk holds a private key; it is not secret any more")
        key = jwt.PyJWK(members, algorithm)
        claims: dict[str, Any] = jwt.decode(raw, key.key, algorithms=[algorithm], options=_UNVERIFIED_TIME)
    except Refused:
        raise
    except Exception as error:  # a stranger's key and JSON: the parsers raise types of their own
        raise Refused(DPOP_PROOF, "the proof is no JWT that its own jwk verifies") from error
    return claims, thumbprint(members)


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a JWK over its required members (RFC 7638 §3, RFC 8037 §2); raises KeyError."""
    names = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    return digest(json.dumps({name: jwk[name] for name in names}, separators=(",", ":"), sort_keys=True))


def digest(text: str) -> str:
    """Return the SHA-256 of `text` in base64url without padding, as `ath`, `jkt` and `code_challenge` are."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make(
    key: ec.EllipticCurvePrivateKey,
    method: str,
    url: str,
    now: datetime,
    *,
    access_token: str | None = None,
    nonce: str | None = None,
) -> str:
    """Return a proof for one request, as a client makes it."""
    claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url.partition("?")[0], "iat": int(now.timestamp())}
    claims |= {"ath": digest(access_token)} if access_token else {}
    claims |= {"nonce": nonce} if nonce else {}
    jwk = {name: value for name, value in public_jwk(key.public_key()).items() if name in ("crv", "kty", "x", "y")}
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": MEDIA_TYPE, "jwk": jwk})


def _address(url: object) -> tuple[str, str, str] | None:
    """The parts of a URL that a proof is for, made equal where RFC 3986 §6.2.2 and §6.2.3 say that they are."""
    try:
        parts = urlsplit(str(url))
        port = parts.port or 443
    except ValueError:
        return None
    return parts.scheme.lower(), f"{parts.hostname}:{port}", unquote(parts.path or "/")
