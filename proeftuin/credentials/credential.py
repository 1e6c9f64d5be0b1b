"""A verifiable credential (VC data model 1.1): as JWT (§6.3.1), self-attested in a presentation, or wrapping a Dezi statement."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from proeftuin.credentials import jose
from proeftuin.credentials.jose import Jws
from proeftuin.reasons import CREDENTIAL_MALFORMED, Refused

CONTEXT = "https://www.w3.org/2018/credentials/v1"
BASE_TYPE = "VerifiableCredential"
DEZI_PROOF = "DeziIDJWT07"
TYPES = ("JWT", "vc+jwt", "vc+ld+jwt")
Format = Literal["jwt_vc", "self_attested", "dezi"]


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that was read and not verified. `document` is the data model in JSON, in which presentation exchange looks.

    `signed` is its JWS (None: self-attested, or a wrapped Dezi statement). Times are POSIX seconds; None where it has none.
    """

    format: Format
    document: dict[str, Any]
    issuer: str
    subject: str
    id: str
    types: tuple[str, ...]
    not_before: int | None
    expires: int | None
    signed: Jws | None = None

    @property
    def type(self) -> str:
        """Its own type, beside VerifiableCredential."""
        return next((each for each in self.types if each != BASE_TYPE), BASE_TYPE)

    @property
    def claims(self) -> dict[str, Any]:
        """The credentialSubject."""
        found: dict[str, Any] = self.document["credentialSubject"]
        return found

    @property
    def status(self) -> list[dict[str, Any]]:
        """Its credentialStatus entries."""
        entries = self.document.get("credentialStatus", [])
        return entries if isinstance(entries, list) else [entries]


def read(raw: object, holder: str = "") -> Credential:
    """Read a credential as it stands in a presentation of `holder`; raises Refused(CREDENTIAL_MALFORMED)."""
    try:
        return _from_jwt(raw) if isinstance(raw, str) else _from_object(raw, holder)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise Refused(CREDENTIAL_MALFORMED, f"a credential cannot be read: {str(error)[:120]}") from error


def claims_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the JWT claims of a credential: iss, sub, jti, nbf and exp stand for what the data model calls otherwise."""
    vc = {name: value for name, value in document.items() if name not in ("issuer", "id", "issuanceDate", "expirationDate")}
    claims = {
        "iss": document["issuer"], "sub": document["credentialSubject"]["id"], "jti": document["id"],
        "nbf": _seconds(document["issuanceDate"]), "vc": vc,
    }  # fmt: skip
    if "expirationDate" in document:
        claims["exp"] = _seconds(document["expirationDate"])
    return claims


def new_document(
    issuer: str,
    subject: dict[str, Any],
    kind: str,
    contexts: list[str],
    times: tuple[datetime, datetime | None],
) -> dict[str, Any]:
    """Return an unsigned credential of type `kind` on `subject` (with its `id`), with a new id under the issuer."""
    document: dict[str, Any] = {
        "@context": [CONTEXT, *contexts], "id": f"{issuer}#{uuid.uuid4()}", "type": [BASE_TYPE, kind], "issuer": issuer,
        "issuanceDate": _date(times[0]), "credentialSubject": subject,
    }  # fmt: skip
    if times[1] is not None:
        document["expirationDate"] = _date(times[1])
    return document


def _from_jwt(raw: str) -> Credential:
    signed = jose.read(raw, TYPES)
    claims = signed.claims
    vc = claims["vc"]
    if not isinstance(vc, dict):
        raise ValueError("vc is an object")
    document = dict(vc)
    subject = _subject(document)
    for name, claim in (("issuer", "iss"), ("id", "jti")):
        _same(document, name, claims[claim])
    _same(subject, "id", claims["sub"])
    times: list[int | None] = []
    for name, claim in (("issuanceDate", "nbf"), ("expirationDate", "exp")):
        seconds = claims.get(claim)
        if seconds is not None:
            if type(seconds) not in (int, float):
                raise ValueError(f"{claim} is a number")
            document[name] = _date(datetime.fromtimestamp(seconds, UTC))
        elif name in document:
            raise ValueError(f"{name} stands in vc and not in {claim}")
        times.append(None if seconds is None else int(seconds))
    document["credentialSubject"] = subject
    return _made("jwt_vc", document, subject, times[0], times[1], signed)


def _from_object(raw: object, holder: str) -> Credential:
    if not isinstance(raw, dict):
        raise ValueError("it is neither a JWT nor an object")
    document = dict(raw)
    subject = _subject(document)
    proof = document.get("proof")
    if proof is not None and not (
        isinstance(proof, dict) and proof.get("type") == DEZI_PROOF and isinstance(proof.get("jwt"), str)
    ):
        raise ValueError(f"a proof inside a credential is only taken of type {DEZI_PROOF}; send others as JWT")
    if proof is None and document.setdefault("issuer", holder) != holder:
        raise ValueError("a credential without proof is issued by the holder itself")
    subject.setdefault("id", holder)
    document["credentialSubject"] = subject
    times = [_seconds(document[name]) if name in document else None for name in ("issuanceDate", "expirationDate")]
    return _made("dezi" if proof else "self_attested", document, subject, times[0], times[1], None)


def _made(
    form: Format, document: dict[str, Any], subject: dict[str, Any], nbf: int | None, exp: int | None, signed: Jws | None
) -> Credential:
    types = document.get("type")
    types = [types] if isinstance(types, str) else types
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types) or BASE_TYPE not in types:
        raise ValueError(f"type is a list with {BASE_TYPE}")
    contexts = document.get("@context")
    if not isinstance(contexts, list) or not contexts or contexts[0] != CONTEXT:
        raise ValueError(f"@context is a list that begins with {CONTEXT}")
    issuer = document["issuer"]
    issuer = issuer.get("id") if isinstance(issuer, dict) else issuer
    for value in (issuer, subject["id"]):
        if not isinstance(value, str) or not value:
            raise ValueError("issuer and credentialSubject.id are DIDs")
    status = document.get("credentialStatus", [])
    if not all(isinstance(each, dict) for each in (status if isinstance(status, list) else [status])):
        raise ValueError("credentialStatus is an object or a list of them")
    return Credential(form, document, str(issuer), str(subject["id"]), str(document.get("id", "")), tuple(types), nbf, exp, signed)


def _subject(document: dict[str, Any]) -> dict[str, Any]:
    """Return the one credentialSubject; a list of one counts as that one."""
    found = document.get("credentialSubject")
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        raise ValueError("a credential has exactly one credentialSubject")
    return dict(found)


def _same(document: dict[str, Any], name: str, value: object) -> None:
    """Fill `name` from its JWT claim; where both are there they are the same (VC 1.1 §6.3.1)."""
    given = document.get(name, value)
    given = given.get("id") if isinstance(given, dict) else given
    if given != value:
        raise ValueError(f"{name} differs from its JWT claim")
    document[name] = value


def _seconds(date: str) -> int:
    moment = datetime.fromisoformat(date)
    if moment.tzinfo is None:
        raise ValueError("a date has a time zone")
    return int(moment.timestamp())


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
