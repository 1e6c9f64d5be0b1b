"""OpenID4VCI 1.0: what a holder's wallet accepts of an issuer."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proeftuin.credentials import credential
from proeftuin.transport.client import Answer
from tests.harness import BASE
from tests.unit.services.wallet.openid4vci import GRANT, ISSUER, KIND, Flow
from tests.unit.services.wallet.test_wallet import HOSPITAL, REGISTER, VENDOR

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["credential_offer", "credential_offer_uri"])
async def test_an_offer_is_accepted_by_value_and_by_reference(flow: Flow, form: str) -> None:
    offer = await flow.offer(KIND, "NutsUraCredential")
    asked = {form: offer[form]}
    assert parse_qs(urlsplit(offer["link"]).query) == {"credential_offer_uri": [offer["credential_offer_uri"]]}
    await flow.wallets.logged()
    answer = await flow.accept(**asked)
    assert answer.status_code == 201, answer.text
    held = (await flow.wallets.send("GET", HOSPITAL, "holder/vc")).json()
    assert {each["type"] for each in held} == {KIND, "NutsUraCredential"} == {each["type"] for each in answer.json()}
    read = [credential.read(each["raw"]) for each in held]
    assert {(each.issuer, each.subject) for each in read} == {(flow.wallets.did(REGISTER), flow.did)}
    told = [event["subtype"][0]["code"] for event in await flow.wallets.logged()]
    assert sorted(told) == ["ITI-71", "hold-credential", "issue-credential", "issue-credential"]
    assert (await flow.accept(**asked)).json()["reason"] == "credential_not_given"  # a code serves once


# --- what a holder's wallet does not accept

Tamper = Callable[[str, dict[str, Any]], dict[str, Any]]


def member(where: str, **changes: Any) -> Tamper:
    return lambda url, document: document | changes if where in url else document


def unsigned(found: dict[str, Any]) -> dict[str, Any]:
    return {"credentials": [{"credential": found["credentials"][0]["credential"][:-8] + "AAAAAAAA"}]}


METADATA, SERVER = "openid-credential-issuer", "oauth-authorization-server"
OTHER = {"format": "jwt_vc_json", "credential_definition": {"type": ["VerifiableCredential", "NutsUraCredential"]}}


@pytest.mark.parametrize(
    ("spent", "reason", "tamper"),
    [
        (False, "offer_malformed", member(METADATA, credential_issuer="https://else")),
        (False, "offer_malformed", member(METADATA, credential_configurations_supported={})),
        (False, "offer_malformed", member(METADATA, credential_configurations_supported={KIND: OTHER | {"format": "ldp_vc"}})),
        (False, "offer_malformed", member(METADATA, credential_configurations_supported={KIND: {"format": "jwt_vc_json"}})),
        (False, "offer_malformed", member(METADATA, credential_endpoint="https://else/credential")),
        (False, "offer_malformed", member(METADATA, nonce_endpoint=1)),
        (False, "offer_malformed", member(METADATA, filling="x" * (1 << 18))),
        (False, "offer_malformed", member(METADATA, authorization_servers=["http://localhost:8440/iam/cibg"])),
        (False, "offer_malformed", member(SERVER, issuer="https://else")),
        (False, "offer_malformed", member(SERVER, token_endpoint="http://localhost:8440/token")),
        (True, "credential_not_given", member(METADATA, credential_configurations_supported={KIND: OTHER})),
        (True, "offer_malformed", lambda url, found: {} if url.endswith("/token") else found),
        (True, "credential_not_given", member("/nonce", c_nonce="stale")),
        (True, "credential_malformed", member("/credential", credentials=[{"credential": "x"}])),
        (True, "credential_signature", lambda url, found: unsigned(found) if url.endswith("/credential") else found),
        (True, "offer_malformed", member("/credential", credentials=[])),
        (True, "credential_not_given", lambda url, found: {"status": 202} if url.endswith("/credential") else found),
    ],
)
async def test_an_issuer_that_says_something_else_is_refused(
    kept: Flow, monkeypatch: pytest.MonkeyPatch, spent: bool, reason: str, tamper: Tamper
) -> None:
    client: Any = kept.wallets.app.state.service.tenants[HOSPITAL].client
    plain, called = client.request, list[str]()

    async def request(method: str, url: str, **sent: Any) -> Answer:
        called.append(url)
        answer = await plain(method, url, **sent)
        fine = answer.status == 200 and "/did.json" not in url and "/status/" not in url
        document = tamper(url, json.loads(answer.body)) if fine else {}
        return Answer(document.get("status", answer.status), answer.headers, json.dumps(document).encode() if fine else answer.body)

    offer = await kept.offer()
    with monkeypatch.context() as patched:
        patched.setattr(client, "request", request)
        answer = await kept.accept(credential_offer=offer["credential_offer"])
    assert answer.json()["reason"] == reason, answer.text
    assert (await kept.wallets.send("GET", HOSPITAL, "holder/vc")).json() == []
    assert (f"{ISSUER}/token" in called) is spent  # what can be seen before the code is spent is


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        ("invalid_request", {}),
        ("invalid_request", {"credential_offer": {}, "credential_offer_uri": "https://a"}),
        ("invalid_request", {"credential_offer": "x"}),
        ("invalid_request", {"credential_offer": {}, "else": "x"}),
        ("offer_malformed", {"credential_offer": {"credential_issuer": 1}}),
        ("offer_malformed", {"credential_offer_uri": f"{BASE}/fhir/Patient"}),
        ("offer_malformed", {"credential_offer_uri": f"{BASE}/nowhere"}),
        ("offer_malformed", {"credential_offer_uri": "http://localhost:8440/iam/cibg/offers/1"}),
        ("credential_not_given", {"credential_offer_uri": f"{ISSUER}/offers/1"}),
    ],
)
async def test_what_is_no_offer(kept: Flow, reason: str, asked: dict[str, Any]) -> None:
    await kept.wallets.logged()
    assert (await kept.accept(**asked)).json()["reason"] == reason
    assert any(event["outcomeDesc"].startswith(f"{reason}:") for event in await kept.wallets.logged())


@pytest.mark.parametrize(
    "changes",
    [
        {"credential_configuration_ids": []},
        {"credential_configuration_ids": [KIND, KIND]},
        {"credential_configuration_ids": KIND},
        {"credential_configuration_ids": [{}]},
        {"grants": {}},
        {"grants": {GRANT: {}}},
        {"grants": {GRANT: {"pre-authorized_code": "x", "authorization_server": f"{BASE}/iam/{VENDOR}"}}},
    ],
)
async def test_an_offer_that_was_changed_on_its_way_is_refused(kept: Flow, changes: dict[str, Any]) -> None:
    offer = (await kept.offer())["credential_offer"] | changes
    assert (await kept.accept(credential_offer=offer)).json()["reason"] == "offer_malformed"


async def test_what_came_before_something_failed_stays(flow: Flow) -> None:
    client: Any = flow.wallets.app.state.service.tenants[HOSPITAL].client
    plain = client.request
    given: list[str] = []

    async def request(method: str, url: str, **sent: Any) -> Answer:
        if url.endswith("/credential") and given:
            return Answer(503, {}, b"")
        given.extend([url] if url.endswith("/credential") else [])
        found: Answer = await plain(method, url, **sent)
        return found

    client.request = request
    offer = await flow.offer(KIND, "NutsUraCredential")
    assert (await flow.accept(credential_offer=offer["credential_offer"])).json()["reason"] == "credential_not_given"
    assert len((await flow.wallets.send("GET", HOSPITAL, "holder/vc")).json()) == 1
