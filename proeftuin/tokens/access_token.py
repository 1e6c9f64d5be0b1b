"""JWT access tokens (RFC 9068) bound to a certificate (RFC 8705 §3) or a key (RFC 9449 §6), with the IUA claims (ITI-71)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin.clock import Clock
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.pki.identity import Peer
from proeftuin.reasons import (
    TOKEN_AUDIENCE,
    TOKEN_BINDING,
    TOKEN_EXPIRED,
    TOKEN_ISSUER,
    TOKEN_MALFORMED,
    TOKEN_NOT_YET,
    TOKEN_SCHEME,
    TOKEN_SIGNATURE,
    Refused,
)
from proeftuin.tokens.issuers import KeySource
from proeftuin.tokens.keys import ALGORITHM, SigningKeys

MEDIA_TYPE = "at+jwt"
KEPT = 1000  # verified tokens
MAX_LENGTH = 8192  # characters; a longer header is not a token of ours


@dataclass(frozen=True, slots=True)
class Person:
    """The acting person as the identity provider stated it: number and naming system, role code (UZI) and organisation (URA)."""

    identifier: str
    system: str
    role: str | None = None
    organization: str | None = None

    @property
    def is_client(self) -> bool:
        """Whether the person is a client of care, and not a professional."""
        return self.system == BSN_SYSTEM


Method = Literal["x5t#S256", "jkt"]
CERTIFICATE: Method = "x5t#S256"
KEY: Method = "jkt"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a token is bound to (`cnf`): the SHA-256 thumbprint of a certificate (RFC 8705 §3.1) or of a JWK (RFC 9449 §6.1)."""

    method: Method
    value: str

    @property
    def scheme(self) -> str:
        """The scheme under which the token is sent, and its `token_type`."""
        return "DPoP" if self.method == KEY else "Bearer"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token opens: to whom, for which audience, scopes and subject, by whom, why, and for how many seconds.

    `client_id` is the party that holds the token; `principal` the party for which it acts (absent: itself), and `actors` who acted
    before it, the latest first (RFC 8693 §4.1). `not_before` is in seconds since 1970 (absent: at once). `claims` are further
    claims of the protocol in which the token was asked; they never have a name that this module gives a meaning.
    """

    client_id: str
    audience: str
    scopes: frozenset[str]
    confirmation: Confirmation
    lifetime: int
    patient: str | None = None
    person: Person | None = None
    purpose: str | None = None
    principal: str | None = None
    actors: tuple[str, ...] = ()
    not_before: int | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acts_for(self) -> str:
        """The client_id of the party whose rights are used."""
        return self.principal or self.client_id


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that was verified; only `TokenVerifier` makes one from what a caller sent."""

    issuer: str
    grant: Grant
    jti: str
    issued_at: int
    expires_at: int
    raw: str = field(repr=False)

    @property
    def patient(self) -> str | None:
        """The BSN of the one client whose data the token opens."""
        return self.grant.patient

    @property
    def policy(self) -> str:
        """The URN by which audit events name this token (BALP OAUTHaccessTokenUse.Minimal)."""
        return f"urn:ietf:params:oauth:jti:{self.jti}"


def issue(keys: SigningKeys, issuer: str, grant: Grant, clock: Clock) -> AccessToken:
    """Sign a new access token for `grant`."""
    now = int(clock.now().timestamp())
    jti = secrets.token_hex(16)
    start = now if grant.not_before is None else grant.not_before
    claims: dict[str, Any] = {
        "iss": issuer, "sub": grant.acts_for, "client_id": grant.client_id, "aud": grant.audience,
        "scope": " ".join(sorted(grant.scopes)), "iat": now, "exp": start + grant.lifetime, "jti": jti,
        "cnf": {grant.confirmation.method: grant.confirmation.value},
    }  # fmt: skip
    if grant.not_before is not None:
        claims["nbf"] = grant.not_before
    if act := act_claim(grant):
        claims["act"] = act
    iua: dict[str, Any] = {}
    if grant.patient is not None:
        iua["person_id"] = grant.patient
    if grant.purpose is not None:
        iua["purpose_of_use"] = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": grant.purpose}]
    if grant.person is not None:
        iua["national_provider_identifier"] = {"system": grant.person.system, "value": grant.person.identifier}
        iua["subject_role"] = [grant.person.role] if grant.person.role else []
        iua["subject_organization_id"] = grant.person.organization
    if iua:
        claims["extensions"] = {"ihe_iua": iua}
    own = {name: value for name, value in grant.claims.items() if name not in OWN_CLAIMS}
    return AccessToken(issuer, grant, jti, now, start + grant.lifetime, keys.sign(own | claims, typ=MEDIA_TYPE))


OWN_CLAIMS = frozenset(  # of a token, and of what introspection says of it
    ["iss", "sub", "client_id", "aud", "scope", "iat", "nbf", "exp", "jti", "cnf", "act", "extensions", "active", "token_type"]
)


def act_claim(grant: Grant) -> dict[str, Any] | None:
    """Return the chain of actors (RFC 8693 §4.1): who holds the token outermost, and within it who acted before."""
    act: dict[str, Any] | None = None
    for actor in reversed((grant.client_id, *grant.actors) if grant.principal or grant.actors else ()):
        act = {"sub": actor} | ({"act": act} if act else {})
    return act


@dataclass(frozen=True, slots=True)
class _Known:
    """A token of which the signature was verified with this key."""

    kid: str
    key: ec.EllipticCurvePublicKey
    token: AccessToken


class TokenVerifier:
    """Verifies access tokens for one audience from the issuers that it trusts."""

    def __init__(self, issuers: Mapping[str, KeySource], audience: str, clock: Clock) -> None:
        self._issuers = dict(issuers)
        self._audience = audience
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def verify(self, raw: str, peer: Peer, key: str | None = None) -> AccessToken:
        """Return the token when form, issuer, signature, audience, time and binding all hold.

        It is bound to the certificate of `peer`, or to the key with thumbprint `key` of which the caller gave proof (RFC 9449).
        The cheap checks come first. Raises Refused with the first check that fails. A token that was verified before is not decoded
        again while its issuer has the same key; its audience, time and binding are looked at each time.
        """
        known = self._known.get(raw)
        if known is None:
            header, claims = _decode_unverified(raw)
            issuer, kid = str(claims.get("iss")), str(header.get("kid"))
        else:
            issuer, kid = known.token.issuer, known.kid
        source = self._issuers.get(issuer)
        if source is None:
            raise Refused(TOKEN_ISSUER, "the token's issuer is not the one this service trusts")
        signer = await source.key(kid)
        if signer is None:
            raise Refused(TOKEN_SIGNATURE, "the issuer has no key with the token's kid")
        if known is None or known.key != signer:
            known = self._verified(raw, kid, signer)
        token = known.token
        if token.grant.audience != self._audience:
            raise Refused(TOKEN_AUDIENCE, f"the token is for {token.grant.audience}, this is {self._audience}")
        now = self._clock.now().timestamp()
        if now >= token.expires_at:
            raise Refused(TOKEN_EXPIRED, f"the token expired {now - token.expires_at:.0f} seconds ago")
        if now < (token.grant.not_before or 0):
            raise Refused(TOKEN_NOT_YET, f"the token holds from {token.grant.not_before} on")
        check_binding(token.grant.confirmation, peer, key)
        return token

    def _verified(self, raw: str, kid: str, key: ec.EllipticCurvePublicKey) -> _Known:
        try:
            jwt.decode(raw, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
        except jwt.InvalidTokenError as error:
            raise Refused(TOKEN_SIGNATURE, "the signature does not verify") from error
        _, claims = _decode_unverified(raw)
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]  # the oldest
        known = self._known[raw] = _Known(kid, key, _parse(raw, claims))
        return known


def check_binding(confirmation: Confirmation, peer: Peer, key: str | None) -> None:
    """Raise Refused unless the caller has what the token is bound to, and sent it under the scheme that goes with it."""
    if (confirmation.method == KEY) != (key is not None):
        raise Refused(TOKEN_SCHEME, f"a token bound by {confirmation.method} is sent under the scheme {confirmation.scheme}")
    if confirmation.value != (key or peer.thumbprint):
        held = "the proof's key" if key else "the connection's certificate"
        raise Refused(TOKEN_BINDING, f"{held} is not the one in cnf.{confirmation.method}")


def inspect(raw: str, keys: SigningKeys) -> AccessToken | None:
    """Return what a token of one's own `keys` says, whether or not it still holds; None when it is no such token."""
    try:
        header, claims = _decode_unverified(raw)
        key = keys.public_key(str(header.get("kid")))
        if key is None:
            return None
        jwt.decode(raw, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
        return _parse(raw, claims)
    except (Refused, jwt.InvalidTokenError):
        return None


_SIGNATURE_ONLY: Any = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False,
    "verify_sub": False, "verify_jti": False,
}  # fmt: skip


def _decode_unverified(raw: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        if len(raw) > MAX_LENGTH:
            raise Refused(TOKEN_MALFORMED, f"the token is longer than {MAX_LENGTH} characters")
        decoded = jwt.decode_complete(raw, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise Refused(TOKEN_MALFORMED, "the token is not a JWT") from error
    header, claims = decoded["header"], decoded["payload"]
    if header.get("alg") != ALGORITHM or str(header.get("typ", "")).lower().removeprefix("application/") != MEDIA_TYPE:
        raise Refused(TOKEN_MALFORMED, f"the token's header must say alg {ALGORITHM} and typ {MEDIA_TYPE}")
    return header, claims


def _parse(raw: str, claims: dict[str, Any]) -> AccessToken:
    try:
        iua = claims.get("extensions", {}).get("ihe_iua", {})
        number = iua.get("national_provider_identifier")
        role = iua.get("subject_role") or [None]
        person = Person(number["value"], number["system"], role[0], iua.get("subject_organization_id")) if number else None
        purpose = iua.get("purpose_of_use")
        start = claims.get("nbf")
        client_id, principal = str(claims["client_id"]), str(claims["sub"])
        grant = Grant(
            client_id=client_id,
            audience=str(claims["aud"]),
            scopes=frozenset(str(claims["scope"]).split()),
            confirmation=_confirmation(claims["cnf"]),
            lifetime=int(claims["exp"]) - int(claims["iat"] if start is None else start),
            patient=iua.get("person_id"),
            person=person,
            purpose=purpose[0]["code"] if purpose else None,
            principal=principal if principal != client_id else None,
            actors=_actors(claims.get("act"))[1:],
            not_before=None if start is None else int(start),
            claims={name: value for name, value in claims.items() if name not in OWN_CLAIMS},
        )
        return AccessToken(str(claims["iss"]), grant, str(claims["jti"]), int(claims["iat"]), int(claims["exp"]), raw)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Refused(TOKEN_MALFORMED, "a claim that RFC 9068 or RFC 8705 asks for is missing or has another shape") from error


def _confirmation(cnf: dict[str, Any]) -> Confirmation:
    ((method, value),) = cnf.items()
    if method not in (CERTIFICATE, KEY) or not isinstance(value, str):
        raise ValueError("cnf names no certificate and no key")
    return Confirmation(method, value)


def _actors(act: dict[str, Any] | None) -> tuple[str, ...]:
    found = []
    while act is not None:
        found.append(str(act["sub"]))
        act = act.get("act")
    return tuple(found)
