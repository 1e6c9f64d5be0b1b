"""A presentation and its credentials: what is read, what is refused before any key is asked, and what is verified."""

import base64
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proeftuin.credentials import credential, dezi, jose, presentation
from proeftuin.credentials.credential import CONTEXT
from proeftuin.reasons import Refused
from tests.unit.credentials.world import HOSPITAL, LOGIN, REGISTER, VENDOR, World

pytestmark = pytest.mark.anyio
AUDIENCE = "https://as.test/oauth2/home"


def unsigned(raw: str) -> dict[str, Any]:
    return jwt.decode(raw, options={"verify_signature": False})


def presented(world: World, *credentials: Any, by: str = HOSPITAL, **changes: Any) -> str:
    raw = presentation.create(world.keys[by], world.did(by), list(credentials), AUDIENCE, world.clock)
    if not changes:
        return raw
    claims = {name: value for name, value in (unsigned(raw) | changes).items() if value is not None}
    return world.keys[by].sign(claims, typ="JWT", controller=world.did(by))


def resigned(world: World, raw: str, by: str, change: Callable[[dict[str, Any]], None], **header: Any) -> str:
    claims = unsigned(raw)
    change(claims)
    return world.keys[by].sign(claims, typ=header.get("typ", "JWT"), controller=header.get("controller", world.did(by)))


async def test_a_presentation_holds_with_every_kind_of_credential(world: World) -> None:
    did = world.did(HOSPITAL)
    enrollment = {
        "@context": [CONTEXT],
        "type": ["VerifiableCredential", "PatientEnrollmentCredential"],
        "credentialSubject": {"patientId": "http://fhir.nl/fhir/NamingSystem/bsn|999910000", "registeredBy": "x|1"},
    }
    read = presentation.read(
        presented(world, world.x509_credential(), world.issue(), enrollment, dezi.wrap(world.statement(), did))
    )
    assert [each.format for each in read.credentials] == ["jwt_vc", "jwt_vc", "self_attested", "dezi"]
    assert {each.subject for each in read.credentials} == {did}
    assert read.credentials[2].issuer == did
    presentation.check_validity(read)
    presentation.check_signer(read)
    presentation.check_audience(read, AUDIENCE)
    assert presentation.check_nonce(read)
    evidence = await world.verifier.verify(read)
    leaf = f"Proeftuin UZI-register Zorgaanbieder CA#{world.rsa.serial:x}"
    assert (evidence.certificates[0], evidence.expires) == (leaf, read.credentials[3].expires)
    assert evidence.statement == read.credentials[3].document["proof"]["jwt"]
    world.authority.revoke(world.rsa.serial)
    with pytest.raises(Refused, match="certificate_revoked"):
        await world.verifier.verify(read)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "did:web:else"},
        {"sub": "did:web:else"},
        {"vp": None},
        {"vp": "x"},
        {"vp": {"type": "X"}},
        {"aud": 1},
        {"aud": [1]},
        {"exp": "soon"},
        {"nbf": True},
        {"exp": -1},
        {"vp": {"type": ["VerifiablePresentation"], "holder": "did:web:else"}},
        {"vp": {"type": ["VerifiablePresentation"], "verifiableCredential": ["x"] * 21}},
    ],
)
def test_a_presentation_that_cannot_be_read(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="presentation_malformed: assertion parameter is invalid"):
        presentation.read(presented(world, **changes))


@pytest.mark.parametrize("raw", [None, "", "x", "a.b.c", "x" * 70000, 1, {"type": "VerifiablePresentation"}])
def test_what_is_no_jwt(raw: Any) -> None:
    with pytest.raises(Refused, match="presentation_malformed"):
        presentation.read(raw)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "at+jwt"}, {}),
        ({"typ": "jose"}, {}),
        ({"crit": ["x"], "x": 1}, {}),
        ({"jwk": {}}, {}),
        ({"jku": "https://thief"}, {}),
        ({"kid": None}, {}),
        ({"kid": "did:web:else#1"}, {}),
        ({"alg": "HS256"}, {}),
        ({"alg": "none"}, {}),
    ],
)
def test_a_header_that_is_not_taken(world: World, header: dict[str, Any], claims: dict[str, Any]) -> None:
    key: Any = ec.generate_private_key(ec.SECP256R1())
    algorithm = header.pop("alg", "ES256")
    if algorithm != "ES256":
        key = "secret" * 10 if algorithm == "HS256" else None
    sent = {"typ": "JWT", "kid": f"{world.did(HOSPITAL)}#1"} | header
    raw = jwt.encode(unsigned(presented(world)) | claims, key, algorithm, headers={k: v for k, v in sent.items() if v is not None})
    with pytest.raises(Refused, match="presentation_malformed"):
        presentation.read(raw)


def test_a_payload_with_a_member_twice_or_nested_without_end(world: World) -> None:
    parts = presented(world).split(".")
    for payload in ('{"iss":"a","iss":"b"}', '{"vp":' * 40 + "1" + "}" * 40, '{"exp":NaN}', "[]", '{"a":' + "[" * 100000):
        body = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()[:60000]
        with pytest.raises(Refused, match="presentation_malformed"):
            presentation.read(f"{parts[0]}.{body}.{parts[2]}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exp": None}, "presentation is missing creation or expiration date"),
        ({"nbf": None, "iat": None}, "presentation is missing creation or expiration date"),
        ({"nbf": 0}, "presentation is valid for too long (max 5s)"),
    ],
)
def test_a_presentation_lives_for_seconds(world: World, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as refused:
        presentation.check_validity(presentation.read(presented(world, **changes)))
    assert (refused.value.reason.code, refused.value.detail) == ("presentation_validity", said)


def test_the_longest_validity_is_a_setting(world: World) -> None:
    read = presentation.read(presented(world))
    presentation.check_validity(read, 5)
    with pytest.raises(Refused, match=r"too long \(max 4s\)"):
        presentation.check_validity(read, 4)


async def test_a_presentation_holds_from_nbf_to_exp_give_or_take_five_seconds(world: World) -> None:
    read = presentation.read(presented(world))
    now = world.clock.now().timestamp()
    for moment, holds in ((-6, False), (-5, True), (0, True), (9, True), (10, False)):
        if holds:
            presentation.check_time(read, now + moment)
        else:
            with pytest.raises(Refused, match="presentation_validity"):
                presentation.check_time(read, now + moment)
    world.clock.forward(seconds=10)
    with pytest.raises(Refused, match="presentation_validity"):
        await world.verifier.verify(read)


def test_signer_audience_and_nonce(world: World) -> None:
    read = presentation.read(presented(world, world.issue(), by=VENDOR))
    with pytest.raises(Refused, match="presentation signer is not credential subject"):
        presentation.check_signer(read)
    own = presentation.read(presented(world, world.issue()))
    presentation.check_signer(own, world.did(HOSPITAL))
    with pytest.raises(Refused, match="not all presentations have the same credential subject ID"):
        presentation.check_signer(own, world.did(VENDOR))
    for audience in (None, "https://as.test/oauth2/other", [AUDIENCE + "/"]):
        with pytest.raises(Refused, match="presentation audience/domain is missing or does not match"):
            presentation.check_audience(presentation.read(presented(world, aud=audience)), AUDIENCE)
    presentation.check_audience(presentation.read(presented(world, aud=["x", AUDIENCE])), AUDIENCE)
    for nonce in (None, "", 1, "x" * 129):
        with pytest.raises(Refused, match="presentation has invalid/missing nonce"):
            presentation.check_nonce(presentation.read(presented(world, nonce=nonce)))


async def test_a_presentation_signed_with_another_key(world: World) -> None:
    kid = f"{world.did(HOSPITAL)}#{world.keys[HOSPITAL].jwks()['keys'][0]['kid']}"
    forged = jwt.encode(
        unsigned(presented(world)), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": kid, "typ": "JWT"}
    )
    with pytest.raises(Refused, match="presentation_signature"):
        await world.verifier.verify(presentation.read(forged))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(unsigned(presented(world)), key, "RS256", headers={"kid": kid, "typ": "JWT"})
    with pytest.raises(Refused, match="alg RS256 does not fit the key"):
        await world.verifier.verify(presentation.read(forged))


# --- credentials


def alter(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(claims: dict[str, Any]) -> None:
        target = claims
        *path, last = name.split(".")
        for part in path:
            target = target[part]
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", None),
        ("sub", None),
        ("jti", None),
        ("vc", "x"),
        ("vc.type", None),
        ("vc.type", ["X"]),
        ("vc.@context", None),
        ("vc.@context", "x"),
        ("vc.@context", ["https://else"]),
        ("vc.credentialSubject", None),
        ("vc.credentialSubject", [{}, {}]),
        ("vc.credentialSubject.id", "did:web:else"),
        ("vc.issuer", "did:web:else"),
        ("vc.id", "else"),
        ("exp", "x"),
        ("nbf", 1e30),
        ("vc.credentialStatus", "x"),
        ("vc.credentialStatus", ["x"]),
    ],
)
def test_a_credential_that_cannot_be_read(world: World, name: str, value: Any) -> None:
    with pytest.raises(Refused, match="credential_malformed"):
        credential.read(resigned(world, world.issue(), REGISTER, alter(name, value)))


def test_dates_stand_in_the_claims_alone(world: World) -> None:
    raw = resigned(world, world.issue(), REGISTER, alter("exp", None))
    dated = resigned(world, raw, REGISTER, alter("vc.expirationDate", "2030-01-01T00:00:00Z"))
    with pytest.raises(Refused, match="stands in vc and not in exp"):
        credential.read(dated)


def test_an_object_is_the_holders_own_word_and_never_anothers(world: World) -> None:
    document = {"@context": [CONTEXT], "type": ["VerifiableCredential", "X"], "credentialSubject": {"a": 1}}
    assert credential.read(document, "did:web:me").issuer == "did:web:me"
    for wrong in (
        {"issuer": world.did(REGISTER)},
        {"issuer": {"id": world.did(REGISTER)}},
        {"proof": {"type": "JsonWebSignature2020"}},
        {"proof": "x"},
        {"proof": {"type": "DeziIDJWT07"}},
        {"issuanceDate": "2026-01-01T00:00:00"},
        {"issuanceDate": "x"},
        {"issuanceDate": 1},
    ):
        with pytest.raises(Refused, match="credential_malformed"):
            credential.read(document | wrong, "did:web:me")


async def test_a_credential_that_does_not_hold(world: World) -> None:
    holder = world.keys[VENDOR]
    stolen = holder.sign(unsigned(world.issue()), typ="JWT", controller=world.did(REGISTER))
    cases = {
        "did_unresolvable": stolen,
        "credential_expired": world.issue(days=-1),
        "credential_shape": world.issue(subject={"id": world.did(HOSPITAL)}),
    }
    for reason, raw in cases.items():
        with pytest.raises(Refused, match=reason):
            await world.verifier.verify(presentation.read(presented(world, raw)))
    early = resigned(world, world.issue(), REGISTER, alter("nbf", world.clock.now().timestamp() + 60))
    with pytest.raises(Refused, match="does not hold yet"):
        await world.verifier.verify(presentation.read(presented(world, early)))
    tampered = world.issue()
    head, body, _ = tampered.split(".")
    other = world.issue(subject={"id": world.did(HOSPITAL), "roleCodeNL": "Z3"}).split(".")[1]
    assert other != body
    with pytest.raises(Refused, match="credential_signature"):
        await world.verifier.verify(presentation.read(presented(world, f"{head}.{other}.{tampered.split('.')[2]}")))
    foreign = resigned(world, world.issue(), REGISTER, alter("jti", "did:web:else#1"))
    with pytest.raises(Refused, match="begins with the DID of its issuer"):
        await world.verifier.verify(presentation.read(presented(world, foreign)))


async def test_an_x509_credential_says_no_more_than_its_certificate(world: World) -> None:
    key: Any = load_pem_private_key(world.rsa.key.read_bytes(), None)
    raw = world.x509_credential()
    header = {name: value for name, value in jwt.get_unverified_header(raw).items() if name != "alg"}
    leaf = world.chain()[0]
    for name, value, said in (
        ("vc.credentialSubject.subject.O", "Ziekenhuis Oeverzicht", "subject.O does not stand in the policies"),
        ("vc.credentialSubject.subject.CN", "Ziekenhuis De Linde", "subject.CN does not stand in the policies"),
        ("vc.credentialSubject.ura", "90000102", "ura is nothing that a certificate says"),
        ("nbf", int(leaf.not_valid_before_utc.timestamp()) - 1, "before the certificate's notBefore"),
        ("exp", int(leaf.not_valid_after_utc.timestamp()) + 1, "after the certificate's notAfter"),
        ("exp", None, "expirationDate is absent"),
        ("vc.type", ["VerifiableCredential", "NutsUraCredential"], "nuts.nl/credentials/2024"),
        ("vc.type", ["VerifiableCredential", "Anything"], "a did:x509 issues an X509Credential and nothing else"),
    ):
        claims = unsigned(raw)
        alter(name, value)(claims)
        with pytest.raises(Refused, match="credential_shape") as refused:
            await world.verifier.credential(credential.read(jose.sign(claims, key, "PS256", **header)))
        assert said in refused.value.detail
    for algorithm in ("PS256", "RS256"):  # RFC023 says PS256; RS256 is accepted since 2026
        await world.verifier.credential(credential.read(jose.sign(unsigned(raw), key, algorithm, **header)))


async def test_a_dezi_credential_says_what_its_statement_says(world: World) -> None:
    did = world.did(HOSPITAL)
    wrapped = dezi.wrap(world.statement(), did)
    assert wrapped["issuer"] == LOGIN
    for name, value in (
        ("id", "else"),
        ("issuer", "https://else"),
        ("issuanceDate", "2026-01-01T00:00:00Z"),
        ("expirationDate", "2099-01-01T00:00:00Z"),
        ("credentialSubject", wrapped["credentialSubject"] | {"identifier": "90000102"}),
        (
            "credentialSubject",
            wrapped["credentialSubject"] | {"employee": wrapped["credentialSubject"]["employee"] | {"role": "01.015"}},
        ),
        ("type", ["VerifiableCredential", "DeziUserCredential", "NutsUraCredential"]),
    ):
        with pytest.raises(Refused, match="credential_shape"):
            await world.verifier.credential(credential.read(wrapped | {name: value}, did))
    forged = world.keys[VENDOR].sign(unsigned(world.statement()), typ="verklaring+jwt")
    with pytest.raises(Refused, match="identity_invalid"):
        await world.verifier.credential(credential.read(dezi.wrap(forged, did), did))
    for bad in ("x", world.issue()):
        with pytest.raises(Refused, match="identity_invalid"):
            dezi.wrap(bad, did)
    world.clock.forward(hours=2)
    with pytest.raises(Refused, match="credential_expired"):
        await world.verifier.credential(credential.read(wrapped, did))
    hidden = {
        "@context": [CONTEXT],
        "type": ["VerifiableCredential", "X509Credential"],
        "credentialSubject": {"san": {"otherName": "x"}},
    }
    with pytest.raises(Refused, match="not for the holder itself to attest"):
        await world.verifier.credential(credential.read(hidden, did))
    hidden["proof"] = {"type": "DeziIDJWT07", "jwt": world.statement()}
    with pytest.raises(Refused, match=r"credential_shape|credential_malformed"):
        await world.verifier.credential(credential.read(hidden, did))
