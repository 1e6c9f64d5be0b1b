"""The DeziUserCredential: a signed statement on a professional (Dezi verklaring 0.7), wrapped so that it fits in a presentation.

Its proof is the statement itself. Field names as the Nuts node's project-gf writes them.
"""

from datetime import UTC, datetime
from typing import Any

from proeftuin.clock import Clock
from proeftuin.credentials import jose
from proeftuin.credentials.credential import BASE_TYPE, CONTEXT, DEZI_PROOF, Credential
from proeftuin.reasons import CREDENTIAL_SHAPE, IDENTITY_INVALID, Refused
from proeftuin.tokens import identity
from proeftuin.tokens.issuers import KeySource

TYPE = "DeziUserCredential"
_EMPLOYEE = {
    "identifier": "dezi_nummer", "initials": "voorletters", "surnamePrefix": "voorvoegsel", "surname": "achternaam",
    "role": "rol_code", "role_registry": "rol_code_bron", "role_name": "rol_naam",
}  # fmt: skip


def wrap(statement: str, holder: str) -> dict[str, Any]:
    """Return the credential of `holder` (DID) around a statement; raises Refused(IDENTITY_INVALID) when it is none."""
    claims = _claims(statement)
    try:
        document = _expected(claims)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Refused(IDENTITY_INVALID, "the statement is not on a professional") from error
    document["credentialSubject"]["id"] = holder
    return document | {"proof": {"type": DEZI_PROOF, "jwt": statement}}


async def verify(credential: Credential, providers: dict[str, KeySource], clock: Clock) -> str:
    """Return the statement in a DeziUserCredential when it holds and the credential says the same, field by field.

    Raises Refused: IDENTITY_INVALID or CREDENTIAL_SHAPE.
    """
    statement: str = credential.document["proof"]["jwt"]
    await identity.verify(statement, providers, clock)
    expected = _expected(_claims(statement))
    expected["credentialSubject"]["id"] = credential.subject
    for name, value in expected.items():
        if credential.document.get(name) != value:
            raise Refused(CREDENTIAL_SHAPE, f"DeziUserCredential: {name} differs from the statement that it wraps")
    return statement


def _claims(statement: str) -> dict[str, Any]:
    try:
        return jose.read(statement, (identity.MEDIA_TYPE,)).claims
    except ValueError as error:
        raise Refused(IDENTITY_INVALID, f"the statement cannot be read: {error}") from error


def _expected(claims: dict[str, Any]) -> dict[str, Any]:
    employee = {name: claims[claim] for name, claim in _EMPLOYEE.items() if claim in claims}
    subject = {
        "@type": "DeziIDTokenSubject", "identifier": claims["abonnee_nummer"], "name": claims["abonnee_naam"],
        "employee": {"@type": "HealthcareWorker"} | employee,
    }  # fmt: skip
    return {
        "@context": [CONTEXT], "id": claims["jti"], "type": [BASE_TYPE, TYPE], "issuer": claims["iss"],
        "issuanceDate": _date(claims["nbf"]), "expirationDate": _date(claims["exp"]), "credentialSubject": subject,
    }  # fmt: skip


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
