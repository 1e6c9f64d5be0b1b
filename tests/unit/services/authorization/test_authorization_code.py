"""Authorization code with PKCE, the login pages, pushed requests, OpenID Connect: what is given, and all that is refused."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from joserfc import jwk as jose_jwk
from joserfc import jwt as jose_jwt

from proeftuin.identifiers import UZI_SYSTEM
from proeftuin.tokens import dpop
from proeftuin.tokens.access_token import Person
from services.authorization.app import create_app
from tests.harness import BASE, PARTIES
from tests.unit.services.authorization.servers import (
    CALLBACK,
    CLIENT,
    HOLDER,
    HOSPITAL,
    OTHER,
    PORTAL,
    STATION,
    THIEF,
    Servers,
    claims_of,
    details,
)

pytestmark = pytest.mark.anyio


def sent_back(answer: Any) -> dict[str, str]:
    """Return what the browser carries back to the client."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].startswith(CALLBACK + "?")
    return {name: value for name, (value,) in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


async def test_a_professional_logs_in(servers: Servers) -> None:
    page = await servers.page()
    answer = await servers.choose(page)
    back = sent_back(answer)
    assert (back["state"], back["iss"]) == ("s1", f"{BASE}/oauth2/cibg")
    token = (await servers.redeem(back["code"])).json()
    keys = jose_jwk.KeySet.import_key_set((await servers.call("GET", "/oauth2/cibg/jwks", party=HOSPITAL)).json())
    claims = jose_jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (f"{BASE}/oauth2/cibg", "ura:90000101", "n1")
    assert claims["auth_time"] == claims["iat"]
    assert claims["sub"] == claims["dezi_nummer"]
    info = await servers.call("GET", "/oauth2/cibg/userinfo", party=HOSPITAL, token=token["access_token"])
    assert info.json()["sub"] == claims["sub"]
    assert info.json()["rol_code"] == claims["rol_code"]
    records = await servers.ask(
        at=HOLDER, scope="patient/Patient.rs", resource=STATION, authorization_details=details(), id_token=token["id_token"]
    )
    assert records.status_code == 200, "the ID token is the identity statement of a token request"


async def test_a_client_of_care_logs_in_for_the_own_data_alone(servers: Servers) -> None:
    form = {"scope": "openid patient/AuditEvent.rs", "resource": BASE}
    token = (await servers.redeem(await servers.code(PORTAL, "vws", **form), PORTAL, "vws")).json()
    claims = claims_of(token["access_token"])
    assert claims["scope"] == "patient/AuditEvent.rs"
    assert claims["extensions"]["ihe_iua"]["person_id"] == claims_of(token["id_token"])["bsn"]
    assert claims_of(token["id_token"])["sub"] != claims_of(token["id_token"])["bsn"]
    assert CLIENT not in claims["sub"]


async def test_the_page_takes_nothing_from_elsewhere_and_shows_who_may_log_in(servers: Servers) -> None:
    page = await servers.page()
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self' https://localhost;" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert not [word for word in ("<script", "http://", "https://", "src=", "@import") if word in page.text]
    names = [each.name for each in servers.seed.professionals if each.employer == HOSPITAL]
    assert names
    assert all(name in page.text for name in names)
    assert not [each for each in servers.seed.professionals if each.employer == THIEF and each.uzi in page.text]


@pytest.mark.parametrize("pushed", [False, True])
async def test_a_request_that_is_refused(servers: Servers, pushed: bool) -> None:
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("response_type", "unsupported_response_type", {"response_type": "token"}),
        ("response_type", "unsupported_response_type", {"response_type": None}),
        ("response_type", "unsupported_response_type", {"response_mode": "fragment"}),
        ("pkce", "invalid_grant", {"code_challenge": None}),
        ("pkce", "invalid_grant", {"code_challenge_method": "plain"}),
        ("pkce", "invalid_grant", {"code_challenge_method": None}),
        ("pkce", "invalid_grant", {"code_challenge": "short"}),
        ("scope_unknown", "invalid_scope", {"scope": "openid patient/Patient.rs"}),
        ("scope_unknown", "invalid_scope", {"scope": ""}),
        ("login_required", "login_required", {"prompt": "none"}),
        ("invalid_request", "invalid_request", {"request": "e30.e30."}),
        ("invalid_request", "invalid_request", {"state": "x" * 2049}),
    ]
    for reason, error, changes in cases:
        if pushed:
            answer = await servers.post("par", servers.authorization(**changes), at="cibg")
            assert (answer.status_code, answer.json()["error"]) == (400, error), changes
        else:
            answer = await servers.page(**changes)
            assert sent_back(answer)["error"] == error, changes
            assert sent_back(answer)["iss"] == f"{BASE}/oauth2/cibg"
        assert answer.headers["X-Reason"] == reason, changes


@pytest.mark.parametrize(
    "uri", [None, CALLBACK + "/", CALLBACK + "?x=1", "https://localhost/CALLBACK", "https://evil.example/callback"]
)
async def test_a_redirect_address_that_is_not_registered_gets_nothing(servers: Servers, uri: str | None) -> None:
    answer = await servers.page(redirect_uri=uri)
    assert (answer.status_code, answer.headers["X-Reason"], "Location" in answer.headers) == (400, "redirect_uri", False)
    pushed = await servers.post("par", servers.authorization(redirect_uri=uri), at="cibg")
    assert pushed.json()["reason"] == "redirect_uri"


async def test_who_may_begin(servers: Servers) -> None:
    assert (await servers.page(THIEF, client_id="ura:90000101")).json()["reason"] == "unknown_client"
    assert (await servers.page(HOSPITAL, "vws", scope="openid")).json()["reason"] == "party_mismatch"
    assert (await servers.page(HOSPITAL, HOLDER)).json()["reason"] == "not_found"
    assert (await servers.post("par", servers.authorization(), at=HOLDER)).json()["reason"] == "not_found"
    twice = await servers.call("GET", "/oauth2/cibg/authorize?client_id=ura:90000101&client_id=x", party=HOSPITAL)
    assert twice.json()["reason"] == "invalid_request"
    named = await servers.page(PORTAL, "vws", authorization_details=details())
    assert sent_back(named)["error"] == "invalid_request"
    assert named.headers["X-Reason"] == "identifier_in_url"


async def test_a_login_serves_once_for_its_own_browser_and_not_for_long(servers: Servers) -> None:
    page = await servers.page()
    assert (await servers.choose(page, THIEF)).json()["reason"] == "unknown_client"
    assert (await servers.choose(page)).json()["reason"] == "login_ended"
    page = await servers.page()
    other = next(each for each in servers.seed.professionals if each.employer != HOSPITAL)
    assert (await servers.choose(page, person=other.uzi)).json()["reason"] == "party_mismatch"
    page = await servers.page()
    cancelled = await servers.choose(page, cancel="1")
    assert (sent_back(cancelled)["error"], sent_back(cancelled)["state"]) == ("access_denied", "s1")
    page = await servers.page()
    servers.clock.forward(seconds=600)
    assert (await servers.choose(page)).json()["reason"] == "login_ended"


async def test_a_code_serves_once_and_a_replay_ends_what_was_given(servers: Servers) -> None:
    code = await servers.code()
    token = (await servers.redeem(code)).json()["access_token"]
    assert await servers.active(token, "cibg")
    again = await servers.redeem(code)
    assert (again.json()["reason"], again.json()["error"]) == ("code_replayed", "invalid_grant")
    assert not await servers.active(token, "cibg")
    info = await servers.call("GET", "/oauth2/cibg/userinfo", party=HOSPITAL, token=token)
    assert info.headers["X-Reason"] == "token_revoked"


async def test_a_code_that_does_not_fit(servers: Servers) -> None:
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("pkce", "invalid_grant", {"code_verifier": "w" * 43}),
        ("pkce", "invalid_grant", {"code_verifier": None}),
        ("redirect_uri", "invalid_request", {"redirect_uri": CALLBACK + "2"}),
        ("redirect_uri", "invalid_request", {"redirect_uri": None}),
        ("code_invalid", "invalid_grant", {"party": THIEF, "client_id": servers.peer(THIEF).client_id}),
        ("unknown_client", "invalid_client", {"party": THIEF, "client_id": "ura:90000101"}),
    ]
    for reason, error, changes in cases:
        answer = await servers.redeem(await servers.code(), **changes)
        assert (answer.json()["reason"], answer.json()["error"]) == (reason, error), changes
    assert (await servers.redeem("no such code")).json()["reason"] == "code_invalid"
    assert (await servers.redeem(await servers.code(), at="vws")).json()["reason"] == "code_invalid"
    late = await servers.code()
    servers.clock.forward(seconds=60)
    assert (await servers.redeem(late)).json()["reason"] == "code_invalid"


async def test_a_code_can_be_bound_to_a_key(servers: Servers) -> None:
    url = f"{BASE}/oauth2/cibg/token"
    jkt = dpop.verify(servers.proof(url)["DPoP"], method="POST", url=url, nonces=dpop.Nonces(b""), now=servers.clock.now()).key
    assert (await servers.redeem(await servers.code(dpop_jkt=jkt))).json()["reason"] == "code_invalid"
    bound = await servers.redeem(await servers.code(dpop_jkt=jkt), headers=servers.proof(url))
    assert bound.json()["token_type"] == "DPoP"


async def test_a_pushed_request_names_a_client_of_care_and_serves_once(servers: Servers) -> None:
    form = {"scope": "patient/AuditEvent.rs", "resource": BASE, "authorization_details": details(CLIENT, purpose_of_use="PATRQT")}

    async def push(**changes: Any) -> str:
        answer = await servers.post("par", servers.authorization(PORTAL, **form | changes), PORTAL, at="vws")
        assert (answer.status_code, answer.json()["expires_in"]) == (201, 60)
        return str(answer.json()["request_uri"])

    async def open_(uri: str, party: str = PORTAL) -> Any:
        params = {"client_id": servers.peer(party).client_id, "request_uri": uri}
        return await servers.call("GET", "/oauth2/vws/authorize", party=party, params=params)

    uri = await push()
    page = await open_(uri)
    back = sent_back(await servers.choose(page, PORTAL, "vws", person=CLIENT))
    assert (await servers.redeem(back["code"], PORTAL, "vws")).status_code == 200
    assert (await open_(uri)).json()["reason"] == "login_ended"
    assert (await open_(await push(), HOSPITAL)).json()["reason"] == "login_ended"
    another = sent_back(await servers.choose(await open_(await push()), PORTAL, "vws", person=OTHER))
    assert (await servers.redeem(another["code"], PORTAL, "vws")).json()["reason"] == "subject_mismatch"
    uri = await push()
    servers.clock.forward(seconds=60)
    assert (await open_(uri)).json()["reason"] == "login_ended"
    nested = await servers.post("par", servers.authorization(PORTAL) | {"request_uri": uri}, PORTAL, at="vws")
    assert nested.json()["reason"] == "invalid_request"


async def test_userinfo_is_for_a_party_and_on_a_person_that_there_is(servers: Servers, tmp_path: Path) -> None:
    token = (await servers.redeem(await servers.code())).json()["access_token"]
    without = tmp_path / "parties.toml"
    without.write_text(PARTIES.read_text().replace('ura = "90000101"', 'ura = "90000997"'))
    settings = servers.settings.model_copy(update={"parties": without})
    async with servers.running(create_app(settings, servers.app.state.service.wiring)):
        answer = await servers.call("GET", "/oauth2/cibg/userinfo", party=HOSPITAL, token=token)
    assert answer.headers["X-Reason"] == "unknown_client"
    nobody = await servers.forged(HOSPITAL, "cibg", "openid")
    async with servers.running(servers.app):
        answer = await servers.call("GET", "/oauth2/cibg/userinfo", party=HOSPITAL, token=nobody)
        gone = await servers.forged(HOSPITAL, "cibg", "openid", person=Person("999999999", UZI_SYSTEM, "30.000", "90000101"))
        left = await servers.call("GET", "/oauth2/cibg/userinfo", party=HOSPITAL, token=gone)
    assert answer.headers["X-Reason"] == left.headers["X-Reason"] == "identity_invalid"


async def test_metadata_tells_all_of_it(servers: Servers) -> None:
    found = (await servers.call("GET", "/oauth2/cibg/.well-known/openid-configuration", party=HOSPITAL)).json()
    assert found == (await servers.call("GET", "/.well-known/oauth-authorization-server/oauth2/cibg", party=HOSPITAL)).json()
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    party = (await servers.call("GET", f"/.well-known/oauth-authorization-server/oauth2/{HOLDER}", party=HOSPITAL)).json()
    assert "authorization_endpoint" not in party
    assert "authorization_code" not in party["grant_types_supported"]


async def test_nothing_personal_is_logged_but_who_logged_in(servers: Servers) -> None:
    await servers.logged()
    code = await servers.code(PORTAL, "vws", scope="openid")
    token = (await servers.redeem(code, PORTAL, "vws")).json()["access_token"]
    events = json.dumps(await servers.logged())
    assert code not in events
    assert token not in events
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
