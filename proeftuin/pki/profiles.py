"""What stands in the certificates: of the CAs, and of a party by its kind (`identity` says where and why)."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proeftuin.parties import Party
from proeftuin.pki.identity import KVK_PREFIX, URN, UZI_OTHER_NAME

KeyType = Literal["p256", "rsa2048"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_UZI_TEST_CA = "2.16.528.1.1007.99.2110"
_LOOPBACK = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]


def new_key(key_type: KeyType = "p256") -> PrivateKey:
    """Return a new private key."""
    if key_type == "rsa2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def authority_certificate(
    name: str, key: PrivateKey, validity: tuple[datetime, datetime], issuer: tuple[x509.Certificate, PrivateKey] | None
) -> x509.Certificate:
    """Return the certificate of a CA: a root without `issuer`, else an issuing CA, which may have no CA below it."""
    subject = _name((NameOID.COUNTRY_NAME, "NL"), (NameOID.ORGANIZATION_NAME, "Proeftuin (fictief)"), (NameOID.COMMON_NAME, name))
    return (
        _builder(subject, key, validity, issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )


def party_certificate(
    party: Party,
    key: PrivateKey,
    validity: tuple[datetime, datetime],
    issuer: tuple[x509.Certificate, PrivateKey],
    dns: Sequence[str],
) -> x509.Certificate:
    """Return a certificate for `party`, usable as client and as server on `dns` and the loopback addresses."""
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    names = [*(x509.DNSName(name) for name in dns), *_LOOPBACK, *_identity_names(party)]
    return (
        _builder(_subject(party), key, validity, issuer)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer[1], hashes.SHA256())
    )


def is_of(certificate: x509.Certificate, party: Party) -> bool:
    """Tell whether a certificate says of `party` what one that is issued now would say: name, place and numbers."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identity = [name for name in names if not isinstance(name, x509.DNSName | x509.IPAddress)]
    return certificate.subject == _subject(party) and identity == _identity_names(party)


def _builder(
    subject: x509.Name,
    key: PrivateKey,
    validity: tuple[datetime, datetime],
    issuer: tuple[x509.Certificate, PrivateKey] | None,
) -> x509.CertificateBuilder:
    issuing_key = issuer[1].public_key() if issuer else key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing_key), critical=False)
    )


def _subject(party: Party) -> x509.Name:
    return _name(
        (NameOID.COUNTRY_NAME, "NL"),
        (NameOID.LOCALITY_NAME, party.city or "onbekend"),  # an X509Credential names the place
        (NameOID.ORGANIZATION_NAME, party.name),
        (NameOID.ORGANIZATION_IDENTIFIER, f"{KVK_PREFIX}{party.kvk}" if party.kvk else None),
        (NameOID.SERIAL_NUMBER, _serial_number(party)),
        (NameOID.COMMON_NAME, party.name),
    )


def _serial_number(party: Party) -> str | None:
    """Return the UZI number or the VECOZO gebruikersnummer, made from the main identifier; or the OIN."""
    if party.certificate_kind == "pkioverheid":
        return party.oin
    if party.certificate_kind == "uzi":
        return f"9{party.ura}"
    _, _, value = party.client_id.partition(":")
    return f"299900{''.join(filter(str.isdecimal, value))[-8:]:0>8}"


def _identity_names(party: Party) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    if party.certificate_kind == "uzi":
        value = f"{_UZI_TEST_CA}-1-{_serial_number(party)}-S-{party.ura}-00.000-{party.agb or '00000000'}"
        names.append(x509.OtherName(UZI_OTHER_NAME, asn1.encode_der(value)))
    if party.uzovi:
        names.append(x509.UniformResourceIdentifier(f"{URN}uzovi:{party.uzovi}"))
    if party.oin and party.certificate_kind != "pkioverheid":
        names.append(x509.UniformResourceIdentifier(f"{URN}oin:{party.oin}"))
    return names


def _name(*attributes: tuple[x509.ObjectIdentifier, str | None]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes if value])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
