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
RETIRED = 3600  # seconds; no token and no identity statement lives longer


class SigningKeys:
    """The keys in `folder` (`<microseconds>.pem`, mode 0600); read again when the folder changes, so rotation needs no restart.

    The newest signs. An older one verifies for `retired` seconds after the next one came: as long as anything that it signed lives.
    """

    def __init__(self, folder: Path, clock: Clock, *, retired: float = RETIRED) -> None:
        self._retired = retired
        self._folder = folder
        self._clock = clock
        self._stamp = -1
        self._private: list[tuple[str, ec.EllipticCurvePrivateKey, float]] = []  # id, key, when it retires
        folder.mkdir(parents=True, exist_ok=True)
        self._refresh()
        if not self._private:
            self.rotate()

    def rotate(self) -> str:
        """Add a key that signs from now on, and throw away those that retired; returns the new key's id."""
        now = self._clock.now().timestamp()
        for path, retires in self._files():
            if retires <= now:
                path.unlink(missing_ok=True)
        newest = max((int(path.stem) for path, _ in self._files()), default=0)
        path = self._folder / f"{max(int(now * 1_000_000), newest + 1):020d}.pem"  # the newest too where a clock went back
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_bytes(pem)
        part.rename(path)
        self._refresh()
        return self._private[-1][0]

    def sign(self, claims: dict[str, Any], *, typ: str, controller: str = "") -> str:
        """Return `claims` as a compact JWS of media type `typ` (RFC 8725 §3.11), signed with the newest key.

        With a `controller` (a DID) the kid is the DID URL of the key.
        """
        self._refresh()
        kid, key, _ = self._private[-1]
        kid = f"{controller}#{kid}" if controller else kid
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": typ})

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set, the signing key first."""
        return {"keys": [public_jwk(key.public_key()) for _, key in reversed(self._verifying())]}

    def public_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the public key with this id, or None."""
        return next((key.public_key() for known, key in self._verifying() if known == kid), None)

    def _verifying(self) -> list[tuple[str, ec.EllipticCurvePrivateKey]]:
        self._refresh()
        now = self._clock.now().timestamp()
        return [(kid, key) for kid, key, retires in self._private if now < retires]

    def _files(self) -> list[tuple[Path, float]]:
        """The files of the keys, oldest first, and when each retires (seconds since 1970)."""
        paths = sorted(self._folder.glob("*.pem"))
        followed = [int(path.stem) / 1_000_000 + self._retired for path in paths[1:]]
        return list(zip(paths, [*followed, float("inf")], strict=False))

    def _refresh(self) -> None:
        stamp = self._folder.stat().st_mtime_ns
        if stamp == self._stamp:
            return
        self._private = []
        for path, retires in self._files():
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{path.name} is not an EC private key")
            self._private.append((public_jwk(key.public_key())["kid"], key, retires))
        self._stamp = stamp


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """Return a P-256 public key as JWK; `kid` is its RFC 7638 thumbprint."""
    numbers = key.public_numbers()
    coordinates = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x), "y": _b64(numbers.y)}
    digest = hashlib.sha256(json.dumps(coordinates, separators=(",", ":"), sort_keys=True).encode()).digest()
    return coordinates | {"kid": _b64url(digest), "use": "sig", "alg": ALGORITHM}


def jwk_of(key: Any) -> dict[str, Any]:  # noqa: ANN401 - a public key of cryptography, P-256 or RSA as certificates have them
    """Return the public key of a certificate as JWK with `kid` and `alg`."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return public_jwk(key)
    members = jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
    required = {name: members[name] for name in ("e", "kty", "n")}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":"), sort_keys=True).encode()).digest()
    return required | {"kid": _b64url(digest), "use": "sig", "alg": "PS256"}


def _b64(number: int) -> str:
    return _b64url(number.to_bytes(32, "big"))


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
