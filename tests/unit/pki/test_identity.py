"""What a certificate says about its holder, and that nothing but ValueError comes of one that says nothing."""

import contextlib
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from proeftuin.parties import KINDS, Party, Seed
from proeftuin.pki.authority import Authority, Issued
from proeftuin.pki.identity import ISSUERS, peer_from_der, thumbprint
from proeftuin.pki.profiles import authority_certificate, new_key, party_certificate

NOW = datetime(2026, 11, 24, tzinfo=UTC)
VALIDITY = (NOW, NOW + timedelta(days=90))
KEY = new_key()
CAS = {kind: (authority_certificate(name, KEY, VALIDITY, None), KEY) for kind, name in ISSUERS.items()}
UZI = "2.16.528.1.1007.99.2110-1-990000101-S-90000101-00.000-00000000"


def der(issued: Issued) -> bytes:
    return ssl.PEM_cert_to_DER_cert(
        issued.certificate.read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    )


def made(issuer: str, subject: list[tuple[x509.ObjectIdentifier, str]], names: list[x509.GeneralName] | None) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(VALIDITY[0])
        .not_valid_after(VALIDITY[1])
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def other_name(value: bytes, oid: str = "2.5.5.5") -> x509.OtherName:
    return x509.OtherName(x509.ObjectIdentifier(oid), value)


def test_every_party_of_the_seed_is_recognised_by_its_certificate(authority: Authority, seed: Seed, tmp_path: Path) -> None:
    for party in seed.parties:
        issued = authority.issue(party, folder=tmp_path / party.id)
        peer = peer_from_der(der(issued))
        assert (peer.client_id, peer.identifier) == (party.client_id, party.identifiers[0])
        assert (peer.kind, peer.issuer) == (party.certificate_kind, ISSUERS[party.certificate_kind])
        assert (peer.serial, peer.thumbprint, peer.not_after) == (issued.serial, issued.thumbprint, issued.not_after)
        assert peer.common_name == party.name


@given(
    st.builds(
        Party,
        id=st.just("p"),
        name=st.just("P"),
        kind=st.sampled_from(sorted(KINDS)),
        city=st.none() | st.just("Lindenburg"),
        ura=st.none() | st.from_regex("[0-9]{8}", fullmatch=True),
        oin=st.none() | st.from_regex("[0-9]{8}[0-9A-Z]{8}0000", fullmatch=True),
        uzovi=st.none() | st.from_regex("[0-9]{4}", fullmatch=True),
        agb=st.none() | st.from_regex("[0-9]{8}", fullmatch=True),
        kvk=st.none() | st.from_regex("[0-9]{8}", fullmatch=True),
    ).filter(lambda party: party.ura or party.oin or party.uzovi or party.kvk)
)
def test_a_certificate_carries_all_identifiers_of_any_party(party: Party) -> None:
    leaf = party_certificate(party, KEY, VALIDITY, CAS[party.certificate_kind], ["localhost"])
    peer = peer_from_der(leaf.public_bytes(Encoding.DER))
    assert (peer.ura, peer.oin, peer.uzovi, peer.kvk) == (party.ura, party.oin, party.uzovi, party.kvk)
    assert peer.client_id == party.client_id


def test_the_uzi_other_name_is_written_as_the_register_does(seed: Seed) -> None:
    leaf = party_certificate(seed.party("ziekenhuis-de-linde"), KEY, VALIDITY, CAS["uzi"], [])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (name,) = names.get_values_for_type(x509.OtherName)
    assert name.type_id.dotted_string == "2.5.5.5"
    assert name.value[:1] == b"\x0c"  # UTF8String
    assert name.value[2:] == b"2.16.528.1.1007.99.2110-1-990000101-S-90000101-00.000-06990101"


def test_a_vecozo_certificate_has_a_gebruikersnummer_of_14_digits(seed: Seed) -> None:
    leaf = party_certificate(seed.party("zorgkantoor-lindestreek"), KEY, VALIDITY, CAS["vecozo"], [])
    assert leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == "29990000009901"


def test_the_thumbprint_is_base64url_without_padding() -> None:
    assert thumbprint(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


@pytest.mark.parametrize(
    ("issuer", "subject", "names"),
    [
        ("Another CA", [(NameOID.SERIAL_NUMBER, "00000009990002020000")], []),
        (ISSUERS["pkioverheid"], [(NameOID.SERIAL_NUMBER, "00000009990002020000")], None),
        (ISSUERS["pkioverheid"], [(NameOID.SERIAL_NUMBER, "12345")], [x509.DNSName("localhost")]),
        (ISSUERS["pkioverheid"], [(NameOID.SERIAL_NUMBER, "00000009990002020000")] * 2, [x509.DNSName("localhost")]),
        (ISSUERS["pkioverheid"], [(NameOID.ORGANIZATION_IDENTIFIER, "90990101")], [x509.DNSName("localhost")]),
        (ISSUERS["pkioverheid"], [], [other_name(asn1.encode_der(UZI))]),
        (ISSUERS["vecozo"], [(NameOID.SERIAL_NUMBER, "00000009990002020000")], [x509.DNSName("localhost")]),
        (ISSUERS["vecozo"], [], [other_name(asn1.encode_der(UZI))]),
        (ISSUERS["vecozo"], [], [x509.UniformResourceIdentifier(f"urn:proeftuin:uzovi:990{n}") for n in (1, 2)]),
        (ISSUERS["vecozo"], [], [x509.UniformResourceIdentifier("urn:proeftuin:uzovi:99011")]),
        (ISSUERS["uzi"], [(NameOID.ORGANIZATION_IDENTIFIER, "NTRNL-90990101")], [x509.DNSName("localhost")]),
        (ISSUERS["uzi"], [], [other_name(asn1.encode_der(UZI), "2.5.5.6")]),
        (ISSUERS["uzi"], [], [other_name(asn1.encode_der(UZI)), other_name(asn1.encode_der(UZI.replace("101-00", "102-00")))]),
        (ISSUERS["uzi"], [], [other_name(asn1.encode_der(UZI.replace("-S-", "-Z-")))]),
        (ISSUERS["uzi"], [], [other_name(asn1.encode_der(UZI + "\n"))]),
        (ISSUERS["uzi"], [], [other_name(b"\x0c\x02\xff\xff")]),
        (ISSUERS["uzi"], [], [other_name(b"\x02\x01\x01")]),
    ],
)
def test_a_certificate_without_a_valid_identity_in_its_place_is_refused(
    issuer: str, subject: list[tuple[x509.ObjectIdentifier, str]], names: list[x509.GeneralName] | None
) -> None:
    with pytest.raises(ValueError, match="certificate"):
        peer_from_der(made(issuer, subject or [(NameOID.COMMON_NAME, "x")], names))


WHOLE = made(ISSUERS["uzi"], [(NameOID.COMMON_NAME, "x")], [other_name(asn1.encode_der(UZI))])


def test_the_certificate_that_the_damaged_ones_are_made_of_is_good() -> None:
    assert peer_from_der(WHOLE).client_id == "ura:90000101"


@given(st.binary(max_size=80) | st.integers(0, len(WHOLE)).map(lambda end: WHOLE[:end]))
def test_what_is_no_certificate_raises_only_value_error(data: bytes) -> None:
    if data != WHOLE:
        with pytest.raises(ValueError):  # noqa: PT011 - any message
            peer_from_der(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_raises_nothing_but_value_error(place: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[place] ^= change
    with contextlib.suppress(ValueError):
        assert peer_from_der(bytes(data)).ura is not None


def test_a_peer_is_a_value(seed: Seed) -> None:
    peer = peer_from_der(WHOLE)
    assert peer == replace(peer)
    assert peer != replace(peer, serial=2)
