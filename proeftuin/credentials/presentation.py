"""A verifiable presentation as JWT (VC 1.1 §6.3.1, Nuts RFC021 §5): made by a holder, and the checks that need no key."""

import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from proeftuin.clock import Clock
from proeftuin.credentials import credential, jose
from proeftuin.credentials.credential import CONTEXT, Credential
from proeftuin.credentials.dids import did_of
from proeftuin.credentials.jose import Jws
from proeftuin.reasons import (
    PRESENTATION_AUDIENCE,
    PRESENTATION_MALFORMED,
    PRESENTATION_NONCE,
    PRESENTATION_SIGNER,
    PRESENTATION_VALIDITY,
    Refused,
)
from proeftuin.tokens.keys import SigningKeys

BASE_TYPE = "VerifiablePresentation"
MAX_VALIDITY = 5  # seconds (RFC021 §5.2.1)
MAX_SKEW = 5  # seconds that two clocks may differ (RFC021)
MAX_CREDENTIALS = 20
_MAX_NONCE = 128


@dataclass(frozen=True, slots=True)
class Presentation:
    """A presentation that was read and not verified. `document` is its `vp` claim; times are POSIX seconds."""

    signed: Jws
    holder: str
    credentials: tuple[Credential, ...]
    document: dict[str, Any]
    audience: tuple[str, ...]
    not_before: float | None
    expires: float | None
    nonce: str | None
    id: str


def read(raw: object) -> Presentation:
    """Read a presentation; raises Refused: PRESENTATION_MALFORMED or CREDENTIAL_MALFORMED."""
    try:
        signed = jose.read(raw)
        claims, vp = signed.claims, signed.claims["vp"]
        if not isinstance(vp, dict):
            raise ValueError("vp is an object")
        holder = claims["iss"]
        if not isinstance(holder, str) or claims.get("sub", holder) != holder or vp.get("holder", holder) != holder:
            raise ValueError("iss, sub and vp.holder are one DID")
        if did_of(signed.kid) != holder or "#" not in signed.kid:
            raise ValueError("kid is the DID URL of a key of iss")
        types = vp.get("type")
        if BASE_TYPE not in (types if isinstance(types, list) else [types]):
            raise ValueError(f"vp.type has {BASE_TYPE}")
        given = vp.get("verifiableCredential", [])
        given = given if isinstance(given, list) else [given]
        if len(given) > MAX_CREDENTIALS:
            raise ValueError(f"it has more than {MAX_CREDENTIALS} credentials")
        audience = claims.get("aud", [])
        audience = [audience] if isinstance(audience, str) else audience
        if not isinstance(audience, list) or not all(isinstance(each, str) for each in audience):
            raise ValueError("aud is text or a list of texts")
        nonce = claims.get("nonce")
        moments = [_moment(claims, "nbf" if "nbf" in claims else "iat"), _moment(claims, "exp")]
        return Presentation(
            signed, holder, tuple(credential.read(each, holder) for each in given), vp | {"verifiableCredential": given},
            tuple(audience), moments[0], moments[1], nonce if isinstance(nonce, str) else None, str(claims.get("jti", "")),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(PRESENTATION_MALFORMED, f"assertion parameter is invalid: {str(error)[:120]}") from error


def create(
    keys: SigningKeys,
    did: str,
    credentials: list[Any],
    audience: str,
    clock: Clock,
    *,
    nonce: str = "",
    lifetime: int = MAX_VALIDITY,
) -> str:
    """Return a presentation by `did` of `credentials` (JWTs or objects) for `audience`, with a fresh nonce unless one is given."""
    now = int(clock.real().timestamp())
    claims = {
        "iss": did, "sub": did, "jti": f"{did}#{uuid.uuid4()}", "aud": audience, "nbf": now, "iat": now, "exp": now + lifetime,
        "nonce": nonce or secrets.token_urlsafe(16),
        "vp": {"@context": [CONTEXT], "type": [BASE_TYPE], "holder": did, "verifiableCredential": credentials},
    }  # fmt: skip
    return keys.sign(claims, typ="JWT", controller=did)


def check_validity(presentation: Presentation, longest: int = MAX_VALIDITY) -> None:
    """Raise Refused(PRESENTATION_VALIDITY) unless it says from and until when it holds, at most `longest` seconds apart."""
    if presentation.not_before is None or presentation.expires is None:
        raise Refused(PRESENTATION_VALIDITY, "presentation is missing creation or expiration date")
    if presentation.expires - presentation.not_before > longest:
        raise Refused(PRESENTATION_VALIDITY, f"presentation is valid for too long (max {longest}s)")


def check_signer(presentation: Presentation, expected: str | None = None) -> None:
    """Raise Refused(PRESENTATION_SIGNER) unless the signer is the subject of every credential, and `expected` when it is given."""
    if any(each.subject != presentation.holder for each in presentation.credentials):
        raise Refused(PRESENTATION_SIGNER, "presentation signer is not credential subject")
    if expected is not None and presentation.holder != expected:
        raise Refused(PRESENTATION_SIGNER, "not all presentations have the same credential subject ID")


def check_audience(presentation: Presentation, audience: str) -> None:
    """Raise Refused(PRESENTATION_AUDIENCE) unless it was made for `audience`."""
    if audience not in presentation.audience:
        raise Refused(PRESENTATION_AUDIENCE, "presentation audience/domain is missing or does not match")


def check_nonce(presentation: Presentation) -> str:
    """Return the nonce; raises Refused(PRESENTATION_NONCE)."""
    if not presentation.nonce or len(presentation.nonce) > _MAX_NONCE:
        raise Refused(PRESENTATION_NONCE, "presentation has invalid/missing nonce")
    return presentation.nonce


def check_time(presentation: Presentation, now: float) -> None:
    """Raise Refused(PRESENTATION_VALIDITY) when it does not hold at `now`, give or take the skew of two clocks."""
    start, end = presentation.not_before, presentation.expires
    if start is None or end is None or not start - MAX_SKEW <= now < end + MAX_SKEW:
        raise Refused(PRESENTATION_VALIDITY, "presentation is expired or not yet valid")


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value < 1e11:
        raise ValueError(f"{name} is a number of seconds")
    return float(value)
