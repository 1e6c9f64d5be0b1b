"""Compact JWS as credentials and presentations use it: an algorithm that is allowed and fits the key, a payload read strictly."""

from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from proeftuin.strict_json import parse_object

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
ALGORITHMS = ("ES256", "EdDSA", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256")  # of nuts-node v6, in its order
MAX_LENGTH = 1 << 16  # characters: a presentation of several credentials with certificate chains has about 20 000
MAX_DEPTH = 16
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_REFERRING = {"crit", "jwk", "jku", "x5u", "b64"}  # they bring a key or rule of the sender's own choice
_SIGNATURE_ONLY: Any = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False,
    "verify_sub": False, "verify_jti": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS that was read and not verified."""

    header: dict[str, Any]
    claims: dict[str, Any]
    raw: str

    @property
    def kid(self) -> str:
        """The id of the key that it says it was signed with."""
        return str(self.header.get("kid", ""))


def read(raw: object, types: tuple[str, ...] = ("JWT",)) -> Jws:
    """Read a compact JWS whose `typ` is one of `types`; raises ValueError, which says what is wrong."""
    if not isinstance(raw, str) or len(raw) > MAX_LENGTH:
        raise ValueError(f"it is no JWT of at most {MAX_LENGTH} characters")
    try:
        decoded = jwt.api_jws.decode_complete(raw, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise ValueError("it is not a compact JWS") from error
    header = decoded["header"]
    if header.get("alg") not in ALGORITHMS:
        raise ValueError(f"alg is one of {', '.join(ALGORITHMS)}")
    if str(header.get("typ")).lower() not in {each.lower() for each in types}:
        raise ValueError(f"typ is {' or '.join(types)}")
    if found := _REFERRING & header.keys():
        raise ValueError(f"header {', '.join(sorted(found))} is not taken")
    try:
        claims = parse_object(decoded["payload"], depth=MAX_DEPTH)
    except ValueError as error:
        raise ValueError(f"the payload: {error}") from error
    return Jws(header, claims, raw)


def verify(signed: Jws, key: PublicKey) -> None:
    """Raise ValueError unless `key` fits the algorithm in the header and verifies the signature."""
    algorithm = signed.header["alg"]
    if algorithm not in algorithms_of(key):
        raise ValueError(f"alg {algorithm} does not fit the key")
    try:
        jwt.decode(signed.raw, key, algorithms=[algorithm], options=_SIGNATURE_ONLY)
    except jwt.InvalidTokenError as error:
        raise ValueError("the signature does not verify") from error


def sign(claims: dict[str, Any], key: PrivateKey, algorithm: str, **header: Any) -> str:  # noqa: ANN401 - header members
    """Return `claims` as compact JWS with these header members beside `alg`."""
    return jwt.encode(claims, key, algorithm=algorithm, headers=header)


def algorithms_of(key: PublicKey) -> tuple[str, ...]:
    """Return the algorithms that a key may be used with; none for an RSA key that is too short."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return tuple(name for name, curve in _CURVES.items() if curve == key.curve.name)
    if isinstance(key, rsa.RSAPublicKey):
        return tuple(name for name in ALGORITHMS if name[0] in "PR") if key.key_size >= 2048 else ()
    return ("EdDSA",)


def public_key(jwk: object) -> PublicKey:
    """Return the public key in a JWK; raises ValueError when it is none that can be used, or a private or symmetric one."""
    if not isinstance(jwk, dict) or "d" in jwk or jwk.get("kty") not in ("EC", "RSA", "OKP"):
        raise ValueError("it is not a public JWK of kty EC, RSA or OKP")
    try:
        key = jwt.PyJWK({name: value for name, value in jwk.items() if name not in ("alg", "use")}, _algorithm(jwk)).key
    except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
        raise ValueError("it is not a public JWK") from error
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey) or not algorithms_of(key):
        raise ValueError("the key is of a kind that no allowed algorithm takes")
    return key


def _algorithm(jwk: dict[str, Any]) -> str:
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
    return "PS256" if jwk["kty"] == "RSA" else curves.get(str(jwk.get("crv")), "none")
