"""DPoP at the token endpoint and at a resource (RFC 9449): every check of §4.3 alone, nonces, replays, and the two schemes."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jws

from proeftuin.storage import replay
from proeftuin.tokens import dpop
from proeftuin.tokens.keys import public_jwk
from services.authorization.app import create_app
from tests.harness import BASE
from tests.unit.services.authorization.servers import CLIENT, HOSPITAL, PORTAL, THIEF, Servers, claims_of, details

pytestmark = pytest.mark.anyio
TOKEN = f"{BASE}/oauth2/vws/token"
GRANTS = f"{BASE}/oauth2/vws/client/grants"


def signed(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key, algorithm="ES256", headers=header)


def parts(servers: Servers, method: str = "POST", url: str = TOKEN) -> tuple[dict[str, Any], dict[str, Any]]:
    public = {name: value for name, value in public_jwk(servers.key.public_key()).items() if name in ("kty", "crv", "x", "y")}
    claims = {"jti": "one", "htm": method, "htu": url, "iat": int(servers.clock.now().timestamp())}
    return {"typ": "dpop+jwt", "jwk": public}, claims


async def own_grants(servers: Servers, token: str, headers: dict[str, str], party: str = PORTAL, scheme: str = "DPoP") -> Any:
    headers = {"Authorization": f"{scheme} {token}"} | headers
    return await servers.call("GET", "/oauth2/vws/client/grants", party=party, headers=headers)


async def token_of_client(servers: Servers, **rest: Any) -> str:
    """Return a token of a client of care for the grants on the own data, bound to the key of `servers` unless told otherwise."""
    statement = (await servers.log_in(PORTAL, "vws", client=CLIENT)).json()["id_token"]
    form = {"scope": "patient/Grant.rd", "resource": f"{BASE}/oauth2/vws", "id_token": statement}
    answer = await servers.ask(
        PORTAL, authorization_details=details(purpose_of_use="PATRQT"), headers=rest.get("headers", servers.proof(TOKEN)), **form
    )
    return str(answer.json()["access_token"])


async def test_a_token_is_bound_to_the_key_that_was_proven(servers: Servers) -> None:
    answer = await servers.ask(headers=servers.proof(TOKEN))
    token = answer.json()
    jkt = jwk.ECKey.import_key(public_jwk(servers.key.public_key())).thumbprint()
    assert token["token_type"] == "DPoP"
    assert claims_of(token["access_token"])["cnf"] == {"jkt": jkt}
    assert (await servers.introspect(token["access_token"]))["cnf"] == {"jkt": jkt}
    assert (await servers.ask(headers=servers.proof(TOKEN, nonce=answer.headers["DPoP-Nonce"]))).status_code == 200


async def test_a_proof_that_joserfc_made_is_taken(servers: Servers) -> None:
    header, claims = parts(servers)
    key = jwk.ECKey.generate_key("P-256")
    header["jwk"] = key.as_dict(private=False)
    raw = jws.serialize_compact(header | {"alg": "ES256"}, json.dumps(claims).encode(), key)
    assert (await servers.ask(headers={"DPoP": raw})).json()["token_type"] == "DPoP"


def test_a_proof_of_ours_is_one_to_joserfc() -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    raw = dpop.make(key, "GET", "https://localhost/x?y", datetime.now(UTC), access_token="abc", nonce="n")
    header = json.loads(base64.urlsafe_b64decode(raw.split(".")[0] + "=="))
    read = jws.deserialize_compact(raw, jwk.ECKey.import_key(header["jwk"]), algorithms=["ES256"])
    claims = json.loads(read.payload)
    assert header["typ"] == "dpop+jwt"
    assert (claims["htm"], claims["htu"], claims["nonce"]) == ("GET", "https://localhost/x", "n")
    assert claims["ath"] == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"  # SHA-256 of "abc" (FIPS 180-2, B.1)


WRONG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"typ": "JWT"}, {}), ({"typ": None}, {}), ({"jwk": None}, {}), ({"jwk": {"kty": "EC"}}, {}),
    ({"jwk": {"kty": "oct", "k": "eA"}}, {}),
    ({}, {"jti": None}), ({}, {"jti": ""}), ({}, {"jti": "x" * 257}), ({}, {"jti": 1}), ({}, {"htm": "GET"}), ({}, {"htm": None}),
    ({}, {"htu": None}), ({}, {"htu": TOKEN + "/x"}), ({}, {"htu": "https://else/oauth2/vws/token"}),
    ({}, {"htu": "https://localhost:0x1/"}), ({}, {"htu": TOKEN.replace("https", "http")}), ({}, {"iat": None}),
    ({}, {"iat": "now"}),     ({}, {"iat": True}),
]  # fmt: skip


async def test_a_proof_for_something_else(servers: Servers) -> None:
    known_header, known = parts(servers)
    for header, claims in WRONG:
        raw = signed(servers.key, known_header | header, {k: v for k, v in (known | claims).items() if v is not None})
        answer = await servers.ask(headers={"DPoP": raw})
        found = (answer.status_code, answer.json()["error"], answer.json()["reason"])
        assert found == (400, "invalid_dpop_proof", "dpop_proof"), (header, claims)


async def test_a_proof_with_another_key_or_no_signature(servers: Servers) -> None:
    header, claims = parts(servers)
    other = ec.generate_private_key(ec.SECP256R1())
    private = header | {"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(servers.key))}
    assert "d" in private["jwk"]
    koblitz = ec.generate_private_key(ec.SECP256K1())
    unlisted = header | {"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(koblitz.public_key()))}
    for raw in (
        signed(other, header, claims), signed(servers.key, private, claims),
        jwt.encode(claims, koblitz, "ES256K", headers=unlisted), jwt.encode(claims, "", "none", headers=header),
        jwt.encode(claims, "x" * 32, "HS256", headers=header), "x", "", "a.b.c",
        signed(servers.key, header, claims | {"x": "y" * 4096}),
    ):  # fmt: skip
        assert (await servers.ask(headers={"DPoP": raw})).json()["reason"] == "dpop_proof", raw[:40]


async def test_two_proofs_are_none(servers: Servers) -> None:
    headers = [("DPoP", servers.proof(TOKEN)["DPoP"]), ("DPoP", servers.proof(TOKEN)["DPoP"])]
    assert (await servers.ask(headers=headers)).json()["reason"] == "dpop_proof"


async def test_a_clock_that_is_wrong_is_handed_a_nonce(servers: Servers) -> None:
    header, now = parts(servers)
    for away in (-61, 61, float("nan"), float("inf"), 1e300, 10**400):
        claims = now | {"iat": now["iat"] + away, "jti": f"one {away}"[:200]}
        answer = await servers.ask(headers={"DPoP": signed(servers.key, header, claims)})
        assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce"), away
        claims |= {"nonce": answer.headers["DPoP-Nonce"]}
        assert (await servers.ask(headers={"DPoP": signed(servers.key, header, claims)})).status_code == 200, away


async def test_a_nonce_is_this_servers_and_lives_five_minutes(servers: Servers) -> None:
    nonce = (await servers.ask(headers=servers.proof(TOKEN))).headers["DPoP-Nonce"]
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(nonce)[:8] + bytes(16)).decode()
    for wrong in ("", "x", "é", forged, nonce + "A", nonce[:-4]):
        assert (await servers.ask(headers=servers.proof(TOKEN, nonce=wrong or " "))).json()["reason"] == "dpop_nonce", wrong
    elsewhere = await servers.ask(at="cibg", headers=servers.proof(TOKEN.replace("vws", "cibg"), nonce=nonce))
    assert elsewhere.json()["reason"] == "dpop_nonce"
    servers.clock.forward(seconds=300)
    assert (await servers.ask(headers=servers.proof(TOKEN, nonce=nonce))).status_code == 200
    servers.clock.forward(seconds=1)
    assert (await servers.ask(headers=servers.proof(TOKEN, nonce=nonce))).json()["reason"] == "dpop_nonce"


async def test_a_proof_serves_once_also_after_a_restart(servers: Servers) -> None:
    headers = servers.proof(TOKEN)
    assert (await servers.ask(headers=headers)).status_code == 200
    again = await servers.ask(headers=headers)
    assert (again.status_code, again.json()["error"], again.json()["reason"]) == (400, "invalid_dpop_proof", "dpop_replayed")
    async with servers.running(create_app(servers.settings, servers.app.state.service.wiring)):
        assert (await servers.ask(headers=headers)).json()["reason"] == "dpop_replayed"


async def test_the_memory_of_proofs_is_pruned_when_they_are_too_old_to_serve(servers: Servers) -> None:
    headers = servers.proof(TOKEN)
    await servers.ask(headers=headers)
    servers.clock.forward(seconds=dpop.KEPT + 2)
    await servers.ask(headers=servers.proof(TOKEN))
    tenant = servers.app.state.service.tenants["vws"]
    assert len(await tenant.database.read(lambda connection: connection.execute(replay.served.select()).all())) == 1
    assert (await servers.ask(headers=headers)).json()["reason"] == "dpop_nonce"


async def test_at_a_resource_the_proof_is_for_the_token(servers: Servers) -> None:
    token = await token_of_client(servers)
    good = servers.proof(GRANTS, "GET", access_token=token)
    answer = await own_grants(servers, token, good)
    assert answer.status_code == 200, answer.text
    replayed = await own_grants(servers, token, good)
    assert (replayed.status_code, replayed.headers["X-Reason"]) == (401, "dpop_replayed")
    assert replayed.headers["WWW-Authenticate"].startswith('DPoP error="invalid_dpop_proof", algs="ES256 ')
    for reason, headers in (
        ("dpop_proof", {}),
        ("dpop_proof", servers.proof(GRANTS, "GET")),
        ("dpop_proof", servers.proof(GRANTS, "GET", access_token=token + "x")),
        ("dpop_proof", servers.proof(GRANTS, "POST", access_token=token)),
        ("dpop_proof", servers.proof(GRANTS + "/x", "GET", access_token=token)),
        ("token_binding", servers.proof(GRANTS, "GET", ec.generate_private_key(ec.SECP256R1()), access_token=token)),
    ):
        refused = await own_grants(servers, token, headers)
        assert (refused.status_code, refused.headers["X-Reason"]) == (401, reason)
        assert refused.headers["WWW-Authenticate"].startswith("DPoP ")


async def test_a_resource_hands_out_a_nonce_with_a_challenge(servers: Servers) -> None:
    token = await token_of_client(servers)
    refused = await own_grants(servers, token, servers.proof(GRANTS, "GET", access_token=token, nonce="old"))
    assert refused.status_code == 401
    assert 'DPoP error="use_dpop_nonce"' in refused.headers["WWW-Authenticate"]
    headers = servers.proof(GRANTS, "GET", access_token=token, nonce=refused.headers["DPoP-Nonce"])
    assert (await own_grants(servers, token, headers)).status_code == 200


async def test_each_token_under_its_own_scheme(servers: Servers) -> None:
    bound_to_key = await token_of_client(servers)
    assert (await own_grants(servers, bound_to_key, {}, scheme="Bearer")).headers["X-Reason"] == "token_scheme"
    bound_to_certificate = await token_of_client(servers, headers={})
    headers = servers.proof(GRANTS, "GET", access_token=bound_to_certificate)
    assert (await own_grants(servers, bound_to_certificate, headers)).headers["X-Reason"] == "token_scheme"
    assert (await own_grants(servers, bound_to_certificate, {}, scheme="Bearer")).status_code == 200


async def test_a_key_does_not_carry_a_token_to_another_party(servers: Servers) -> None:
    token = await token_of_client(servers)
    headers = servers.proof(GRANTS, "GET", access_token=token)
    assert (await own_grants(servers, token, headers, party=THIEF)).headers["X-Reason"] == "party_mismatch"


async def test_a_host_header_is_no_evidence_of_where_the_request_is(servers: Servers) -> None:
    url = "https://elsewhere.example/oauth2/vws/token"
    answer = await servers.ask(headers=servers.proof(url) | {"Host": "elsewhere.example"})
    assert answer.json()["reason"] == "dpop_proof"
    assert (await servers.ask(HOSPITAL, headers=servers.proof(TOKEN.replace("localhost", "LOCALHOST") + "?x=1"))).status_code == 200
