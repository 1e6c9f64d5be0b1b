"""Tokens bounded by party, scope and time, by requirement: RFC 6749, 7009, 7523, 7662, 8414, 8693, 9449, GFI-004..006, RFC021.

They run against any base URL. A DPoP key and its proofs are made here, with joserfc and not with what the network verifies them by.
"""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from joserfc import jwk, jws

from tests.contract.proofs import proves
from tests.contract.target import Target

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Holder:
    """Whoever has a key, and makes proofs with it."""

    key: jwk.ECKey = field(default_factory=lambda: jwk.ECKey.generate_key("P-256"))

    def proof(self, method: str, url: str, token: str | None = None, **changes: Any) -> str:
        claims: dict[str, Any] = {"jti": secrets.token_hex(8), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        header = {"typ": changes.pop("typ", "dpop+jwt"), "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return jws.serialize_compact(header, json.dumps(claims).encode(), self.key)


@pytest.fixture
def endpoint(target: Target) -> str:
    return f"{target.services['authorization']}/token"


def ask(target: Target, endpoint: str, headers: dict[str, str] | None = None, **changes: str | None) -> httpx.Response:
    form = {
        "grant_type": "client_credentials", "client_id": target.client_id, "scope": "nvi:delete",
        "resource": target.services["localization"],
    } | changes  # fmt: skip
    return target.http.post(endpoint, data={name: value for name, value in form.items() if value is not None}, headers=headers)


def use(target: Target, token: str, scheme: str, proof: str | None = None) -> httpx.Response:
    """Use a token where it opens something that is not there: 404 is the answer of who was admitted."""
    headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": proof} if proof else {})
    return target.http.delete(f"{target.services['localization']}/fhir/List/x", headers=headers)


@pytest.mark.parametrize(("error", "status", "changes"), [
    ("invalid_request", 400, {"grant_type": None}),
    ("unsupported_grant_type", 400, {"grant_type": "password"}),
    ("unsupported_grant_type", 400, {"grant_type": "refresh_token"}), ("invalid_client", 401, {"client_id": "ura:99999999"}),
    ("invalid_client", 401, {"client_id": None}), ("invalid_scope", 400, {"scope": "everything"}),
    ("invalid_scope", 400, {"scope": "NVI:DELETE"}), ("invalid_scope", 400, {"scope": "nvi:delete everything"}),
    ("invalid_scope", 400, {"scope": None}), ("invalid_target", 400, {"resource": "https://else.example"}),
    ("invalid_target", 400, {"resource": None}), ("invalid_authorization_details", 400, {"authorization_details": "["}),
    ("invalid_authorization_details", 400, {"authorization_details": "{}"}),
    ("invalid_authorization_details", 400, {"authorization_details": '[{"type":"other"}]'}),
    ("invalid_authorization_details", 400, {"authorization_details": '[{"type":"client_data"}]'}),
    ("invalid_client", 401, {"client_assertion": "x", "client_assertion_type": ASSERTION}),
    ("invalid_client", 401, {"client_assertion": "x", "client_assertion_type": "x"}),
    ("invalid_request", 400, {"grant_type": EXCHANGE}),
    ("invalid_request", 400, {"grant_type": EXCHANGE, "subject_token": "x", "subject_token_type": ACCESS_TOKEN}),
])  # fmt: skip
def test_rfc6749_5_2_each_error_has_its_code_status_reason_and_remedy(
    target: Target, endpoint: str, error: str, status: int, changes: dict[str, str | None]
) -> None:
    """RFC 6749 §5.2, RFC 8707 §2, RFC 8693 §2.2.2, RFC 9396 §5; RFC021 §4: always JSON, whatever the Accept header says."""
    answer = ask(target, endpoint, {"Accept": "text/html"}, **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["reason"] == answer.headers["X-Reason"]
    assert answer.json()["remedy"]


def test_rfc021_an_unknown_subject_at_the_token_endpoint_is_no_500(target: Target, endpoint: str) -> None:
    """nuts-node#3974 answers 500."""
    assert ask(target, endpoint.replace("/oauth2/", "/oauth2/nobody-")).status_code == 404


def test_gfi_004_with_a_proof_the_token_must_be_bound_to_its_key(target: Target, endpoint: str) -> None:
    """GFI-004, RFC 9449 §5, §6: token_type DPoP and cnf.jkt."""
    holder = Holder()
    answer = ask(target, endpoint, {"DPoP": holder.proof("POST", endpoint)})
    assert answer.json()["token_type"] == "DPoP"
    claims = json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[1] + "=="))
    assert claims["cnf"] == {"jkt": holder.key.thumbprint()}


@proves("nuts 2.5: htm", "nuts 2.5: htu", "nuts 2.5: jti", "nuts 2.5: typ")
@pytest.mark.parametrize("changes", [
    {"htm": "GET"}, {"htu": "https://else.example/token"}, {"jti": None}, {"iat": None}, {"typ": "JWT"}, {"htu": None},
    {"htm": None},
])  # fmt: skip
def test_rfc9449_4_3_a_proof_for_another_request_is_refused(target: Target, endpoint: str, changes: dict[str, Any]) -> None:
    answer = ask(target, endpoint, {"DPoP": Holder().proof("POST", endpoint, **changes)})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


def test_rfc9449_11_1_a_proof_serves_once(target: Target, endpoint: str) -> None:
    proof = Holder().proof("POST", endpoint)
    assert ask(target, endpoint, {"DPoP": proof}).status_code == 200
    assert ask(target, endpoint, {"DPoP": proof}).json()["error"] == "invalid_dpop_proof"


def test_rfc9449_8_a_clock_that_is_wrong_is_given_a_nonce(target: Target, endpoint: str) -> None:
    holder = Holder()
    refused = ask(target, endpoint, {"DPoP": holder.proof("POST", endpoint, iat=1)})
    assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    nonce = refused.headers["DPoP-Nonce"]
    assert ask(target, endpoint, {"DPoP": holder.proof("POST", endpoint, iat=1, nonce=nonce)}).status_code == 200
    assert ask(target, endpoint, {"DPoP": holder.proof("POST", endpoint, nonce="x")}).json()["error"] == "use_dpop_nonce"


@proves("nuts 2.5: key", "nuts 2.5: ath", "nuts 2.5: once")
def test_gfi_005_a_key_bound_token_opens_with_a_proof_for_it_alone(target: Target, endpoint: str) -> None:
    """GFI-005, RFC 9449 §7: scheme, htm, htu, ath, key, and the proof once."""
    holder, url = Holder(), f"{target.services['localization']}/fhir/List/x"
    token = ask(target, endpoint, {"DPoP": holder.proof("POST", endpoint)}).json()["access_token"]
    good = holder.proof("DELETE", url, token)
    assert use(target, token, "DPoP", good).status_code == 404
    for proof in (good, None, holder.proof("DELETE", url), holder.proof("GET", url, token),
                  holder.proof("DELETE", url + "y", token),
                  Holder().proof("DELETE", url, token), holder.proof("DELETE", url, token + "x")):  # fmt: skip
        refused = use(target, token, "DPoP", proof)
        assert refused.status_code == 401, refused.text
        assert refused.headers["WWW-Authenticate"]


def test_rfc9449_7_1_and_7_2_each_token_under_its_own_scheme(target: Target, endpoint: str) -> None:
    holder, url = Holder(), f"{target.services['localization']}/fhir/List/x"
    by_key = ask(target, endpoint, {"DPoP": holder.proof("POST", endpoint)}).json()["access_token"]
    by_certificate = ask(target, endpoint).json()["access_token"]
    assert use(target, by_certificate, "Bearer").status_code == 404
    assert use(target, by_key, "Bearer").headers["X-Reason"] == "token_scheme"
    assert use(target, by_certificate, "DPoP", holder.proof("DELETE", url, by_certificate)).headers["X-Reason"] == "token_scheme"


def test_rfc8693_an_exchange_narrows_and_never_widens(target: Target, endpoint: str) -> None:
    token = ask(target, endpoint, scope="nvi:delete nvi:read").json()
    form = {"grant_type": EXCHANGE, "subject_token": token["access_token"], "subject_token_type": ACCESS_TOKEN}
    narrow = ask(target, endpoint, **form, scope="nvi:read").json()
    assert (narrow["issued_token_type"], narrow["scope"]) == (ACCESS_TOKEN, "nvi:read")
    assert narrow["expires_in"] <= token["expires_in"]
    assert use(target, narrow["access_token"], "Bearer").headers["X-Reason"] == "insufficient_scope"
    assert ask(target, endpoint, **form, scope="nvi:create").json()["error"] == "invalid_scope"


def test_rfc7009_an_exchanged_token_dies_with_its_original(target: Target, endpoint: str) -> None:
    token = ask(target, endpoint).json()["access_token"]
    assert target.http.post(endpoint.replace("/token", "/revoke"), data={"token": token}).status_code == 200
    answer = ask(target, endpoint, grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN)
    assert answer.json()["error"] == "invalid_request"


def test_rfc7009_2_2_revoking_an_unknown_token_is_answered_alike(target: Target, endpoint: str) -> None:
    assert target.http.post(endpoint.replace("/token", "/revoke"), data={"token": "x.y.z"}).status_code == 200


def test_gfi_006_introspection_is_for_the_own_resource_server(target: Target, endpoint: str) -> None:
    """RFC 7662 §2.1: the endpoint is protected."""
    token = ask(target, endpoint).json()["access_token"]
    for path in ("introspect", "introspect_extended"):
        answer = target.http.post(endpoint.replace("/token", f"/{path}"), data={"token": token})
        assert (answer.status_code, answer.headers["X-Reason"]) == (403, "party_mismatch")


def test_rfc8414_the_metadata_names_what_is_there(target: Target, endpoint: str) -> None:
    """RFC 8414 §2, RFC 8705 §5, RFC 9126 §5, RFC 9207 §3, RFC 9449 §5.1, RFC 9396 §10; RFC021 §3."""
    host, _, path = target.services["authorization"].removeprefix("https://").partition("/")
    found = target.http.get(f"https://{host}/.well-known/oauth-authorization-server/{path}").json()
    assert found["token_endpoint"] == endpoint
    assert {"tls_client_auth", "private_key_jwt"} <= set(found["token_endpoint_auth_methods_supported"])
    assert {"client_credentials", EXCHANGE} <= set(found["grant_types_supported"])
    assert "ES256" in found["dpop_signing_alg_values_supported"]
    assert "ES256" in found["token_endpoint_auth_signing_alg_values_supported"]
    assert found["mtls_endpoint_aliases"]["token_endpoint"].startswith("https://")
    assert found["authorization_details_types_supported"]
    for name, url in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert target.http.get(url).status_code in (200, 400, 401, 405), name
    if "authorization_endpoint" in found:
        assert found["code_challenge_methods_supported"] == ["S256"]
        assert found["authorization_response_iss_parameter_supported"] is True


def test_house_whoever_holds_a_grant_sees_and_ends_it(target: Target, endpoint: str) -> None:
    token = ask(target, endpoint).json()["access_token"]
    jti = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["jti"]
    grants = endpoint.replace("/token", "/grants")
    assert jti in [each["jti"] for each in target.http.get(grants).json()["grants"]]
    assert target.http.delete(f"{grants}/{jti}").status_code == 200
    assert jti not in [each["jti"] for each in target.http.get(grants).json()["grants"]]
