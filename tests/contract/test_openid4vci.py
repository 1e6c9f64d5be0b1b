"""Credentials by OpenID4VCI 1.0, pre-authorized code flow, by requirement: a wallet of this test's own at an issuer under test.

The wallet is a did:jwk; its key and proofs are made here, with joserfc and not with what the network verifies them by.
"""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from joserfc import jwk, jws
from joserfc.util import urlsafe_b64encode

from tests.contract.target import Target

GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
KIND = "ServiceProviderDelegationCredential"


@dataclass
class Issuance:
    """The wallet of this test, at the credential issuer `base`; the certificate is the issuer's own, so it offers to itself."""

    http: httpx.Client
    base: str
    client_id: str
    key: jwk.ECKey

    @property
    def did(self) -> str:
        return "did:jwk:" + urlsafe_b64encode(json.dumps(self.key.as_dict(private=False)).encode()).decode()

    def metadata(self, name: str) -> dict[str, Any]:
        parts = urlsplit(self.base)
        answer = self.http.get(f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found: dict[str, Any] = answer.json()
        return found

    def offer(self, **rest: Any) -> Any:
        parts = urlsplit(self.base)
        giver = ":".join(["did:web", parts.netloc.replace(":", "%3A"), *parts.path.strip("/").split("/")])
        wanted = {"type": KIND, "credentialSubject": {"id": self.did, "delegatedBy": giver}}
        answer = self.http.post(f"{self.base}/issuer/offers", json={"client_id": self.client_id, "credentials": [wanted]} | rest)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def token(self, offer: Any, **changes: str | None) -> httpx.Response:
        code = offer["credential_offer"]["grants"][GRANT]["pre-authorized_code"]
        form = {"grant_type": GRANT, "pre-authorized_code": code, "client_id": self.client_id} | changes
        url = self.metadata("oauth-authorization-server")["token_endpoint"]
        return self.http.post(url, data={name: value for name, value in form.items() if value is not None})

    def nonce(self) -> str:
        answer = self.http.post(f"{self.base}/nonce")
        assert "no-store" in answer.headers["Cache-Control"]  # §7.2
        return str(answer.json()["c_nonce"])

    def proof(self, typ: str = "openid4vci-proof+jwt", **changes: Any) -> str:
        claims = {"aud": self.base, "iat": int(time.time())} | ({} if "nonce" in changes else {"nonce": self.nonce()}) | changes
        header = {"alg": "ES256", "typ": typ, "kid": f"{self.did}#0"}
        return jws.serialize_compact(header, json.dumps({k: v for k, v in claims.items() if v is not None}).encode(), self.key)

    def credential(self, token: str, **content: Any) -> httpx.Response:
        asked = {"credential_configuration_id": KIND} | content
        url = self.metadata("openid-credential-issuer")["credential_endpoint"]
        sent = {name: value for name, value in asked.items() if value is not None}
        return self.http.post(url, json=sent, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def issuance(target: Target, request: pytest.FixtureRequest) -> Issuance:
    base = request.config.getoption("--wallet-url")
    if not base and request.config.getoption("--base-url") and not request.config.getoption("--home"):
        pytest.skip("--wallet-url names no credential issuer")
    if not base:
        home: Any = request.getfixturevalue("network")
        base = home.topology.wallet(next(party.id for party in home.seed.parties if party.client_id == target.client_id))
    return Issuance(target.http, base, target.client_id, jwk.ECKey.generate_key("P-256"))


def test_12_2_4_the_metadata_names_its_issuer_and_what_it_gives(issuance: Issuance) -> None:
    found = issuance.metadata("openid-credential-issuer")
    assert found["credential_issuer"] == issuance.base
    assert all(found[name].startswith("https://") for name in ("credential_endpoint", "nonce_endpoint"))
    for each in found["credential_configurations_supported"].values():
        assert (each["format"], "VerifiableCredential" in each["credential_definition"]["type"]) == ("jwt_vc_json", True)
        assert ("cryptographic_binding_methods_supported" in each) is ("proof_types_supported" in each)
        for proofs in each.get("proof_types_supported", {}).values():
            assert not {"none", "HS256", "HS384", "HS512"} & {*proofs["proof_signing_alg_values_supported"]}
    server = issuance.metadata("oauth-authorization-server")
    assert (server["issuer"], GRANT in server["grant_types_supported"]) == (issuance.base, True)
    assert [] not in server.values()  # RFC 8414 §3.2


def test_4_to_8_an_offer_becomes_a_credential_that_the_issuers_did_verifies(issuance: Issuance) -> None:
    offer = issuance.offer()
    referred = issuance.http.get(offer["credential_offer_uri"])
    assert (referred.headers["content-type"], referred.json()) == ("application/json", offer["credential_offer"])
    given = issuance.token(offer)
    assert "no-store" in given.headers["Cache-Control"]
    assert given.json()["expires_in"] <= 300 or given.json()["token_type"] == "DPoP"  # security considerations: sender-constrained
    answer = issuance.credential(given.json()["access_token"], proofs={"jwt": [issuance.proof()]})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store"), answer.text
    raw = answer.json()["credentials"][0]["credential"]
    host, *path = jws.extract_compact(raw.encode()).headers()["kid"].partition("#")[0].removeprefix("did:web:").split(":")
    document = issuance.http.get("/".join([f"https://{unquote(host)}", *path, "did.json"])).json()
    kid = jws.extract_compact(raw.encode()).headers()["kid"]
    method = next(each for each in document["verificationMethod"] if each["id"] == kid)
    claims = json.loads(jws.deserialize_compact(raw, jwk.import_key(method["publicKeyJwk"])).payload)
    assert (claims["sub"], KIND in claims["vc"]["type"]) == (issuance.did, True)


@pytest.mark.parametrize(("error", "status", "changes"), [
    ("unsupported_grant_type", 400, {"grant_type": "password"}),
    ("invalid_request", 400, {"pre-authorized_code": None}),
    ("invalid_request", 400, {"tx_code": "123456"}),
    ("invalid_grant", 400, {"pre-authorized_code": "guess"}),
    ("invalid_client", 401, {"client_id": None}),
])  # fmt: skip
def test_6_3_each_token_error_has_its_code(issuance: Issuance, error: str, status: int, changes: dict[str, str | None]) -> None:
    answer = issuance.token(issuance.offer(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "no-store" in answer.headers["Cache-Control"]


def test_4_1_1_a_code_serves_once(issuance: Issuance) -> None:
    offer = issuance.offer()
    assert [issuance.token(offer).json().get("error") for _ in range(2)] == [None, "invalid_grant"]


def test_6_3_a_transaction_code_is_demanded_and_cannot_be_guessed_on_and_on(issuance: Issuance) -> None:
    """Security considerations, transaction code guessing: after some tries the code itself is invalid."""
    offer = issuance.offer(tx_code=True)
    assert issuance.token(offer).json()["error"] == "invalid_request"
    for _ in range(10):
        assert issuance.token(offer, tx_code="x").json()["error"] == "invalid_grant"
    assert issuance.token(offer, tx_code=offer["tx_code"]).json()["error"] == "invalid_grant"
    fresh = issuance.offer(tx_code=True)
    assert issuance.token(fresh, tx_code=fresh["tx_code"]).status_code == 200


def test_8_3_1_2_each_credential_error_has_its_code_and_a_proof_serves_once(issuance: Issuance) -> None:
    token = issuance.token(issuance.offer()).json()["access_token"]
    for error, content in (
        ("invalid_proof", {"proofs": None}),
        ("invalid_proof", {"proofs": {"jwt": []}}),
        ("invalid_proof", {"proofs": {"jwt": [issuance.proof(typ="JWT")]}}),
        ("invalid_proof", {"proofs": {"jwt": [issuance.proof(aud="https://else.example")]}}),
        ("invalid_proof", {"proofs": {"jwt": [issuance.proof(nonce=None)]}}),
        ("invalid_proof", {"proofs": {"jwt": [issuance.proof(iat=1)]}}),
        ("invalid_nonce", {"proofs": {"jwt": [issuance.proof(nonce="guess")]}}),
        ("unknown_credential_configuration", {"credential_configuration_id": "Nothing"}),
        ("invalid_credential_request", {"credential_configuration_id": None}),
        ("invalid_encryption_parameters", {"credential_response_encryption": {"enc": "A256GCM"}}),
    ):
        answer = issuance.credential(token, **{"proofs": {"jwt": [issuance.proof()]}} | content)
        assert (answer.status_code, answer.json()["error"]) == (400, error), content
    proof = issuance.proof()
    assert issuance.credential(token, proofs={"jwt": [proof]}).status_code == 200
    other = issuance.token(issuance.offer()).json()["access_token"]
    assert issuance.credential(other, proofs={"jwt": [proof]}).json()["error"] == "invalid_nonce"
    assert issuance.credential("x", proofs={"jwt": [issuance.proof()]}).status_code == 401
