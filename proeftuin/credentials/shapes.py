"""What each type of credential holds (Nuts RFC023): credentialSubject as JSON Schema in shapes.json, and what no schema can say."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
from cryptography import x509

from proeftuin.credentials import did_x509
from proeftuin.credentials.credential import Credential
from proeftuin.reasons import CREDENTIAL_SHAPE, Refused

SHAPES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "shapes.json").read_text())
SELF_ATTESTED = frozenset(name for name, shape in SHAPES.items() if shape["self_attested"])


def check(credential: Credential) -> None:
    """Raise Refused(CREDENTIAL_SHAPE) when the credential is not of the shape of its type; a type that is not known passes."""
    shape = SHAPES.get(credential.type)
    if credential.format == "self_attested" and credential.type not in SELF_ATTESTED:
        raise Refused(CREDENTIAL_SHAPE, f"a {credential.type[:60]} is not for the holder itself to attest")
    if credential.format == "dezi" and credential.type != "DeziUserCredential":
        raise Refused(CREDENTIAL_SHAPE, "a Dezi proof stands in a DeziUserCredential")
    if shape is None:
        return
    if lacking := [each for each in shape["contexts"] if each not in credential.document["@context"]]:
        raise Refused(CREDENTIAL_SHAPE, f"a {credential.type} has @context {', '.join(lacking)}")
    for error in _validator(credential.type).iter_errors(credential.claims):  # its message may show the value: a BSN
        where = ".".join(map(str, error.instance_path)) or "credentialSubject"
        raise Refused(CREDENTIAL_SHAPE, f"{credential.type}: {where} is not as its type prescribes ({error.schema_path[-1]})")
    if credential.format == "jwt_vc" and not credential.id.startswith(credential.issuer):
        raise Refused(CREDENTIAL_SHAPE, "the id of a credential begins with the DID of its issuer")


def check_x509(credential: Credential, leaf: x509.Certificate) -> None:
    """Raise Refused(CREDENTIAL_SHAPE) unless an X509Credential says no more than its certificate does (RFC023).

    Every entry stands in the policies of the issuer's DID, and the credential lives within the certificate.
    """
    if credential.type != "X509Credential":
        raise Refused(CREDENTIAL_SHAPE, "a did:x509 issues an X509Credential and nothing else")
    policies = did_x509.parse(credential.issuer).policies
    stated = [(kind, name, value) for kind in ("subject", "san") for name, value in credential.claims.get(kind, {}).items()]
    if extra := [f"{kind}.{name}" for kind, name, value in stated if (kind, name, value) not in policies]:
        raise Refused(CREDENTIAL_SHAPE, f"X509Credential: {', '.join(extra)[:80]} does not stand in the policies of its issuer")
    if other := credential.claims.keys() - {"id", "subject", "san"}:
        raise Refused(CREDENTIAL_SHAPE, f"X509Credential: {', '.join(sorted(other))[:80]} is nothing that a certificate says")
    if credential.not_before is None or credential.not_before < int(leaf.not_valid_before_utc.timestamp()):
        raise Refused(CREDENTIAL_SHAPE, "X509Credential: issuanceDate is before the certificate's notBefore")
    if credential.expires is None or credential.expires > int(leaf.not_valid_after_utc.timestamp()):
        raise Refused(CREDENTIAL_SHAPE, "X509Credential: expirationDate is absent, or after the certificate's notAfter")


@functools.cache
def _validator(kind: str) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator({"type": "object"} | SHAPES[kind]["subject"])
