"""private_key_jwt (RFC 7523 §3, RFC 7521 §4.2), over the certificate of the same party."""

from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from proeftuin.parties import Party
from proeftuin.pki.identity import peer_from_der
from services.authorization.authentication import MAX_LENGTH
from tests.harness import BASE
from tests.unit.services.authorization.servers import ASSERTION_TYPE, HOSPITAL, PORTAL, THIEF, Servers

pytestmark = pytest.mark.anyio
FOREIGN = ec.generate_private_key(ec.SECP256R1())


async def refusal(servers: Servers, form: dict[str, Any], party: str = HOSPITAL) -> tuple[str, str, int]:
    answer = await servers.ask(party, **form)
    return answer.json().get("reason", "given"), answer.json().get("error", ""), answer.status_code


async def test_an_assertion_for_this_server_is_taken(servers: Servers) -> None:
    for aud in (f"{BASE}/oauth2/vws", f"{BASE}/oauth2/vws/token", ["https://else", f"{BASE}/oauth2/vws"]):
        for client_id in (None, "ura:90000101"):
            answer = await servers.ask(client_id=client_id, **servers.assertion(aud=aud))
            assert answer.status_code == 200, answer.text


WRONG: list[tuple[str, dict[str, Any]]] = [  # what is told, and of which assertion
    ("the header has no kid", {"kid": None}),
    ("ura:90000101 registered no key with this kid", {"kid": "another"}),
    ("alg is not ES256", {"alg": "HS256", "key": "x" * 32}), ("alg is not ES256", {"alg": "none", "key": ""}),
    ("alg is not ES256", {"alg": "ES384", "key": ec.generate_private_key(ec.SECP384R1())}),
    ("the signature is not of the registered key", {"key": FOREIGN}),
    ("iss is not the client_id, ura:90000101", {"iss": "ura:90000102"}), ("iss is not the client_id", {"iss": None}),
    ("sub is not the client_id, ura:90000101", {"sub": "ura:90000102"}), ("sub is not the client_id", {"sub": None}),
    (f"aud is not {BASE}/oauth2/vws", {"aud": f"{BASE}/oauth2/cibg"}), ("aud is not", {"aud": None}), ("aud is not", {"aud": 1}),
    ("aud is not", {"aud": [{}]}), ("exp is missing", {"exp": None}), ("exp is no number", {"exp": "soon"}),
    ("exp is no number", {"exp": float("nan")}), ("exp is no number", {"exp": True}), ("exp is no number", {"exp": 1e20}),
    ("exp is no number", {"exp": 10**400}),
    ("exp is more than 60 seconds ahead", {"exp": 1e12}), ("exp was ", {"exp": 0}),
    ("nbf is no number", {"nbf": "now"}), ("nbf is ", {"nbf": 1e12}), ("iat is no number", {"iat": []}), ("iat is ", {"iat": 1e12}),
    ("jti is missing", {"jti": None}), ("jti is missing", {"jti": ""}), ("jti is missing", {"jti": 5}),
    ("jti is missing", {"jti": "x" * 257}),
]  # fmt: skip


async def test_each_fault_of_an_assertion_is_told_by_itself(servers: Servers) -> None:
    for told, changes in WRONG:
        answer = await servers.ask(HOSPITAL, **servers.assertion(**changes))
        found = answer.json()
        assert (found.get("reason"), found.get("error"), answer.status_code) == ("client_assertion", "invalid_client", 401), changes
        assert found["error_description"].startswith(f"client_assertion: {told}"), (told, found)


async def test_an_assertion_lives_for_a_minute(servers: Servers) -> None:
    now = int(servers.clock.now().timestamp())
    assert (await refusal(servers, servers.assertion(exp=now + 66)))[0] == "client_assertion"
    early, late = servers.assertion(exp=now + 60), servers.assertion(exp=now + 60)
    servers.clock.forward(seconds=64)
    assert (await refusal(servers, early))[0] == "given"
    servers.clock.forward(seconds=1)
    assert (await refusal(servers, late))[0] == "client_assertion"


async def test_an_assertion_serves_once_also_after_a_restart(servers: Servers, tmp_path: Any) -> None:
    form = servers.assertion()
    assert (await refusal(servers, form))[0] == "given"
    assert await refusal(servers, form) == ("client_assertion_replayed", "invalid_client", 401)
    from services.authorization.app import create_app  # noqa: PLC0415 - a second process on the same database

    async with servers.running(create_app(servers.settings, servers.app.state.service.wiring)):
        assert (await refusal(servers, form))[0] == "client_assertion_replayed"


async def test_an_assertion_and_a_certificate_are_of_the_same_party(servers: Servers) -> None:
    assert (await refusal(servers, servers.assertion(), THIEF))[0] == "client_assertion"
    form: dict[str, Any] = servers.assertion() | {"client_id": "ura:90000101"}
    assert (await refusal(servers, form, THIEF))[0] == "unknown_client"


async def test_half_an_assertion_is_none(servers: Servers) -> None:
    form = servers.assertion()
    assert (await refusal(servers, form | {"client_assertion_type": "saml"}))[0] == "client_assertion"
    assert (await refusal(servers, {"client_assertion_type": ASSERTION_TYPE}))[0] == "client_assertion"
    for wrong in ("x.y.z", "x", "e30.e30.e30"):
        answer = await servers.ask(HOSPITAL, **form | {"client_assertion": wrong})
        told = "the header has no kid" if wrong.startswith("e30") else "it is no JWT"
        assert answer.json()["error_description"].startswith(f"client_assertion: {told}"), answer.text
    assert (await refusal(servers, servers.assertion(filler="x" * MAX_LENGTH)))[0] == "client_assertion"


async def test_a_registered_key_of_a_weaker_kind_is_not_used(servers: Servers) -> None:
    key = rsa.generate_private_key(65537, 2048)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "rsa"}
    known = jwt.decode(servers.assertion()["client_assertion"], options={"verify_signature": False})
    for algorithm, outcome in (("RS256", "client_assertion"), ("PS256", "given")):
        servers.register(HOSPITAL, jwks={"keys": [jwk | {"alg": algorithm}]})
        signed = jwt.encode(known, key, algorithm=algorithm, headers={"kid": "rsa"})
        assert (await refusal(servers, servers.assertion() | {"client_assertion": signed}))[0] == outcome


async def test_a_registered_key_that_is_none_is_told(servers: Servers) -> None:
    for broken in ({"kty": "EC", "crv": "P-256", "x": "!", "y": "!"}, {"kty": "EC"}, {"kty": 5}, {}):
        servers.register(HOSPITAL, jwks={"keys": [broken | {"kid": "broken"}]})
        answer = await servers.ask(HOSPITAL, **servers.assertion(kid="broken"))
        assert answer.status_code == 401, answer.text
        assert "the registered key with this kid cannot be used" in answer.json()["error_description"], broken


async def test_a_certificate_of_nobody_that_the_network_knows(servers: Servers) -> None:
    stranger = Party("vreemd", "Ziekenhuis Vreemd", "ziekenhuis", ura="90000998")
    issued = servers.authority.issue(stranger, folder=servers.folder / "stranger")
    leaf = x509.load_pem_x509_certificate(issued.certificate.read_bytes())
    servers._peers["vreemd"] = peer_from_der(leaf.public_bytes(Encoding.DER))
    assert (await refusal(servers, {"client_id": "ura:90000998"}, "vreemd"))[0] == "unknown_client"


async def test_keys_that_change_count_at_once(servers: Servers) -> None:
    servers.register(HOSPITAL, jwks={"keys": []})
    assert (await refusal(servers, servers.assertion()))[0] == "client_assertion"
    (servers.clients / f"{PORTAL}.json").unlink()
    assert (await refusal(servers, servers.assertion(PORTAL) | {"scope": "system/AuditEvent.c"}, PORTAL))[0] == "client_assertion"
