"""The evaluation itself: a key for each recipient and scope, and the sealing of the result for that recipient alone."""

import json
import re
import secrets
from datetime import datetime
from typing import Any

import rbcl
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from proeftuin.pseudonym import ENCRYPTION, JWE_REGISTRY, SUBJECT_PREFIX, check_point, encode

LIFETIME = 300  # seconds that a sealed evaluation can be used
VERSION = "1.1"


def check_recipient(organization: object, scope: object) -> tuple[str, str]:
    """Return the two names of a recipient; raises ValueError when one is not 1 to 64 printable ASCII characters without spaces."""
    for name, value in (("organization", organization), ("scope", scope)):
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,64}", value):
            raise ValueError(f"the recipient {name} is a string of 1 to 64 ASCII characters, without spaces")
    return str(organization), str(scope)


def evaluation_key(master: bytes, organization: str, scope: str, version: int = 1) -> bytes:
    """Return the scalar of a recipient: HKDF-SHA512 of the master secret with recipient and scope, reduced (RFC 9497 §3.2)."""
    info = f"proeftuin prs|{organization}|{scope}|{version}".encode()
    wide = HKDF(hashes.SHA512(), 64, None, info).derive(master)
    scalar: bytes = rbcl.crypto_core_ristretto255_scalar_reduce(wide)
    return scalar


def new_master() -> bytes:
    """Return a new master secret."""
    return secrets.token_bytes(32)


def evaluate(key: bytes, blinded_input: bytes) -> bytes:
    """Return key x input; raises ValueError when the input is no element of the group."""
    check_point(blinded_input)
    evaluated: bytes = rbcl.crypto_scalarmult_ristretto255(key, blinded_input)
    return evaluated


def seal(evaluated: bytes, recipient_key: dict[str, Any], audience: str, scope: str, now: datetime) -> str:
    """Return the compact JWE that only the recipient can open (gfmodules PRS); raises ValueError."""
    key = read_key(recipient_key)
    issued = int(now.timestamp())
    claims = {
        "subject": SUBJECT_PREFIX + encode(evaluated),
        "aud": audience,
        "scope": scope,
        "version": VERSION,
        "iat": issued,
        "exp": issued + LIFETIME,
    }
    algorithm = "RSA-OAEP-256" if isinstance(key, RSAKey) else "ECDH-ES"
    header = {"alg": algorithm, "enc": ENCRYPTION, "cty": "application/json", "kid": key.thumbprint()}
    return jwe.encrypt_compact(header, json.dumps(claims).encode(), key, registry=JWE_REGISTRY)


def read_key(jwk: dict[str, Any]) -> RSAKey | ECKey:
    """Return a recipient's public key: RSA of at least 2048 bits, or P-256; raises ValueError."""
    try:
        key: RSAKey | ECKey = RSAKey.import_key(jwk) if jwk.get("kty") == "RSA" else ECKey.import_key(jwk)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise ValueError("not an RSA or EC key") from error
    if key.is_private:
        raise ValueError("a private key does not belong here")
    if isinstance(key, RSAKey) and key.public_key.key_size < 2048:
        raise ValueError("an RSA key has at least 2048 bits")
    if isinstance(key, ECKey) and key.curve_name != "P-256":
        raise ValueError("an EC key is on P-256")
    return key
