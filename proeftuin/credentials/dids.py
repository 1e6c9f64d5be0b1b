"""DIDs (W3C DID core 1.0): documents of did:web, and the keys of did:web, did:jwk, did:key and did:x509."""

import base64
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from proeftuin.audit.interactions import UndeclaredInteractionError
from proeftuin.clock import Clock
from proeftuin.credentials import did_x509, jose
from proeftuin.credentials.jose import Jws, PublicKey
from proeftuin.reasons import DID_UNRESOLVABLE, UPSTREAM, Refused
from proeftuin.strict_json import parse_object
from proeftuin.transport.client import Client, Unreachable
from proeftuin.transport.trust import Trust

CONTEXTS = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"]
MEDIA_TYPE = "application/did+json"
MAX_LENGTH = 4096
AUTHORIZATION_SERVER = "oauth-authorization-server"  # type of the service entry that names the party's own issuer identifier
_MAX_DOCUMENT = 1 << 16
_MAX_KEPT = 1000
_WEB = re.compile(r"did:web:([A-Za-z0-9.\-]{1,253})(%3A[0-9]{1,5})?((?::[A-Za-z0-9._\-]{1,64}){0,8})")
_P256_MULTICODEC, _ED25519_MULTICODEC = b"\x80\x24", b"\xed\x01"


@dataclass(frozen=True, slots=True)
class DidDocument:
    """A resolved DID: its assertion keys by DID URL, and its service endpoints by type."""

    id: str
    keys: Mapping[str, PublicKey]
    services: Mapping[str, str]


class KeyResolver(Protocol):
    """Gives the key with which a JWS of a DID is verified."""

    async def key(self, signed: Jws, did: str) -> PublicKey:
        """Return the assertion key of `did` that the kid of `signed` names; raises Refused."""
        ...


class Resolver:
    """Resolves the DIDs of signers; did:web documents come over mTLS and are kept `max_age` seconds.

    An id that the kept document lacks is looked up anew, at most once in a second, so that a rotated key needs no wait.
    """

    def __init__(self, client: Client, trust: Trust, clock: Clock, *, max_age: float = 60.0) -> None:
        self._client = client
        self._trust = trust
        self._clock = clock
        self._max_age = max_age
        self._kept: dict[str, tuple[DidDocument, float]] = {}

    async def key(self, signed: Jws, did: str) -> PublicKey:
        """Return the assertion key of `did` that the kid of `signed` names.

        Raises Refused: DID_UNRESOLVABLE when there is no such DID or key, UPSTREAM when its host does not answer,
        CERTIFICATE_REVOKED or CRL_EXPIRED for a did:x509.
        """
        if did_of(signed.kid) != did:
            raise Refused(DID_UNRESOLVABLE, "the kid is no key of the signer")
        if did.startswith("did:x509:"):
            return did_x509.resolve(did, signed.header, self._trust, self._clock.real())
        if did.startswith(("did:jwk:", "did:key:")):
            document = document_of_key(did)
        else:
            document = await self.document(did, kid=signed.kid)
        try:
            return document.keys[signed.kid]
        except KeyError:
            raise Refused(DID_UNRESOLVABLE, "the DID document lists no such key under assertionMethod") from None

    async def document(self, did: str, *, kid: str = "") -> DidDocument:
        """Return the document of a did:web; raises Refused as `key` does."""
        url = web_url(did)
        kept = self._kept.get(did)
        age = time.monotonic() - kept[1] if kept else float("inf")
        if kept is not None and age < (self._max_age if not kid or kid in kept[0].keys else 1.0):
            return kept[0]
        try:
            answer = await self._client.request("GET", url)
        except Unreachable as error:
            raise Refused(UPSTREAM, f"the host of a did:web does not answer: {error}") from error
        except UndeclaredInteractionError as error:  # a DID chooses the address, a call that nothing says how to log is not made
            raise Refused(DID_UNRESOLVABLE, "the path of the did:web is none of this network") from error
        try:
            if answer.status != 200 or len(answer.body) > _MAX_DOCUMENT:
                raise ValueError(f"its address answers {answer.status}")
            document = read_document(parse_object(answer.body, depth=8), did)
        except ValueError as error:
            raise Refused(DID_UNRESOLVABLE, f"{did[:200]}: {error}") from error
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[did] = document, time.monotonic()
        return document


def did_of(did_url: str) -> str:
    """Return the DID in a DID URL."""
    return did_url.partition("#")[0]


def web_did(url: str) -> str:
    """Return the did:web whose document stands at `url`/did.json; raises ValueError when `url` can be none."""
    parts = urlsplit(url)
    path = [quote(part, safe="") for part in parts.path.split("/") if part]
    did = ":".join(["did:web", parts.netloc.replace(":", "%3A"), *path])
    if not _WEB.fullmatch(did):
        raise ValueError(f"{url} can be no did:web")
    return did


def web_url(did: str) -> str:
    """Return where the document of a did:web stands; raises Refused(DID_UNRESOLVABLE)."""
    match = _WEB.fullmatch(did)
    parts = match[3].split(":")[1:] if match else []
    if match is None or any(part in (".", "..") for part in parts):
        raise Refused(DID_UNRESOLVABLE, "it is no DID of method web, jwk, key or x509")
    return "/".join([f"https://{match[1]}{unquote(match[2] or '')}", *(parts or [".well-known"]), "did.json"])


def write_document(did: str, keys: Iterable[dict[str, Any]], services: Mapping[str, str]) -> dict[str, Any]:
    """Return the document of `did` with public `keys` (JWKs with kid), all for assertion and authentication."""
    methods = [
        {
            "id": f"{did}#{jwk['kid']}", "type": "JsonWebKey2020", "controller": did,
            "publicKeyJwk": {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk},
        }
        for jwk in keys
    ]  # fmt: skip
    ids = [method["id"] for method in methods]
    return {
        "@context": CONTEXTS, "id": did, "verificationMethod": methods, "assertionMethod": ids, "authentication": ids,
        "service": [{"id": f"{did}#{kind}", "type": kind, "serviceEndpoint": url} for kind, url in services.items()],
    }  # fmt: skip


def read_document(document: dict[str, Any], did: str) -> DidDocument:
    """Read the document of `did`: only keys that it controls itself count; raises ValueError."""
    if document.get("id") != did:
        raise ValueError("the document is of another DID")
    methods = {str(each.get("id")): each for each in _objects(document.get("verificationMethod"))}
    wanted: Sequence[Any] = document.get("assertionMethod", [])
    if not isinstance(wanted, list):
        raise ValueError("assertionMethod is a list")
    keys: dict[str, PublicKey] = {}
    for each in wanted[:20]:
        method = each if isinstance(each, dict) else methods.get(str(each), {})
        url = str(method.get("id", ""))
        url = did + url if url.startswith("#") else url
        if method.get("controller") == did == did_of(url):
            keys[url] = jose.public_key(method.get("publicKeyJwk"))
    services = {
        str(each.get("type")): each["serviceEndpoint"]
        for each in _objects(document.get("service"))
        if isinstance(each.get("serviceEndpoint"), str)
    }
    return DidDocument(did, keys, services)


def document_of_key(did: str) -> DidDocument:
    """Return what a did:jwk or did:key (P-256, Ed25519) says by itself; raises Refused(DID_UNRESOLVABLE)."""
    try:
        if len(did) > MAX_LENGTH:
            raise ValueError("it is too long")
        method, encoded = did.split(":")[1:]
        if method == "jwk":
            jwk = parse_object(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), depth=3)
            return DidDocument(did, {f"{did}#0": jose.public_key(jwk)}, {})
        return DidDocument(did, {f"{did}#{encoded}": _multikey(encoded)}, {})
    except ValueError as error:
        raise Refused(DID_UNRESOLVABLE, f"did:key or did:jwk: {error}") from error


def _multikey(encoded: str) -> PublicKey:
    raw = _base58(encoded)
    if raw.startswith(_P256_MULTICODEC):
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw[2:])
    if raw.startswith(_ED25519_MULTICODEC):
        return ed25519.Ed25519PublicKey.from_public_bytes(raw[2:])
    raise ValueError("the multicodec is neither p256-pub nor ed25519-pub")


def _base58(encoded: str) -> bytes:
    """Decode multibase base58btc (`z`); keys have no leading zero bytes, for the multicodec stands first."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    if not encoded.startswith("z") or len(encoded) > 100:
        raise ValueError("it is no base58btc multibase")
    number = 0
    for character in encoded[1:]:
        number = number * 58 + alphabet.index(character)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _objects(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON is any
    return [each for each in value[:50] if isinstance(each, dict)] if isinstance(value, list) else []
