"""Signing keys of an issuer: ES256 keys in a folder, the newest signs, the older ones verify; published as JWKS (RFC 7517)."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin.clock import Clock

ALGORITHM = "ES256"


class SigningKeys:
    """The keys in `folder` (`<microseconds>.pem`, mode 0600); read again when the folder changes, so rotation needs no restart."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._stamp = -1
        self._private: list[tuple[str, ec.EllipticCurvePrivateKey]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._refresh()
        if not self._private:
            self.rotate()

    def rotate(self, *, keep: int = 1) -> str:
        """Add a key that signs from now on, keep the `keep` newest of the others for verifying; returns the new key's id."""
        path = self._folder / f"{int(self._clock.now().timestamp() * 1_000_000):020d}.pem"
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_bytes(pem)
        part.rename(path)
        for old in sorted(self._folder.glob("*.pem"))[: -keep - 1]:
            old.unlink()
        self._refresh()
        return self._private[-1][0]

    def sign(self, claims: dict[str, Any], *, typ: str, controller: str = "") -> str:
        """Return `claims` as a compact JWS of media type `typ` (RFC 8725 §3.11), signed with the newest key.

        With a `controller` (a DID) the kid is the DID URL of the key.
        """
        self._refresh()
        kid, key = self._private[-1]
        kid = f"{controller}#{kid}" if controller else kid
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": typ})

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set, the signing key first."""
        self._refresh()
        return {"keys": [public_jwk(key.public_key()) for _, key in reversed(self._private)]}

    def public_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key with this id, or None."""
        self._refresh()
        return next((key.public_key() for known, key in self._private if known == kid), None)

    def _refresh(self) -> None:
        stamp = self._folder.stat().st_mtime_ns
        if stamp == self._stamp:
            return
        self._private = []
        for path in sorted(self._folder.glob("*.pem")):
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{path.name} is not an EC private key")
            self._private.append((public_jwk(key.public_key())["kid"], key))
        self._stamp = stamp


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """Return a P-256 public key as JWK; `kid` is its RFC 7638 thumbprint."""
    numbers = key.public_numbers()
    coordinates = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x), "y": _b64(numbers.y)}
    digest = hashlib.sha256(json.dumps(coordinates, separators=(",", ":"), sort_keys=True).encode()).digest()
    return coordinates | {"kid": _b64url(digest), "use": "sig", "alg": ALGORITHM}


def _b64(number: int) -> str:
    return _b64url(number.to_bytes(32, "big"))


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
