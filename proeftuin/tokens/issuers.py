"""Where the public keys of an issuer come from: its own folder, or its metadata (RFC 8414) and JWKS over mTLS."""

import time
from typing import Protocol
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin.reasons import UPSTREAM, Refused
from proeftuin.tokens.keys import ALGORITHM, SigningKeys
from proeftuin.transport.client import Client, Unreachable


class KeySource(Protocol):
    """Gives the public key with which a signature of one issuer is checked."""

    async def key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the key with id `kid`, or None when the issuer has no such key; raises Refused when that cannot be known."""
        ...


class OwnKeys:
    """The keys of an issuer in this process."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    async def key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the key with id `kid`, or None."""
        return self._keys.public_key(kid)


class RemoteKeys:
    """The keys of an issuer elsewhere, kept `max_age` seconds; an unknown id is looked up anew, at most once in `pause` seconds."""

    def __init__(self, issuer: str, client: Client, *, max_age: float = 300.0, pause: float = 1.0) -> None:
        self._issuer = issuer
        self._client = client
        self._max_age = max_age
        self._pause = pause
        self._keys: dict[str, ec.EllipticCurvePublicKey] = {}
        self._fetched = float("-inf")

    async def key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the key with id `kid`, or None; raises Refused(UPSTREAM) when the issuer gives no answer."""
        age = time.monotonic() - self._fetched
        if age > self._max_age or (kid not in self._keys and age > self._pause):
            await self._fetch()
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        try:
            metadata = await self._client.request("GET", metadata_url(self._issuer))
            document = metadata.json()
            if metadata.status != 200 or document.get("issuer") != self._issuer:
                raise Refused(UPSTREAM, f"the metadata of {self._issuer} does not name it as issuer")
            answer = await self._client.request("GET", document["jwks_uri"])
            found = jwt.PyJWKSet.from_dict(answer.json())
        except (Unreachable, ValueError, KeyError, jwt.PyJWTError) as error:
            raise Refused(UPSTREAM, f"the keys of {self._issuer} could not be read: {error}") from error
        self._keys = {
            jwk.key_id: jwk.key
            for jwk in found.keys
            if jwk.key_id and jwk.algorithm_name == ALGORITHM and isinstance(jwk.key, ec.EllipticCurvePublicKey)
        }
        self._fetched = time.monotonic()


def metadata_url(issuer: str) -> str:
    """Return where the metadata of `issuer` stands: the well-known part comes before the path (RFC 8414 §3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
