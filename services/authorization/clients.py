"""The registered OAuth clients: for each party a document with its keys and redirect addresses (names of RFC 7591 §2)."""

import json
from pathlib import Path
from typing import Any

import jwt

from proeftuin.parties import Party

ALGORITHMS = ("ES256", "ES384", "PS256", "EdDSA")


class Clients:
    """The documents `<party id>.json` in `folder`, read again when one changes; without a folder nobody is registered.

    Shape: `{"client_id", "client_name", "redirect_uris": [...], "jwks": {"keys": [...]}}`.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}

    def redirect_uris(self, client: Party) -> list[str]:
        """Return the addresses to which an answer for this client may be sent."""
        return list(self._document(client).get("redirect_uris", []))

    def key(self, client: Party, kid: object) -> jwt.PyJWK | None:
        """Return the registered public key with this id, or None; raises jwt.PyJWTError when it is no key that can be used."""
        for jwk in self._document(client).get("jwks", {}).get("keys", []):
            if jwk.get("kid") == kid:
                return jwt.PyJWK(jwk)
        return None

    def _document(self, client: Party) -> dict[str, Any]:
        if self._folder is None:
            return {}
        path = self._folder / f"{client.id}.json"
        try:
            stat = path.stat()
        except OSError:
            return {}
        stamp = (stat.st_mtime_ns, stat.st_ino)
        known = self._read.get(client.id)
        if known is None or known[0] != stamp:
            known = self._read[client.id] = (stamp, json.loads(path.read_text()))
        return known[1]
