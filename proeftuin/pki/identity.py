"""The identity of the caller, read from a certificate whose chain and revocation TLS has verified.

Where each identifier stands, by the kind of certificate:

- `uzi`: URA in the SAN otherName 2.5.5.5, `<CA OID>-<version>-<UZI number>-S-<URA>-00.000-<AGB>` (UZI-register CPS).
- `pkioverheid`: OIN in subject.serialNumber (Logius Digikoppeling).
- `vecozo`: subject.serialNumber is the 14-digit gebruikersnummer, which names no organisation by itself.
- all: KvK in subject.organizationIdentifier as `NTRNL-<KvK>` (ETSI EN 319 412-1 §5.1.4). What has no place of its own
  (UZOVI always, OIN outside PKIoverheid) stands in a SAN URI of ours: `urn:proeftuin:uzovi:9901`.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import NameOID

from proeftuin.identifiers import (
    KVK_SYSTEM,
    OIN_SYSTEM,
    URA_SYSTEM,
    UZOVI_SYSTEM,
    validate_kvk,
    validate_oin,
    validate_uzovi,
)
from proeftuin.parties import CertificateKind

ROOT_NAME = "Proeftuin Stelsel Root CA"
ISSUERS: dict[CertificateKind, str] = {
    "uzi": "Proeftuin UZI-register Zorgaanbieder CA",
    "pkioverheid": "Proeftuin PKIoverheid Private Services CA",
    "vecozo": "Proeftuin VECOZO Systeemcertificaten CA",
}
_KINDS = {name: kind for kind, name in ISSUERS.items()}
UZI_OTHER_NAME = x509.ObjectIdentifier("2.5.5.5")
URN = "urn:proeftuin:"
KVK_PREFIX = "NTRNL-"
_UZI_VALUE = re.compile(r"[0-9.]+-[0-9]+-[0-9]{9}-S-([0-9]{8})-00\.000-[0-9]{8}")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: `thumbprint` is x5t#S256 (RFC 8705 §3.1), `issuer` the CN of the issuing CA."""

    thumbprint: str
    serial: int
    issuer: str
    kind: CertificateKind
    common_name: str
    ura: str | None
    oin: str | None
    uzovi: str | None
    kvk: str | None
    not_after: datetime

    @property
    def client_id(self) -> str:
        """The OAuth client_id, equal to that of the Party to which the certificate was issued."""
        for kind in ("ura", "oin", "uzovi", "kvk"):
            if value := getattr(self, kind):
                return f"{kind}:{value}"
        raise AssertionError("peer_from_der makes no Peer without an identifier")

    @property
    def certificate_id(self) -> str:
        """The name of the certificate itself: its issuer and serial number."""
        return f"{self.issuer}#{self.serial:x}"

    @property
    def identifier(self) -> tuple[str, str]:
        """The identifier of client_id as (naming system, value)."""
        systems = {"ura": URA_SYSTEM, "oin": OIN_SYSTEM, "uzovi": UZOVI_SYSTEM, "kvk": KVK_SYSTEM}
        kind, _, value = self.client_id.partition(":")
        return systems[kind], value


def thumbprint(der: bytes) -> str:
    """Return x5t#S256: the SHA-256 of the DER in base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def peer_from_der(der: bytes) -> Peer:
    """Return the identity in a certificate of one of the network's issuing CAs; raises ValueError when it has none.

    It does not verify: give it only what TLS has verified.
    """
    try:
        return _read(der)
    except ValueError:
        raise
    except Exception as error:  # the parser raises types of its own on odd certificates
        raise ValueError(f"not a certificate that can be read: {type(error).__name__}") from error


def _read(der: bytes) -> Peer:
    certificate = x509.load_der_x509_certificate(der)
    issuer = _only(certificate.issuer, NameOID.COMMON_NAME)
    kind = _KINDS.get(issuer or "")
    if issuer is None or kind is None:
        raise ValueError("the certificate is not of an issuing CA that this network knows")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    number = _only(certificate.subject, NameOID.SERIAL_NUMBER)
    organization = _only(certificate.subject, NameOID.ORGANIZATION_IDENTIFIER) or ""
    ura = _ura(names) if kind == "uzi" else None
    oin = _valid(validate_oin, number if kind == "pkioverheid" else _urn(names, "oin"))
    uzovi = _valid(validate_uzovi, _urn(names, "uzovi"))
    kvk = _valid(validate_kvk, organization.removeprefix(KVK_PREFIX)) if organization.startswith(KVK_PREFIX) else None
    if kind == "uzi" and ura is None:
        raise ValueError("the UZI certificate has no URA in SAN otherName 2.5.5.5")
    if not (ura or oin or uzovi or kvk):
        raise ValueError("the certificate names no organisation: no URA, OIN, UZOVI or KvK")
    return Peer(
        thumbprint(der), certificate.serial_number, issuer, kind,
        _only(certificate.subject, NameOID.COMMON_NAME) or "", ura, oin, uzovi, kvk, certificate.not_valid_after_utc,
    )  # fmt: skip


def _only(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else None


def _ura(names: x509.SubjectAlternativeName) -> str | None:
    values = [each.value for each in names.get_values_for_type(x509.OtherName) if each.type_id == UZI_OTHER_NAME]
    if len(values) != 1:
        return None
    try:
        match = _UZI_VALUE.fullmatch(asn1.decode_der(str, values[0]))
    except ValueError:  # no UTF8String
        return None
    return match[1] if match else None


def _urn(names: x509.SubjectAlternativeName, kind: str) -> str | None:
    prefix = f"{URN}{kind}:"
    found = [uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri.startswith(prefix)]
    return found[0].removeprefix(prefix) if len(found) == 1 else None


def _valid(validate: Callable[[str], str], value: str | None) -> str | None:
    """Return `value` when it is of the form asked for: what stands in its place but is something else, names nobody."""
    try:
        return validate(value) if value is not None else None
    except ValueError:
        return None
