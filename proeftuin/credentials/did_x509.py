"""did:x509 (Trust over IP, as Nuts RFC023 uses it): an issuer that is a certificate, named by its CA and by what stands in it.

`did:x509:0:sha256:<base64url SHA-256 of a CA certificate>::subject:O:<value>:L:<value>::san:otherName:<value>`, values percent
encoded. The name is canonical: one way to write it, so that a pattern on the name cannot be walked around.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from proeftuin.pki.identity import UZI_OTHER_NAME
from proeftuin.reasons import CERTIFICATE_REVOKED, CRL_EXPIRED, DID_UNRESOLVABLE, Refused
from proeftuin.transport.trust import Trust, common_name

PREFIX = "did:x509:0:sha256:"
MAX_LENGTH = 2048
_MAX_CHAIN = 5
_SUBJECT = {
    "serialNumber": NameOID.SERIAL_NUMBER, "CN": NameOID.COMMON_NAME, "L": NameOID.LOCALITY_NAME,
    "C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME, "STREET": NameOID.STREET_ADDRESS,
}  # fmt: skip
_SAN = ("otherName", "dns", "email", "IP")
_VALUE = re.compile(r"(?:[A-Za-z0-9._\-]|%[0-9A-F]{2})+")


@dataclass(frozen=True, slots=True)
class X509Name:
    """A parsed did:x509: the fingerprint of the CA, and policies as (`subject` or `san`, name, value)."""

    fingerprint: str
    policies: tuple[tuple[str, str, str], ...]


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as a did:x509 writes it."""
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def parse(did: str) -> X509Name:
    """Read a did:x509; raises ValueError. A policy may be repeated, or hold several names (both are in use)."""
    head, *policies = did.removeprefix(PREFIX).split("::")
    if not did.startswith(PREFIX) or len(did) > MAX_LENGTH or not re.fullmatch(r"[A-Za-z0-9_\-]{43}", head) or not policies:
        raise ValueError(f"it is {PREFIX}<fingerprint>::<policy>")
    found = []
    for policy in policies:
        kind, *rest = policy.split(":")
        if kind == "eku":
            raise ValueError("policy eku is not implemented")
        known = {"subject": tuple(_SUBJECT), "san": _SAN}.get(kind)
        if known is None or not rest or len(rest) % 2:
            raise ValueError(f"policy {kind[:20]!r} is not subject or san with names and values")
        for name, value in zip(rest[::2], rest[1::2], strict=True):
            if name not in known:
                raise ValueError(f"{kind} has {', '.join(known)}, not {name[:20]!r}")
            if not _VALUE.fullmatch(value) or encode(unquote(value, errors="strict")) != value:
                raise ValueError(f"the value of {kind}:{name} is not percent-encoded as prescribed")
            found.append((kind, name, unquote(value)))
    return X509Name(head, tuple(found))


def encode(value: str) -> str:
    """Percent-encode a value: all but letters, digits, '-', '.' and '_'."""
    return quote(value, safe="").replace("~", "%7E")


def mint(authority: x509.Certificate, leaf: x509.Certificate, subject: Iterable[str], san: Iterable[str]) -> str:
    """Return the did:x509 of `leaf` under `authority` with these names of its subject and SAN; raises ValueError without them."""
    policies = []
    for kind, names in (("subject", tuple(subject)), ("san", tuple(san))):
        values = [(name, next(iter(values_of(leaf, kind, name)), None)) for name in names]
        if lacking := [name for name, value in values if value is None]:
            raise ValueError(f"the certificate has no {kind} {', '.join(lacking)}")
        if values:
            policies.append(":".join([kind, *(part for name, value in values for part in (name, encode(str(value))))]))
    return "::".join([PREFIX + fingerprint(authority), *policies])


def resolve(did: str, header: Mapping[str, Any], trust: Trust, now: datetime) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """Return the key of the certificate that `did` names, shown in a JWS `header` as chain `x5c` (standard base64 DER, leaf first).

    The chain is exactly the one that leads to the trusted root, the fingerprint is of a CA in it (never the leaf), each policy
    stands in the leaf, the leaf may sign, and nothing in the chain is revoked. Raises Refused.
    """
    try:
        name = parse(did)
        chain = read_chain(header.get("x5c"))
        if header.get("kid") != f"{did}#0" or header.get("x5t#S256", fingerprint(chain[0])) != fingerprint(chain[0]):
            raise ValueError("kid is the DID with #0, and x5t#S256 the thumbprint of the leaf")
        _check_path(chain, trust.root(), now)
        if name.fingerprint not in {fingerprint(each) for each in chain[1:]}:
            raise ValueError("the fingerprint is of no CA certificate in the chain")
        for kind, key, value in name.policies:
            if value not in values_of(chain[0], kind, key):
                raise ValueError(f"the certificate has another {kind} {key}")
        public = chain[0].public_key()
        if not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise ValueError("the key of the certificate is neither RSA nor EC")
    except ValueError as error:
        raise Refused(DID_UNRESOLVABLE, f"did:x509: {error}") from error
    check_revocation(names_of(chain), trust, now)
    return public


def read_chain(x5c: object) -> list[x509.Certificate]:
    """Return the certificates of an `x5c` header; raises ValueError."""
    if not isinstance(x5c, list) or not 2 <= len(x5c) <= _MAX_CHAIN:
        raise ValueError(f"x5c is a list of 2 to {_MAX_CHAIN} certificates, leaf first")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(each, validate=True)) for each in x5c]
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError("x5c holds what is no certificate in standard base64") from error


def names_of(chain: Iterable[x509.Certificate]) -> tuple[str, ...]:
    """Return the name of each certificate of a chain, as a revocation list knows it (`Peer.certificate_id`)."""
    return tuple(f"{common_name(each.issuer)}#{each.serial_number:x}" for each in chain)


def check_revocation(names: Iterable[str], trust: Trust, now: datetime) -> None:
    """Raise Refused when a certificate (see `names_of`) is revoked, or the lists are too old to know (hard fail)."""
    revocations = trust.revocations()
    if now >= revocations.next_update:
        raise Refused(CRL_EXPIRED, "the revocation list ended, so no certificate behind a credential can be trusted")
    if any(map(revocations.include, names)):
        detail = "a certificate behind a credential stands on the revocation list"
        raise Refused(CERTIFICATE_REVOKED, detail, status=400, oauth="invalid_request")


def values_of(certificate: x509.Certificate, kind: str, name: str) -> list[str]:
    """Return the values of a name in the subject or SAN of a certificate."""
    if kind == "subject":
        return [str(each.value) for each in certificate.subject.get_attributes_for_oid(_SUBJECT[name])]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    if name == "otherName":
        return [
            asn1.decode_der(str, each.value) for each in names.get_values_for_type(x509.OtherName) if each.type_id == UZI_OTHER_NAME
        ]
    if name == "dns":
        return list(names.get_values_for_type(x509.DNSName))
    if name == "email":
        return list(names.get_values_for_type(x509.RFC822Name))
    return [str(each) for each in names.get_values_for_type(x509.IPAddress)]


def _check_path(chain: list[x509.Certificate], root: x509.Certificate, now: datetime) -> None:
    policy = PolicyBuilder().store(Store([root])).time(now).max_chain_depth(_MAX_CHAIN)
    policy = policy.extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
    try:
        verified = policy.build_client_verifier().verify(chain[0], chain[1:-1])
    except VerificationError as error:
        raise ValueError("the chain does not lead to the root of this network, or is out of its time") from error
    if verified.chain != chain:
        raise ValueError("x5c is not exactly the chain from the leaf to the root, in that order")
    try:
        signs = chain[0].extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        raise ValueError("the certificate is not for signatures (keyUsage digitalSignature)")
