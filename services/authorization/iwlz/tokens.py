"""The iWlz access token (iWlz RFC0014): a grant of the core, written as the network's policies read it, signed RS256.

It is the same grant, with the same `jti`: what ends it (a revocation, a withdrawn mandate or certificate) ends this token too.
Beside the network's claims it has `cnf.x5t#S256`, so that nobody else can use it.
"""

import base64
import hashlib
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from proeftuin.clock import Clock
from proeftuin.parties import Party
from proeftuin.pki.identity import Peer
from proeftuin.reasons import TOKEN_BINDING, TOKEN_EXPIRED, TOKEN_ISSUER, TOKEN_MALFORMED, TOKEN_NOT_YET, TOKEN_SIGNATURE, Refused
from proeftuin.storage.secrets import secret
from proeftuin.tokens.access_token import MAX_LENGTH, AccessToken
from services.authorization.decision.model import Caller

ISSUER, ALGORITHM, SOURCE = "auth.nid", "RS256", "localhost"
SKEW = 120  # seconds that `nbf` lies before `iat`
ORGANISATION = ("agb", "uzovi", "kvk", "instantie_type", "instantie_naam")
_NOT_TIME: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}


class IwlzTokens:
    """Signs and verifies with the RSA key in `folder`, made at the first start."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        key = serialization.load_pem_private_key(secret(folder / "iwlz-rs256.pem", _new_key), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("iwlz-rs256.pem is not an RSA key")
        self._key, self._clock = key, clock
        jwk: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        thumbprint = hashlib.sha256(f'{{"e":"{jwk["e"]}","kty":"RSA","n":"{jwk["n"]}"}}'.encode()).digest()
        self._kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
        self.jwks = {"keys": [{name: jwk[name] for name in ("kty", "n", "e")} | {"kid": self._kid, "use": "sig", "alg": ALGORITHM}]}

    def write(self, given: AccessToken, holder: Party, acts_for: Party) -> str:
        """Return the token of a grant: `holder` owns the certificate, `acts_for` is the party whose rights it has."""
        actor = holder != acts_for
        claims: dict[str, Any] = {
            "iss": ISSUER, "sub": user_number(holder), "aud": given.grant.audience, "exp": given.expires_at,
            "nbf": given.issued_at - SKEW, "iat": given.issued_at, "jti": given.jti,
            "client_id": identity(acts_for) if actor else user_number(holder), "subjects": None,
            "scopes": sorted(given.grant.scopes), "consent_id": str(uuid.uuid5(uuid.NAMESPACE_URL, given.jti)),
            "client_metadata": None, "cnf": {given.grant.confirmation.method: given.grant.confirmation.value},
        }  # fmt: skip
        if actor:
            claims["act"] = {"sub": user_number(holder)}
        about = organisation(acts_for)
        claims["_claim_names"] = dict.fromkeys(about, SOURCE)
        claims["_claim_sources"] = {
            SOURCE: {"jwt": self._sign({"iss": ISSUER, "iat": given.issued_at, "exp": given.expires_at} | about)}
        }
        return self._sign(claims)

    def verify(self, raw: str, peer: Peer | None = None) -> dict[str, Any]:
        """Return the payload of a token; with `peer` it must be bound to that certificate.

        Raises Refused: TOKEN_MALFORMED, TOKEN_SIGNATURE, TOKEN_ISSUER, TOKEN_EXPIRED, TOKEN_NOT_YET or TOKEN_BINDING.
        """
        claims = self._decoded(raw)
        now = self._clock.now().timestamp()
        if claims.get("iss") != ISSUER:
            raise Refused(TOKEN_ISSUER, f"the token's issuer is not {ISSUER}")
        if not isinstance(claims.get("exp"), int) or not isinstance(claims.get("nbf", 0), int):
            raise Refused(TOKEN_MALFORMED, "exp or nbf is no number of seconds")
        if now >= claims["exp"]:
            raise Refused(TOKEN_EXPIRED, f"the token expired {now - claims['exp']:.0f} seconds ago")
        if now < claims.get("nbf", 0):
            raise Refused(TOKEN_NOT_YET, f"the token holds in {claims['nbf'] - now:.0f} seconds")
        cnf = claims.get("cnf")
        if peer is not None and (not isinstance(cnf, dict) or cnf.get("x5t#S256") != peer.thumbprint):
            raise Refused(TOKEN_BINDING, "the connection's certificate is not the one in cnf.x5t#S256", status=403)
        return claims

    def caller(self, payload: dict[str, Any]) -> Caller:
        """Return who asks, from a verified payload and its source (OIDC aggregated claims), as `write` made them."""
        return stated(self._decoded(payload["_claim_sources"][SOURCE]["jwt"]) | payload)

    def _decoded(self, raw: str) -> dict[str, Any]:
        if len(raw) > MAX_LENGTH:
            raise Refused(TOKEN_MALFORMED, f"the token is no text of at most {MAX_LENGTH} characters")
        try:
            return dict(jwt.decode(raw, self._key.public_key(), algorithms=[ALGORITHM], options=_NOT_TIME))
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError) as error:
            raise Refused(TOKEN_SIGNATURE, "the signature does not verify with the key of this server") from error
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise Refused(TOKEN_MALFORMED, "the token is not a JWT") from error

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._kid})


def stated(claims: dict[str, Any]) -> Caller:
    """Return who asks, as these claims state it."""
    about: dict[str, str | None] = {name: claims[name] for name in ORGANISATION if isinstance(claims.get(name), str)}
    act = claims.get("act")
    if isinstance(act, dict) and isinstance(act.get("sub"), str):
        about["act"] = act["sub"]
    scopes = claims.get("scopes")
    return Caller(about, frozenset(each for each in scopes if isinstance(each, str)) if isinstance(scopes, list) else frozenset())


def organisation(party: Party) -> dict[str, str | None]:
    """Return what the network's policies read of a party."""
    if party.kind == "zorgkantoor":
        kind = "Zorgkantoor"
    else:
        kind = "Zorgaanbieder" if party.is_care_provider and party.agb else "Onderneming"
    return {"agb": party.agb, "uzovi": party.uzovi, "kvk": party.kvk, "instantie_type": kind, "instantie_naam": party.name}


def identity(party: Party) -> str:
    """Return by what a party is named where another acts for it: uzovi:, agbcode: or kvk:."""
    for name, value in (("uzovi", party.uzovi), ("agbcode", party.agb), ("kvk", party.kvk)):
        if value:
            return f"{name}:{value}"
    return party.client_id


def user_number(party: Party) -> str:
    """Return the 14-digit gebruikersnummer of a party in this network."""
    digits = "".join(filter(str.isdecimal, party.client_id.partition(":")[2]))
    return f"299900{digits[-8:]:0>8}"


def _new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
