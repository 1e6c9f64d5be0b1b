"""The iWlz token door and enforcement point: who gets a token, what passes, and exactly what is said where something does not."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from proeftuin.reasons import CATALOGUE
from services.authorization.decision.iwlz import FOLDER
from tests.unit.services.authorization.iwlz_network import (
    AGB,
    BR,
    BR_SCOPE,
    CIZ,
    INDICATIE,
    IR,
    IR_SCOPE,
    N_SCOPE,
    SPEC,
    THIEF,
    UZOVI,
    VENDOR,
    ZA,
    ZK,
    N,
    Network,
    payload,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    made = Network(tmp_path)
    async with made.running(made.app):
        yield made


async def test_a_token_says_what_the_networks_policies_read(network: Network) -> None:
    answer = await network.ask_token(ZA, scope=f"{BR_SCOPE} {BR_SCOPE}")
    assert (answer.json()["token_type"], answer.headers["Cache-Control"]) == ("Bearer", "no-store")
    raw = answer.json()["access_token"]
    keys = (await network.call("GET", "/netwerkmodel/v3/auth/jwks", party=ZA)).json()
    key = jwt.PyJWKSet.from_dict(keys).keys[0]
    assert jwt.get_unverified_header(raw) == {"alg": "RS256", "typ": "JWT", "kid": key.key_id}
    claims = jwt.decode(raw, key.key, algorithms=["RS256"], audience=BR)
    now = int(network.clock.now().timestamp())
    assert (claims["iss"], claims["iat"], claims["nbf"], claims["exp"]) == ("auth.nid", now, now - 120, now + 3600)
    assert claims["scopes"] == [BR_SCOPE]
    assert claims["sub"] == claims["client_id"] == "29990090000103"
    assert claims["subjects"] is None
    assert "act" not in claims
    assert claims["cnf"] == {"x5t#S256": network.peer(ZA).thumbprint}
    assert claims["_claim_names"]["agb"] == "localhost"
    about = jwt.decode(claims["_claim_sources"]["localhost"]["jwt"], key.key, algorithms=["RS256"])
    assert (about["agb"], about["uzovi"], about["instantie_type"]) == (AGB, None, "Zorgaanbieder")


@pytest.mark.parametrize("sub", [f"agbcode:{AGB}", f"uzovi:{UZOVI}"])
async def test_an_actor_gets_a_token_for_who_mandated_it(network: Network, sub: str) -> None:
    claims = payload(await network.token(VENDOR, BR_SCOPE, BR, sub))
    assert (claims["client_id"], claims["act"]) == (sub, {"sub": "29990090990401"})
    (event,) = await network.logged()
    assert event["outcome"] == "0"


async def test_an_empty_sub_means_oneself(network: Network) -> None:
    answer = await network.ask_token(ZK, access_token={"sub": ""})
    assert payload(answer.json()["access_token"])["client_id"] == "29990000009901"


@pytest.mark.parametrize(
    ("party", "changes", "status", "text", "reason"),
    [
        (ZA, {"audience": None}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": ""}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": "http://localhost/graphql"}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": [BR, IR]}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": f"{BR} {IR}"}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": "https:///graphql"}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": f"{BR}#x"}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": f"{BR}/a b"}, 400, "audience is required", "resource_unknown"),
        (ZA, {"audience": "https://x@localhost/"}, 400, "audience is required", "resource_unknown"),
        (ZA, {"scope": f"{BR_SCOPE} registers/unknown:read"}, 400, "Access denied, invalid scope", "scope_unknown"),
        (ZA, {"scope": BR_SCOPE.upper()}, 400, "Access denied, invalid scope", "scope_unknown"),
        (ZA, {"scope": ""}, 400, "Access denied, invalid scope", "scope_unknown"),
        (ZA, {"scope": None}, 400, "Access denied, invalid scope", "scope_unknown"),
        (ZA, {"scope": ["a"]}, 400, "Access denied, invalid scope", "scope_unknown"),
        (ZA, {"grant_type": "password"}, 400, "grant_type is client_credentials", "invalid_request"),
        (THIEF, {"access_token": {"sub": f"agbcode:{AGB}"}}, 401, "authenticating with issuing authority", "mandate_missing"),
        (VENDOR, {"access_token": {"sub": "agbcode:06990101"}}, 401, "authenticating with issuing authority", "mandate_missing"),
        (VENDOR, {"access_token": {"sub": "agbcode:99999999"}}, 401, "authenticating with issuing authority", "mandate_missing"),
        (VENDOR, {"access_token": {"sub": "bsn:999910000"}}, 401, "authenticating with issuing authority", "mandate_missing"),
        (ZA, {"access_token": {"sub": f"agbcode:{AGB}"}}, 401, "authenticating with issuing authority", "mandate_missing"),
        (VENDOR, {"access_token": "x"}, 400, 'access_token is {"sub": "<identity>"}', "invalid_request"),
    ],
)
async def test_no_token_is_given(
    network: Network, party: str, changes: dict[str, Any], status: int, text: str, reason: str
) -> None:  # fmt: skip
    answer = await network.ask_token(party, **changes)
    assert (answer.status_code, answer.text, answer.headers["X-Reason"]) == (status, text, reason)
    assert answer.headers["content-type"].startswith("text/plain")
    (event,) = await network.logged()
    assert event["outcomeDesc"] == f"{reason}: {answer.headers['X-Detail']}"
    assert answer.headers["X-Remedy"] == CATALOGUE[reason].remedy
    trace_id = answer.headers["traceparent"].split("-")[1]  # docs/console.md: in the header alone
    assert (len(trace_id), trace_id in answer.text) == (32, False)
    assert "999910000" not in str(event)


async def test_a_form_is_no_json(network: Network) -> None:
    form = {"grant_type": "client_credentials", "scope": BR_SCOPE, "audience": BR}
    answer = await network.call("POST", "/netwerkmodel/v3/auth/token", party=ZA, data=form)
    assert answer.status_code == 415


@pytest.mark.parametrize("path", ["/netwerkmodel/v3/auth/token", "/netwerkmodel/v3/pep"])
async def test_a_revoked_certificate_is_invalid(network: Network, path: str) -> None:
    network.authority.revoke(network.peer(ZA).serial)
    answer = await network.call("POST", path, party=ZA, json={})
    assert (answer.status_code, answer.text) == (403, "Invalid Client Certificate")
    assert answer.headers["X-Reason"] == "certificate_revoked"
    assert "stands on the revocation list" in answer.headers["X-Detail"]
    assert answer.headers["X-Remedy"] == CATALOGUE["certificate_revoked"].remedy


async def test_an_allowed_request_passes_untouched_and_so_does_its_answer(network: Network) -> None:
    token = await network.token(ZA, BR_SCOPE, BR)
    await network.logged()
    answer = await network.pep(ZA, token, SPEC, za=AGB)
    assert answer.json() == {"data": {"bemiddelingspecificatie": [{"zzpCode": "063"}]}}
    assert answer.headers["content-type"] == "application/graphql-response+json"
    assert "set-cookie" not in answer.headers
    ((url, headers, body),) = network.passed
    assert (url, body) == (BR, {"query": SPEC, "variables": {"za": AGB}})
    assert jwt.decode(token, options={"verify_signature": False}) == json.loads(headers["claims"])
    assert "authorization" not in {name.lower() for name in headers}
    (event,) = await network.logged()
    details = {each["type"]: each["valueString"] for each in event["entity"][-1]["detail"]}
    assert details["decision"] == "permit"
    assert details["profile"] == "vecozo-2026-03"
    assert len(details["policies"].split()[1]) == 64
    assert f"urn:ietf:params:oauth:jti:{payload(token)['jti']}" in event["agent"][0]["policy"]


async def test_a_relation_is_looked_up_in_the_register(network: Network) -> None:
    token = await network.token(ZA, IR_SCOPE, IR)
    assert (await network.pep(ZA, token, INDICATIE)).status_code == 200
    assert [url for url, _, _ in network.passed] == [BR, IR]
    network.related = False
    answer = await network.pep(ZA, token, INDICATIE)
    assert answer.status_code == 401
    assert [each["extensions"]["rule"] for each in answer.json()["errors"]] == ["ir.instelling"]


@pytest.mark.parametrize(("profile", "status"), [("vecozo-2026-03", 401), ("spec-2026-06", 500)])
async def test_a_register_that_gives_no_answer_denies_and_is_named(network: Network, profile: str, status: int) -> None:
    network.down = BR
    answer = await network.pep(ZA, await network.token(ZA, IR_SCOPE, IR), INDICATIE, profile)
    assert answer.status_code == status
    assert {"pip.unanswered": "PIP"}.items() <= {
        e["extensions"]["rule"]: e["extensions"]["origin"] for e in answer.json()["errors"]
    }.items()
    assert network.passed == []


@pytest.mark.parametrize(("audience", "status"), [(IR, 502), (N, 504)])
async def test_a_resource_server_that_gives_no_answer(network: Network, audience: str, status: int) -> None:
    network.down = audience
    answer = await network.pep(ZA, await network.token(ZA, BR_SCOPE, audience), SPEC, za=AGB)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["origin"] == "PEP"


async def test_a_token_that_does_not_hold_is_refused(network: Network) -> None:
    token = await network.token(ZA, BR_SCOPE, BR)
    header, body, signature = token.split(".")
    none = jwt.encode(payload(token), "", algorithm="none")
    expected = {
        None: (401, "Jwt is invalid"), "x": (401, "Jwt is invalid"), none: (401, "Jwt is invalid"),
        f"{header}.{body}.{signature[:-8]}AAAAAAAA": (401, "Jwt is invalid"),
        payload(token)["_claim_sources"]["localhost"]["jwt"]: (403, "Invalid Client Certificate"),
    }  # fmt: skip
    for raw, (status, text) in expected.items():
        answer = await network.pep(ZA, raw, SPEC, za=AGB)
        assert (answer.status_code, answer.text) == (status, text)
        assert answer.headers["content-type"].startswith("text/plain")
    stolen = await network.pep(THIEF, token, SPEC, za=AGB)
    assert (stolen.status_code, stolen.text, stolen.headers["X-Reason"]) == (403, "Invalid Client Certificate", "token_binding")
    told = (await network.pep(THIEF, token, SPEC, "spec-2026-06", za=AGB)).json()
    assert told == {"ErrorCode": "access_denied", "Error": "Invalid Client Certificate"}
    network.clock.forward(seconds=3600)
    late = await network.pep(ZA, token, SPEC, za=AGB)
    assert (late.status_code, late.text) == (401, "Jwt is expired")
    spec = await network.pep(ZA, token, SPEC, "spec-2026-06", za=AGB)
    assert (spec.status_code, spec.json()) == (401, {"ErrorCode": "unauthorized", "Error": "Jwt is expired"})
    network.clock.forward(seconds=-3600 - 300)
    early = await network.pep(ZA, token, SPEC, za=AGB)
    assert (early.status_code, early.text) == (401, "Jwt is expired")
    assert network.passed == []


async def test_a_withdrawn_mandate_ends_the_tokens_that_stand_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr("services.authorization.decision.iwlz.Decisions.__init__.__defaults__", (folder,))
    network = Network(tmp_path / "network")
    async with network.running(network.app):
        token = await network.token(VENDOR, BR_SCOPE, BR, f"agbcode:{AGB}")
        assert (await network.pep(VENDOR, token, SPEC, za=AGB)).status_code == 200
        (folder / "mandates.toml").write_text("")
        policies = next(cell for cell in [network.app.state.service.checks["policies"].__self__])
        policies.pause = 0.0
        answer = await network.pep(VENDOR, token, SPEC, za=AGB)
        assert (answer.status_code, answer.headers["X-Reason"]) == (401, "token_revoked")
        assert (await network.ask_token(VENDOR, access_token={"sub": f"agbcode:{AGB}"})).status_code == 401


@pytest.mark.parametrize(
    ("query", "variables", "profile", "status", "texts"),
    [
        (SPEC, {"za": "47990104"}, "vecozo-2026-03", 400,
         ["Specificatie query: A where 'instelling' equals is required and set to your agb."]),
        (SPEC, {"za": "47990104"}, "spec-2026-06", 403,
         ["Specificatie query: A where 'instelling' equals is required and set to your agb."]),
        ("{", {}, "vecozo-2026-03", 400, ["Unable to parse graphql query"]),
        ("{", {}, "spec-2026-06", 400, ["Unable to parse graphql query"]),
        ("query A { client { bsn } } query B { client { bsn } }", {}, "vecozo-2026-03", 400,
         ["Only one operation at the time is supported."]),
        ("{ client { bsn } regiehouder { regierol } }", {}, "vecozo-2026-03", 400,
         ["Only one selectionset in an operation is supported."]),
        ("{ __typename }", {}, "spec-2026-06", 400, ["No operation found to evaluate"]),
        ("{ levering { leveringID } }", {}, "vecozo-2026-03", 400, ["No operation found to evaluate"]),
        ("{ users { name } }", {}, "vecozo-2026-03", 400, ["No operation found to evaluate"]),
        ("{ users { name } }", {}, "spec-2026-06", 400, ["No operation found to evaluate"]),
        ("query I { wlzIndicatie { bsn } }", {}, "vecozo-2026-03", 400, ["I query: scope not allowed"]),
    ],
)  # fmt: skip
async def test_a_denied_request_says_all_that_fails_in_the_words_of_the_profile(
    network: Network, query: str, variables: dict[str, Any], profile: str, status: int, texts: list[str]
) -> None:
    answer = await network.pep(ZA, await network.token(ZA, BR_SCOPE, BR), query, profile, **variables)
    assert answer.status_code == status
    assert [each["message"] for each in answer.json()["errors"]] == texts
    if profile == "spec-2026-06":
        code = "access_denied" if status == 403 else "bad_request"
        assert (answer.json()["ErrorCode"], answer.json()["Error"]) == (code, texts[0])
    else:
        assert answer.json().keys() == {"errors"}
    assert answer.headers["X-Reason"] == "policy_denied"
    assert network.passed == []
    event = (await network.logged())[-1]
    assert event["outcomeDesc"].startswith("policy_denied")


async def test_spec_says_that_a_scope_is_not_allowed_with_403(network: Network) -> None:
    answer = await network.pep(ZA, await network.token(ZA, N_SCOPE, BR), SPEC, "spec-2026-06", za=AGB)
    assert (answer.status_code, answer.json()["ErrorCode"], answer.json()["Error"]) == (
        403,
        "access_denied",
        "Scope is not allowed",
    )


async def test_without_explanations_only_what_the_network_itself_says(tmp_path: Path) -> None:
    network = Network(tmp_path, explanations=False)
    async with network.running(network.app):
        answer = await network.pep(ZA, await network.token(ZA, BR_SCOPE, BR), SPEC, za="1")
        assert answer.json() == {
            "errors": [{
                "message": "Specificatie query: A where 'instelling' equals is required and set to your agb.",
                "extensions": {"code": "BAD_REQUEST"},
            }]
        }  # fmt: skip
        answer = await network.pep(ZA, await network.token(ZA, BR_SCOPE, BR), SPEC, "spec-2026-06", za="1")
        assert answer.json().keys() == {"ErrorCode", "Error"}


async def test_a_profile_is_the_callers_choice_only_where_the_settings_say_so(tmp_path: Path) -> None:
    network = Network(tmp_path, profile_by_request=False)
    async with network.running(network.app):
        for named in ("spec-2026-06", "another"):
            answer = await network.pep(ZA, await network.token(ZA, BR_SCOPE, BR), SPEC, named, za="1")
            assert (answer.status_code, answer.json().keys()) == (400, {"errors"})


@pytest.mark.parametrize(("authorization", "reason"), [
    ("Basic eDp5", "token_missing"), ("Bearer", "token_missing"), ("Bearer  ", "token_missing"), ("", "token_missing"),
    ("Bearer x", "token_malformed"), ("bearer x", "token_malformed"),
])  # fmt: skip
async def test_what_is_no_bearer_token_is_none(network: Network, authorization: str, reason: str) -> None:
    headers = {"Authorization": authorization}
    answer = await network.call("POST", "/netwerkmodel/v3/pep", party=ZA, json={"query": SPEC}, headers=headers)
    assert (answer.status_code, answer.text, answer.headers["X-Reason"]) == (401, "Jwt is invalid", reason)


async def test_an_address_that_is_not_registered_opens_no_door(tmp_path: Path) -> None:
    network = Network(tmp_path)
    addresses = {network.seed.party(ZA).client_id: ["192.0.2.0/24"]}
    async with network.running(network.app):
        token = await network.token(ZA, BR_SCOPE, BR)
        network.app.state.service.checks["policies"].__self__.current().documents["addresses"] |= addresses
        try:
            for answer in (await network.ask_token(ZA), await network.pep(ZA, token, SPEC, za=AGB)):
                assert (answer.status_code, answer.headers["X-Reason"]) == (403, "address_unregistered")
        finally:
            network.app.state.service.checks["policies"].__self__.current().documents["addresses"].pop(*addresses)
    assert network.passed == []


@pytest.mark.parametrize("content", [{"query": 1}, {"query": SPEC, "variables": []}, {}])
async def test_what_is_no_graphql_request_is_malformed(network: Network, content: dict[str, Any]) -> None:
    token = await network.token(ZA, BR_SCOPE, BR)
    answer = await network.call("POST", "/netwerkmodel/v3/pep", party=ZA, token=token, json=content)
    assert (answer.status_code, answer.headers["X-Reason"]) == (400, "malformed")


async def test_an_unknown_profile_is_named(network: Network) -> None:
    answer = await network.pep(ZA, None, SPEC, "vecozo-1999")
    assert (answer.status_code, answer.headers["X-Reason"]) == (400, "profile_unknown")


async def test_ciz_reads_in_the_profile_that_lets_it(network: Network) -> None:
    query = 'query Q { bemiddeling(where: {wlzIndicatieID: {eq: "c37239b0-9e3d-4c00-88fd-01f37e590fc0"}}) { wlzIndicatieID } }'
    token = await network.token(CIZ, BR_SCOPE, BR)
    assert [(await network.pep(CIZ, token, query, each)).status_code for each in ("vecozo-2026-03", "spec-2026-06")] == [401, 200]
