"""Identity statements on a person: of a professional (shaped like the Dezi verklaring) or of a client."""

import secrets
from dataclasses import dataclass
from typing import Any

import jwt

from proeftuin.clock import Clock
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.parties import Party, Professional
from proeftuin.reasons import IDENTITY_INVALID, Refused
from proeftuin.tokens.access_token import Person
from proeftuin.tokens.issuers import KeySource
from proeftuin.tokens.keys import ALGORITHM, SigningKeys

MEDIA_TYPE, ID_TOKEN = "verklaring+jwt", "JWT"  # a statement by itself, or the ID token of a login (OpenID Connect)
_SIGNATURE_ONLY: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}  # time: our clock
LIFETIME = 3600  # seconds: as long as one session behind a desk


@dataclass(frozen=True, slots=True)
class IdentityStatement:
    """A verified statement: who the person is, and the party (client_id) through which the person logged in."""

    person: Person
    audience: str
    jti: str


PROFESSIONAL_CLAIMS = (
    "dezi_nummer", "abonnee_nummer", "abonnee_naam", "achternaam", "rol_code", "rol_naam", "rol_code_bron",
)  # fmt: skip
CLIENT_CLAIMS = ("bsn",)


def of_professional(professional: Professional, employer: Party) -> dict[str, Any]:
    """Return what is stated of a professional of `employer`, by the names of Dezi."""
    values = (
        professional.uzi, employer.ura, employer.name, professional.name, professional.role, professional.role_name,
        "http://www.dezi.nl/rol_bron/big",
    )  # fmt: skip
    return dict(zip(PROFESSIONAL_CLAIMS, values, strict=True))


def of_client(bsn: str) -> dict[str, Any]:
    """Return what is stated of a client of care."""
    return dict(zip(CLIENT_CLAIMS, (bsn,), strict=True))


def state(
    keys: SigningKeys, issuer: str, through: Party, about: dict[str, Any], clock: Clock, *, media_type: str = MEDIA_TYPE
) -> str:
    """Sign a statement with the claims `about` a person who logged in through a party, to whom it is addressed."""
    now = int(clock.now().timestamp())
    claims = {
        "iss": issuer,
        "aud": through.client_id,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
    }
    return keys.sign(about | claims, typ=media_type)


async def verify(raw: str, issuers: dict[str, KeySource], clock: Clock) -> IdentityStatement:
    """Return the statement when issuer, signature and time hold; raises Refused(IDENTITY_INVALID)."""
    try:
        decoded = jwt.decode_complete(raw, options={"verify_signature": False})
        claims = decoded["payload"]
        source = issuers[str(claims["iss"])]
        key = await source.key(str(decoded["header"]["kid"]))
        if key is None:
            raise Refused(IDENTITY_INVALID, "the identity provider has no key with the statement's kid")
        jwt.decode(raw, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
        if decoded["header"].get("typ") not in (MEDIA_TYPE, ID_TOKEN):
            raise Refused(IDENTITY_INVALID, f"the statement's typ is not {MEDIA_TYPE} or {ID_TOKEN}")
        if not int(claims["nbf"]) <= clock.now().timestamp() < int(claims["exp"]):
            raise Refused(IDENTITY_INVALID, "the statement is expired or not yet valid")
        return IdentityStatement(_person(claims), str(claims["aud"]), str(claims["jti"]))
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise Refused(IDENTITY_INVALID, "the statement is not one of an identity provider that this server trusts") from error


def told(raw: str) -> Person | None:
    """Return whom a statement is on, unverified: for the log of who holds it. None when it cannot be read."""
    try:
        return _person(jwt.decode(raw, options={"verify_signature": False} | _SIGNATURE_ONLY))
    except (jwt.InvalidTokenError, KeyError, TypeError):
        return None


def _person(claims: dict[str, Any]) -> Person:
    if "bsn" in claims:
        return Person(str(claims["bsn"]), BSN_SYSTEM)
    return Person(str(claims["dezi_nummer"]), UZI_SYSTEM, str(claims["rol_code"]), str(claims["abonnee_nummer"]))
