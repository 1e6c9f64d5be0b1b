"""Authlib as client of every standard door, over mTLS: it knows OAuth, and nothing of us."""

import re
import ssl
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client, OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk, jwt

from tests.interop.conftest import Parts

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
Make = Callable[..., OAuth2Client]


@pytest.fixture
def make(parts: Parts) -> Make:
    """Make a client of the hospital with its certificate."""

    def made(**settings: object) -> OAuth2Client:
        context = ssl.create_default_context(cafile=str(parts.ca))
        context.load_cert_chain(parts.certificate, parts.key)
        chosen = {"token_endpoint_auth_method": "none", "client_id": parts.client_id} | settings  # "none": client_id in the form
        return OAuth2Client(verify=context, trust_env=False, **chosen)

    return made


def metadata(client: OAuth2Client, issuer: str) -> dict[str, str]:
    parts = urlsplit(issuer)
    url = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
    found: dict[str, str] = client.request("GET", url, withhold_token=True).json()
    assert found["issuer"] == issuer
    return found


def log_in(client: OAuth2Client, url: str, person: str) -> str:
    """Do what a browser does: open the page, choose, be sent back; returns where to."""
    page = client.request("GET", url, withhold_token=True)
    (login,) = re.findall(r'name="login" value="([^"]+)"', page.text)
    answer = client.request("POST", url, withhold_token=True, data={"login": login, "person": person}, follow_redirects=False)
    return str(answer.headers["Location"])


def test_client_credentials_by_certificate_and_by_private_key_jwt(make: Make, parts: Parts) -> None:
    client = make()
    endpoint = metadata(client, parts.issuer)["token_endpoint"]
    asked = {"grant_type": "client_credentials", "scope": parts.scope, "resource": parts.resource}
    assert client.fetch_token(endpoint, **asked)["token_type"] == "Bearer"
    key, now = jwk.ECKey.import_key(parts.key.read_text()), int(time.time())
    signing = PrivateKeyJWT(endpoint, alg="ES256", headers={"kid": parts.kid}, claims={"exp": now + 60, "jti": generate_token(20)})
    by_key = make(token_endpoint_auth_method=signing, client_secret=key)
    assert by_key.fetch_token(endpoint, **asked)["scope"] == parts.scope
    with pytest.raises(OAuthError, match="invalid_client"):  # the same jti: it served
        by_key.fetch_token(endpoint, **asked)
    too_long = PrivateKeyJWT(endpoint, alg="ES256", headers={"kid": parts.kid})  # authlib's default is an hour
    with pytest.raises(OAuthError, match="invalid_client"):
        make(token_endpoint_auth_method=too_long, client_secret=key).fetch_token(endpoint, **asked)


def test_code_then_records_then_exchange_then_revocation(make: Make, parts: Parts) -> None:
    client = make(redirect_uri=parts.redirect_uri, scope="openid", code_challenge_method="S256")
    found = metadata(client, parts.identity)
    verifier = generate_token(48)
    url, state = client.create_authorization_url(found["authorization_endpoint"], code_verifier=verifier, nonce="n1")
    back = log_in(client, url, parts.person)
    assert parse_qs(urlsplit(back).query)["iss"] == [parts.identity]
    token = client.fetch_token(found["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
    keys = jwk.KeySet.import_key_set(client.request("GET", found["jwks_uri"], withhold_token=True).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["nonce"], claims["dezi_nummer"], claims["aud"]) == ("n1", parts.person, parts.client_id)
    assert client.get(found["userinfo_endpoint"]).json()["sub"] == claims["sub"]
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.fetch_token(found["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)

    records = make()
    holder = metadata(records, parts.holder)
    given = records.fetch_token(
        holder["token_endpoint"], grant_type="client_credentials", id_token=token["id_token"], **parts.records
    )
    patient = f"{parts.records['resource']}/fhir/Patient"
    assert records.get(patient).json()["total"] == 1
    narrow = make()
    exchanged = narrow.fetch_token(
        holder["token_endpoint"], grant_type=EXCHANGE, subject_token=given["access_token"], scope="patient/Patient.rs",
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
    )  # fmt: skip
    assert exchanged["scope"] == "patient/Patient.rs"
    assert narrow.get(patient).status_code == 200
    assert narrow.get(patient.replace("Patient", "Condition")).headers["X-Reason"] == "insufficient_scope"
    assert records.revoke_token(holder["revocation_endpoint"], token=given["access_token"]).status_code == 200
    for each in (records, narrow):
        refused: httpx.Response = each.get(patient)
        assert (refused.status_code, refused.headers["X-Reason"]) == (401, "token_revoked")
