"""Pseudonyms by oblivious evaluation: the caller blinds, the receiver opens and unblinds (RFC 9497; GF pseudonymisation).

RFC 9497 OPRF(ristretto255, SHA-512), mode 0, up to Unblind, over libsodium (rbcl).
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import rbcl
import rfc8785
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

_DST = b"HashToGroup-OPRFV1-\x00-ristretto255-SHA512"
ALGORITHMS = ["RSA-OAEP-256", "ECDH-ES"]
ENCRYPTION = "A256GCM"
JWE_REGISTRY = jwe.JWERegistry(algorithms=[*ALGORITHMS, ENCRYPTION])
MAX_TOKEN = 8192  # characters
SUBJECT_PREFIX = "pseudonym:eval:"


@dataclass(frozen=True, slots=True)
class Blinded:
    """A blinded input, which may travel, and its blind factor (a scalar), which only the receiver may see; 32 bytes each."""

    blinded_input: bytes
    blind_factor: bytes = field(repr=False)


def personal_identifier(bsn: str) -> bytes:
    """Return the personal identifier as canonical JSON (RFC 8785)."""
    return rfc8785.dumps({"landCode": "NL", "type": "BSN", "value": bsn})


def derive(bsn: str, recipient_organization: str, recipient_scope: str) -> bytes:
    """Return the 32 bytes that are blinded: they differ for each recipient and scope (HKDF-SHA256, no salt)."""
    info = f"{recipient_organization}|{recipient_scope}|v1".encode()
    return HKDF(hashes.SHA256(), 32, None, info).derive(personal_identifier(bsn))


def blind(value: bytes, blind_factor: bytes | None = None) -> Blinded:
    """Blind `value` with a random factor (or the given one, for test vectors)."""
    factor = blind_factor or rbcl.crypto_core_ristretto255_scalar_random()
    return Blinded(_multiply(factor, hash_to_group(value)), factor)


def unblind(evaluated: bytes, blind_factor: bytes) -> bytes:
    """Return the pseudonym (32 bytes), the same for every blind factor; raises ValueError for what is no point or scalar."""
    if len(blind_factor) != 32 or not any(blind_factor):
        raise ValueError("the blind factor is no scalar")
    return _multiply(rbcl.crypto_core_ristretto255_scalar_invert(blind_factor), evaluated)


def check_point(point: bytes) -> None:
    """Raise ValueError unless `point` is the canonical encoding of an element other than the identity."""
    if len(point) != 32 or not any(point) or not rbcl.crypto_core_ristretto255_is_valid_point(point):
        raise ValueError("not an element of ristretto255")


def hash_to_group(value: bytes) -> bytes:
    """Return the element that `value` hashes to (RFC 9497 §4.1)."""
    element: bytes = rbcl.crypto_core_ristretto255_from_hash(_expand(value))
    return element


def encode_token(sealed: str, blind_factor: bytes) -> str:
    """Return what stands in List.subject.identifier.value: the evaluated output (a compact JWE) and its blind factor."""
    content = {"evaluated_output": sealed, "blind_factor": encode(blind_factor)}
    return encode(json.dumps(content, separators=(",", ":")).encode())


def decode_token(token: str) -> tuple[str, bytes]:
    """Return the JWE and the blind factor; raises ValueError."""
    if len(token) > MAX_TOKEN:
        raise ValueError("the token is too long")
    content = json.loads(decode(token))
    if not isinstance(content, dict) or content.keys() != {"evaluated_output", "blind_factor"}:
        raise ValueError("the token has other members than evaluated_output and blind_factor")
    sealed, factor = content["evaluated_output"], content["blind_factor"]
    if not isinstance(sealed, str) or not isinstance(factor, str):
        raise ValueError("the members of the token are no strings")
    return sealed, decode(factor)


def open_sealed(sealed: str, key: RSAKey | ECKey) -> dict[str, Any]:
    """Decrypt an evaluated output with the receiver's private key and return its claims; raises ValueError."""
    try:
        claims = json.loads(jwe.decrypt_compact(sealed, key, registry=JWE_REGISTRY).plaintext or b"")
    except (JoseError, ValueError, TypeError) as error:
        raise ValueError("the evaluated output cannot be opened with this register's key") from error
    if not isinstance(claims, dict):
        raise ValueError("the evaluated output holds no claims")
    return claims


def evaluated_point(claims: dict[str, Any]) -> bytes:
    """Return the evaluated element in the claims of an opened output; raises ValueError."""
    subject = claims.get("subject")
    if not isinstance(subject, str) or not subject.startswith(SUBJECT_PREFIX):
        raise ValueError("the claims have no evaluated subject")
    return decode(subject.removeprefix(SUBJECT_PREFIX))


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Read base64url with or without padding, strictly; raises ValueError."""
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


def _multiply(scalar: bytes, point: bytes) -> bytes:
    check_point(point)
    try:
        product: bytes = rbcl.crypto_scalarmult_ristretto255(scalar, point)
    except (RuntimeError, TypeError) as error:
        raise ValueError("the scalar is zero or no scalar") from error
    return product


def _expand(message: bytes) -> bytes:
    """expand_message_xmd of RFC 9380 §5.3.1 with SHA-512, for 64 bytes: one block."""
    dst = _DST + bytes([len(_DST)])
    first = hashlib.sha512(bytes(128) + message + (64).to_bytes(2, "big") + b"\x00" + dst).digest()
    return hashlib.sha512(first + b"\x01" + dst).digest()
