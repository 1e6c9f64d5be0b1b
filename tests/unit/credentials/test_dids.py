"""DIDs: where a did:web stands, which of its keys count, and what a did:x509 must show."""

import base64
import hashlib
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from proeftuin.credentials import did_x509, dids, jose
from proeftuin.credentials.jose import Jws
from proeftuin.reasons import Refused
from proeftuin.tokens.keys import public_jwk
from tests.unit.credentials.world import HOSPITAL, HOST, REGISTER, World

pytestmark = pytest.mark.anyio


def signed(did: str, fragment: str = "0", **header: Any) -> Jws:
    return Jws({"alg": "ES256", "kid": f"{did}#{fragment}"} | header, {}, "")


def test_a_did_web_and_its_address() -> None:
    assert dids.web_did("https://localhost:8491/iam/a") == "did:web:localhost%3A8491:iam:a"
    assert dids.web_url("did:web:localhost%3A8491:iam:a") == "https://localhost:8491/iam/a/did.json"
    assert dids.web_url("did:web:example.org") == "https://example.org/.well-known/did.json"


@pytest.mark.parametrize(
    "did",
    [
        "did:web:",
        "did:web:a:..:b",
        "did:web:a:.",
        "did:web:a/b",
        "did:web:a%2Fb",
        "did:web:user@a",
        "did:web:a%3A80%3A80",
        "did:web:a::b",
        "did:nuts:abc",
        "did:web:a?x",
        "",
        "did:web:a#b",
        "did:web:a:b%2E%2E",
        "did:web:" + ":".join("abcdefghij"),
    ],
)
def test_what_is_no_did_web(did: str) -> None:
    with pytest.raises(Refused, match="did_unresolvable"):
        dids.web_url(did)


async def test_only_a_key_that_the_document_lists_and_controls_is_given(world: World) -> None:
    did = world.did(HOSPITAL)
    kid = world.keys[HOSPITAL].jwks()["keys"][0]["kid"]
    assert (await world.resolver.key(signed(did, kid), did)) == world.keys[HOSPITAL].public_key(kid)
    with pytest.raises(Refused, match="kid is no key of the signer"):
        await world.resolver.key(signed(world.did(REGISTER), kid), did)
    document = dids.write_document(did, world.keys[HOSPITAL].jwks()["keys"], {"linked": "https://a"})
    assert dids.read_document(document, did).services == {"linked": "https://a"}
    changes: list[dict[str, Any]] = [
        {"assertionMethod": []},
        {"assertionMethod": [did + "#other"]},
        {"verificationMethod": [document["verificationMethod"][0] | {"controller": "did:web:thief"}]},
    ]
    for change in changes:
        assert dids.read_document(document | change, did).keys == {}
    for wrong in ({"id": "did:web:thief"}, {"assertionMethod": "x"}):
        with pytest.raises(ValueError, match=r"another DID|a list"):
            dids.read_document(document | wrong, did)


async def test_a_document_is_kept_and_a_rotated_key_is_found(world: World) -> None:
    did, keys = world.did(HOSPITAL), world.keys[HOSPITAL]
    first = keys.jwks()["keys"][0]["kid"]
    await world.resolver.key(signed(did, first), did)
    await world.resolver.key(signed(did, first), did)
    assert len(world.web.asked) == 1
    world.clock.forward(seconds=1)
    fresh = keys.rotate()
    world.publish(HOSPITAL)
    world.resolver._kept[did] = (world.resolver._kept[did][0], world.resolver._kept[did][1] - 1.5)
    assert (await world.resolver.key(signed(did, fresh), did)) == keys.public_key(fresh)
    assert len(world.web.asked) == 2
    with pytest.raises(Refused, match="lists no such key"):
        await world.resolver.key(signed(did, "unknown"), did)


@pytest.mark.parametrize(
    ("reason", "page"),
    [
        ("did_unresolvable", ("", 404)),
        ("did_unresolvable", ("[]", 200)),
        ("did_unresolvable", ('{"id": "x"}', 200)),
        ("did_unresolvable", ("x" * 70000, 200)),
        ("upstream", None),
    ],
)
async def test_a_document_that_is_not_there_or_no_document(world: World, reason: str, page: tuple[str, int] | None) -> None:
    did = world.did(HOSPITAL)
    world.web.pages.clear()
    if page:
        world.web.put(f"{HOST}/iam/{HOSPITAL}/did.json", page[0], status=page[1])
    with pytest.raises(Refused, match=reason):
        await world.resolver.document(did)


async def test_a_did_that_names_an_address_of_another_kind_is_not_asked(world: World) -> None:
    with pytest.raises(Refused, match="none of this network"):
        await world.resolver.document("did:web:wallet.test:Patient:1")
    assert world.web.asked == []


async def test_did_jwk_and_did_key(world: World) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    jwk = {name: value for name, value in public_jwk(private.public_key()).items() if name in ("kty", "crv", "x", "y")}
    encoded = base64.urlsafe_b64encode(str(jwk).replace("'", '"').encode()).rstrip(b"=").decode()
    did = f"did:jwk:{encoded}"
    assert await world.resolver.key(signed(did), did) == private.public_key()
    # test vector of the did:key specification (Ed25519)
    did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
    key = await world.resolver.key(signed(did, did.removeprefix("did:key:")), did)
    assert isinstance(key, ed25519.Ed25519PublicKey)
    assert key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex().startswith("2e6fcce36701dc79")
    for bad in ("did:jwk:e30", "did:jwk:!!", "did:key:zzz", "did:key:x", "did:key:z0", "did:jwk:" + "a" * 5000):
        with pytest.raises(Refused, match="did_unresolvable"):
            await world.resolver.key(signed(bad), bad)


def test_a_private_or_weak_jwk_is_no_key() -> None:
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    weak = {"kty": "RSA", "n": _b64(numbers.n), "e": "AQAB"}
    for jwk in (
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "A", "y": "A"},
        None,
        {"kty": "OKP", "d": "x"},
        weak,
    ):
        with pytest.raises(ValueError, match=r"it is not a public JWK|no allowed algorithm"):
            jose.public_key(jwk)


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


# --- did:x509


def header(world: World, **changes: Any) -> dict[str, Any]:
    return jwt.get_unverified_header(world.x509_credential()) | changes


def resolve(world: World, did: str = "", **changes: Any) -> Any:
    shown = header(world, **changes)
    did = did or shown["kid"].partition("#")[0]
    return did_x509.resolve(did, shown | ({} if "kid" in changes else {"kid": f"{did}#0"}), world.trust, world.clock.now())


def test_a_did_x509_gives_the_key_of_its_certificate(world: World) -> None:
    assert resolve(world) == world.chain()[0].public_key()
    root = did_x509.mint(world.chain()[2], world.chain()[0], ["O"], [])
    assert resolve(world, root) == world.chain()[0].public_key()


def test_a_policy_may_be_repeated_or_hold_several_names(world: World) -> None:
    """RFC023's example repeats `subject`, elsewhere one policy holds all names; both are in use."""
    once = did_x509.mint(world.chain()[1], world.chain()[0], ["O", "L"], ["otherName"])
    twice = once.replace(":L:", "::subject:L:")
    assert twice != once
    assert did_x509.parse(once).policies == did_x509.parse(twice).policies
    assert resolve(world, twice) == resolve(world, once)


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "::subject",
        "::subject:O",
        "::subject:X:a",
        "::eku:1.2.3",
        "::issuer:O:a",
        "::subject:O:a b",
        "::subject:O:a%2e",
        "::subject:O:%41",
        "::subject:O:",
        "::san:otherName:%ZZ",
        "::subject:O:a:L",
        "::san:URI:a",
        "::subject:O:a~b",
        "::subject:O:%FF",
    ],
)
def test_what_is_no_did_x509(tail: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        did_x509.parse(did_x509.PREFIX + "A" * 43 + tail)


def test_the_chain_is_exactly_the_one_to_the_root_and_the_fingerprint_never_the_leaf(world: World) -> None:
    chain = header(world)["x5c"]
    for broken in (
        chain[:1],
        chain[:2],
        chain[::-1],
        [chain[0], chain[2], chain[1]],
        [*chain, chain[2]],
        "x",
        ["!"],
        [1, 2],
        chain * 3,
    ):
        with pytest.raises(Refused, match="did_unresolvable"):
            resolve(world, x5c=broken)
    leaf = did_x509.mint(world.chain()[0], world.chain()[0], ["O"], [])
    with pytest.raises(Refused, match="of no CA certificate in the chain"):
        resolve(world, leaf)
    with pytest.raises(Refused, match="thumbprint of the leaf"):
        resolve(world, **{"x5t#S256": "A" * 43})
    with pytest.raises(Refused, match="kid is the DID with #0"):
        resolve(world, header(world)["kid"][:-2], kid="did:x509:else#0")


def test_a_chain_of_another_ca_is_not_followed(world: World, tmp_path: Any) -> None:
    other = World(tmp_path / "other")
    with pytest.raises(Refused, match="does not lead to the root"):
        did_x509.resolve(header(other)["kid"][:-2], header(other), world.trust, world.clock.now())


def test_what_the_did_says_stands_in_the_certificate(world: World) -> None:
    did = header(world)["kid"][:-2]
    for wrong in (
        did.replace("Lindenburg", "Oeverdam"),
        did.replace("90000101", "90000102"),
        did + "::san:dns:example.org",
        did + "::subject:OU:ICT",
        did + "::san:email:a%40b",
        did + "::san:IP:10.0.0.1",
    ):
        with pytest.raises(Refused, match="the certificate has another"):
            resolve(world, wrong)
    assert resolve(world, did + "::san:dns:localhost::san:IP:127.0.0.1")


def test_an_expired_or_revoked_certificate_and_an_old_list_are_hard_failures(world: World) -> None:
    world.authority.revoke(world.rsa.serial)
    with pytest.raises(Refused, match="certificate_revoked"):
        resolve(world)
    world.authority.unrevoke(world.rsa.serial)
    assert resolve(world)
    world.authority.write_crls(-1)
    with pytest.raises(Refused, match="crl_expired"):
        resolve(world)
    world.authority.write_crls(365)
    shown = header(world)
    world.clock.forward(days=100)
    with pytest.raises(Refused, match="out of its time"):
        did_x509.resolve(shown["kid"][:-2], shown, world.trust, world.clock.now())


def test_a_certificate_without_the_name_cannot_be_a_did(world: World) -> None:
    with pytest.raises(ValueError, match="no subject OU"):
        did_x509.mint(world.chain()[1], world.chain()[0], ["OU"], [])


def test_the_fingerprint_is_the_sha256_of_the_der(world: World) -> None:
    digest = hashlib.sha256(world.der()[1]).digest()
    assert did_x509.fingerprint(world.chain()[1]) == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    key = load_pem_private_key(world.rsa.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert isinstance(world.chain()[0], x509.Certificate)
