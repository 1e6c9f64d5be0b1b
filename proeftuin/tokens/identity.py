"""Identity statements on a person: of a professional (shaped like the Dezi verklaring, nuts.md §4) or of a client."""

from dataclasses import dataclass
from typing import Any

import jwt

from proeftuin.clock import Clock
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.parties import Client, Party, Professional
from proeftuin.reasons import IDENTITY_INVALID, Refused
from proeftuin.tokens.access_token import Person
from proeftuin.tokens.issuers import KeySource
from proeftuin.tokens.keys import ALGORITHM, SigningKeys

MEDIA_TYPE = "verklaring+jwt"
_SIGNATURE_ONLY: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}  # time: our clock
LIFETIME = 3600  # seconds: as long as one session behind a desk


@dataclass(frozen=True, slots=True)
class IdentityStatement:
    """A verified statement: who the person is, and the party (client_id) through which the person logged in."""

    person: Person
    audience: str
    jti: str

    @property
    def is_client(self) -> bool:
        """Whether the person is a client of care, and not a professional."""
        return self.person.system == BSN_SYSTEM


def state_professional(keys: SigningKeys, issuer: str, professional: Professional, employer: Party, jti: str, clock: Clock) -> str:
    """Sign a statement on a professional of `employer`; the claim names are those of Dezi."""
    return _sign(keys, issuer, employer.client_id, jti, clock, {
        "dezi_nummer": professional.uzi, "abonnee_nummer": employer.ura, "abonnee_naam": employer.name,
        "achternaam": professional.name, "rol_code": professional.role, "rol_naam": professional.role_name,
        "rol_code_bron": "http://www.dezi.nl/rol_bron/big",
    })  # fmt: skip


def state_client(keys: SigningKeys, issuer: str, client: Client, portal: Party, jti: str, clock: Clock) -> str:
    """Sign a statement on a client of care who logged in through `portal`."""
    return _sign(keys, issuer, portal.client_id, jti, clock, {"bsn": client.bsn})


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
        if decoded["header"].get("typ") != MEDIA_TYPE:
            raise Refused(IDENTITY_INVALID, f"the statement's typ is not {MEDIA_TYPE}")
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


def _sign(keys: SigningKeys, issuer: str, audience: str, jti: str, clock: Clock, about: dict[str, Any]) -> str:
    now = int(clock.now().timestamp())
    times = {"iat": now, "nbf": now, "exp": now + LIFETIME}
    return keys.sign({"iss": issuer, "aud": audience, "jti": jti} | times | about, typ=MEDIA_TYPE)


def _person(claims: dict[str, Any]) -> Person:
    if "bsn" in claims:
        return Person(str(claims["bsn"]), BSN_SYSTEM)
    return Person(str(claims["dezi_nummer"]), UZI_SYSTEM, str(claims["rol_code"]), str(claims["abonnee_nummer"]))
