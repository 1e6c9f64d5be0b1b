"""private_key_jwt by requirement (RFC 7523 §3, RFC 7521 §4.2.1): each fault of an assertion is told by the name of what to change.

They run against any base URL at which the key of the certificate is registered, with its RFC 7638 thumbprint as `kid`.
"""

import json
import secrets
import time
from typing import Any

import httpx
import pytest
from joserfc import jwk, jws

from tests.contract.target import Target

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def endpoint(target: Target) -> str:
    return f"{target.services['authorization']}/token"


def ask(target: Target, endpoint: str, changes: dict[str, Any], key: jwk.ECKey | None = None) -> httpx.Response:
    """Ask a token with an assertion of which `changes` are other: members of the header, or claims; None leaves one out."""
    own, now = target.key, int(time.time())
    made = {
        "alg": "ES256", "kid": own.thumbprint(), "iss": target.client_id, "sub": target.client_id, "exp": now + 30, "iat": now,
        "aud": target.services["authorization"], "jti": secrets.token_hex(8),
    } | changes  # fmt: skip
    header = {name: made.pop(name) for name in ("alg", "kid")}
    header, claims = ({name: value for name, value in each.items() if value is not None} for each in (header, made))
    signer = jwk.OctKey.generate_key(256) if header["alg"] == "HS256" else key or own
    signed = jws.serialize_compact(header, json.dumps(claims).encode(), signer)
    form = {
        "grant_type": "client_credentials", "scope": "nvi:delete", "resource": target.services["localization"],
        "client_assertion_type": TYPE, "client_assertion": signed,
    }  # fmt: skip
    return target.http.post(endpoint, data=form)


def test_rfc7523_3_an_assertion_is_taken_and_serves_once(target: Target, endpoint: str) -> None:
    jti = secrets.token_hex(8)
    first, second = (ask(target, endpoint, {"jti": jti}) for _ in range(2))
    assert first.status_code == 200, first.text
    assert (second.status_code, second.json()["error"], second.json()["reason"]) == (
        401,
        "invalid_client",
        "client_assertion_replayed",
    )
    assert "jti" in second.json()["remedy"]


@pytest.mark.parametrize(("named", "changes"), [
    ("no kid", {"kid": None}), ("this kid", {"kid": "another"}), ("alg", {"alg": "HS256"}), ("iss", {"iss": "ura:99999999"}),
    ("iss", {"iss": None}), ("sub", {"sub": "ura:99999999"}), ("sub", {"sub": None}), ("aud", {"aud": "https://else.example"}),
    ("aud", {"aud": None}), ("exp", {"exp": None}), ("exp", {"exp": 1}), ("exp", {"exp": 1 << 40}), ("iat", {"iat": 1 << 40}),
    ("nbf", {"nbf": 1 << 40}), ("jti", {"jti": None}),
])  # fmt: skip
def test_rfc7521_4_2_1_each_fault_is_named(target: Target, endpoint: str, named: str, changes: dict[str, Any]) -> None:
    answer = ask(target, endpoint, changes)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.text
    assert named in answer.json()["error_description"]


def test_rfc7521_4_2_1_a_signature_of_another_key_is_named(target: Target, endpoint: str) -> None:
    answer = ask(target, endpoint, {}, jwk.ECKey.generate_key("P-256"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.text
    assert "signature" in answer.json()["error_description"]
