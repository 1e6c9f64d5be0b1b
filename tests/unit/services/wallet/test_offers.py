"""OpenID4VCI 1.0: what an issuer publishes and offers, and to whom it gives a token."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from proeftuin.clock import SystemClock
from proeftuin.credentials import openid4vci
from proeftuin.reasons import Refused
from proeftuin.storage.database import Database
from proeftuin.storage.migrations import upgrade
from services.wallet import offers
from tests.harness import BASE
from tests.unit.services.wallet.openid4vci import DESCRIPTION, GRANT, ISSUER, KIND, Flow, code_of
from tests.unit.services.wallet.test_wallet import HOSPITAL, REGISTER, VENDOR

pytestmark = pytest.mark.anyio


# --- what is published


async def test_the_metadata_stands_where_the_path_rule_says_and_has_what_the_rules_let_this_party_issue(flow: Flow) -> None:
    url = openid4vci.well_known("openid-credential-issuer", ISSUER)
    assert url == f"{BASE}/.well-known/openid-credential-issuer/iam/{REGISTER}"
    answer = await flow.wallets.call("GET", url.removeprefix(BASE), party=HOSPITAL)
    document = answer.json()
    assert (answer.headers["content-type"], document["credential_issuer"]) == ("application/json", ISSUER)
    assert set(document["credential_configurations_supported"]) == {
        "NutsUraCredential", "NutsOrganizationCredential", KIND, "ServiceProviderCredential"
    }  # fmt: skip
    own = await flow.wallets.call("GET", url.replace(REGISTER, HOSPITAL).removeprefix(BASE), party=REGISTER)
    assert "X509Credential" not in own.json()["credential_configurations_supported"]  # that goes to no other party
    server = await flow.wallets.call("GET", f"/.well-known/oauth-authorization-server/iam/{REGISTER}", party=HOSPITAL)
    assert (server.json()["issuer"], server.json()["grant_types_supported"]) == (ISSUER, [GRANT])
    assert [] not in server.json().values()  # RFC 8414 §3.2
    unknown = await flow.wallets.call("GET", "/.well-known/openid-credential-issuer/iam/nobody", party=HOSPITAL)
    assert unknown.headers["X-Reason"] == "not_found"


# --- from offer to wallet


async def test_codes_stand_in_no_event_and_in_no_database(flow: Flow) -> None:
    await flow.wallets.logged()
    offer = await flow.offer(tx_code=True)
    await flow.token(code_of(offer), tx_code="x")
    await flow.accept(credential_offer_uri=offer["credential_offer_uri"], tx_code=offer["tx_code"])
    events = await flow.wallets.logged()
    queries = [base64.b64decode(each["query"]).decode() for event in events for each in event["entity"] if "query" in each]
    assert any("pre-authorized_code=***&" in query and "tx_code=***" in query for query in queries)
    told = json.dumps([events, queries])
    stored = b"".join(path.read_bytes() for path in flow.wallets.folder.glob("tenants/*/database.sqlite*"))
    assert offer["credential_offer_uri"].rpartition("/")[2] in told
    assert code_of(offer) not in told
    assert f'"{offer["tx_code"]}"' not in told
    assert code_of(offer).encode() not in stored


async def test_a_transaction_code_is_tried_three_times_and_only_by_the_party_of_the_offer(flow: Flow) -> None:
    offer = await flow.offer(tx_code=True)
    assert len(offer["tx_code"]) == 6
    wrong = f"{(int(offer['tx_code']) + 1) % 1_000_000:06}"
    for _ in range(5):
        assert (await flow.token(code_of(offer), by=VENDOR, tx_code=wrong)).json()["reason"] == "party_mismatch"
    for _ in range(2):
        answer = await flow.token(code_of(offer), tx_code=wrong)
        assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (400, "invalid_grant", "tx_code")
    assert (await flow.token(code_of(offer), tx_code=offer["tx_code"])).status_code == 200
    spent = await flow.offer(tx_code=True)
    for _ in range(3):
        assert (await flow.token(code_of(spent), tx_code="12345x")).json()["reason"] == "tx_code"
    answer = await flow.token(code_of(spent), tx_code=spent["tx_code"])
    assert (answer.json()["error"], answer.json()["reason"]) == ("invalid_grant", "code_invalid")
    assert (await flow.accept(credential_offer=spent["credential_offer"])).json()["reason"] == "invalid_request"


# --- offers that are not made


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("invalid_request", {"client_id": "90000999"}),
        ("invalid_request", {"client_id": None}),
        ("invalid_request", {"tx_code": "123456"}),
        ("invalid_request", {"credentials": []}),
        ("invalid_request", {"credentials": ["x"]}),
        ("invalid_request", {"credentials": [{"type": KIND, "credentialSubject": {"id": "did:web:a", "roleCodeNL": "V4"}}] * 2}),
        ("invalid_request", {"else": 1}),
        ("issuance_not_allowed", {"credentials": [{"type": "NutsAuthorizationCredential", "credentialSubject": {}}]}),
        ("issuance_not_allowed", {"credentials": [{"type": KIND, "credentialSubject": {"roleCodeNL": "V4"}}]}),
        (
            "issuance_not_allowed",
            {"credentials": [{"type": KIND, "credentialSubject": {"id": "did:x509:a", "roleCodeNL": "V4"}}]},
        ),
        ("credential_shape", {"credentials": [{"type": KIND, "credentialSubject": {"id": "did:web:a"}}]}),
    ],
)
async def test_what_is_not_offered(kept: Flow, reason: str, changes: dict[str, Any]) -> None:
    await kept.wallets.logged()
    assert (await kept.offer(**changes))["reason"] == reason
    (event,) = await kept.wallets.logged()
    assert event["outcomeDesc"].startswith(f"{reason}:")


async def test_a_party_offers_nothing_to_itself_that_ends_with_its_certificate(flow: Flow) -> None:
    content = {"client_id": flow.client_id(VENDOR), "credentials": [{"type": "X509Credential", "credentialSubject": {}}]}
    assert (await flow.wallets.send("POST", HOSPITAL, "issuer/offers", content)).json()["reason"] == "issuance_not_allowed"


async def test_an_offer_by_reference_is_for_its_party(flow: Flow) -> None:
    offer = await flow.offer()
    path = offer["credential_offer_uri"].removeprefix(BASE)
    assert (await flow.wallets.call("GET", path, party=VENDOR)).headers["X-Reason"] == "party_mismatch"
    assert (await flow.wallets.call("GET", path, party=HOSPITAL)).json() == offer["credential_offer"]
    assert (await flow.wallets.call("GET", f"{path}0", party=HOSPITAL)).headers["X-Reason"] == "code_invalid"
    assert (await flow.token(code_of(offer))).status_code == 200
    assert (await flow.wallets.call("GET", path, party=HOSPITAL)).headers["X-Reason"] == "code_replayed"


# --- what the token endpoint refuses


async def replayed_code(flow: Flow) -> httpx.Response:
    code = await flow.code()
    assert (await flow.token(code)).status_code == 200
    return await flow.token(code)


async def expired_code(flow: Flow) -> httpx.Response:
    code = await flow.code()
    flow.wallets.clock.forward(seconds=offers.LIFETIME)
    return await flow.token(code)


async def forgotten_code(flow: Flow) -> httpx.Response:
    code = await flow.code()
    flow.wallets.clock.forward(seconds=offers.LIFETIME + offers.KEPT + 1)
    await flow.offer()
    return await flow.token(code)


async def forged_code(flow: Flow) -> httpx.Response:
    code = await flow.code()
    return await flow.token(code[:-1] + ("0" if code[-1] != "0" else "1"))


async def unsent_tx_code(flow: Flow) -> httpx.Response:
    return await flow.token(await flow.code(tx_code=True))


async def another_holder(flow: Flow) -> httpx.Response:
    return await flow.token(await flow.code(), by=VENDOR)


def token_with(**changes: Any) -> Callable[[Flow], Awaitable[httpx.Response]]:
    async def ask(flow: Flow) -> httpx.Response:
        return await flow.token(await flow.code(), **changes)

    return ask


@pytest.mark.parametrize(
    ("error", "reason", "ask"),
    [
        ("invalid_grant", "code_replayed", replayed_code),
        ("invalid_grant", "code_invalid", expired_code),
        ("invalid_grant", "code_invalid", forgotten_code),
        ("invalid_grant", "code_invalid", forged_code),
        ("invalid_grant", "code_invalid", token_with(**{"pre-authorized_code": "\udcff garbage é"[1:]})),
        (
            "invalid_request",
            "invalid_request",
            token_with(**{"pre-authorized_code": ""}),
        ),  # RFC 6749 §3.1
        ("invalid_grant", "party_mismatch", another_holder),
        ("invalid_request", "invalid_request", unsent_tx_code),
        ("invalid_request", "invalid_request", token_with(tx_code="123456")),
        ("invalid_request", "invalid_request", token_with(**{"pre-authorized_code": None})),
        ("invalid_client", "unknown_client", token_with(client_id=None)),
        ("invalid_client", "unknown_client", token_with(client_id="90000102")),
        ("unsupported_grant_type", "unsupported_grant_type", token_with(grant_type='"\\é')),
        ("unsupported_grant_type", "unsupported_grant_type", token_with(grant_type=None)),
    ],
)
async def test_no_token(kept: Flow, error: str, reason: str, ask: Callable[[Flow], Awaitable[httpx.Response]]) -> None:
    answer = await ask(kept)
    assert (answer.json()["error"], answer.json()["reason"]) == (error, reason)
    assert DESCRIPTION.fullmatch(answer.json()["error_description"])
    assert (answer.status_code, answer.headers["Cache-Control"]) == (401 if error == "invalid_client" else 400, "no-store")
    event = (await kept.wallets.logged())[-1]
    assert (event["subtype"][0]["code"], event["outcomeDesc"].split(":")[0]) == ("ITI-71", reason)


# --- two at once


async def test_of_two_at_once_one_wins_at_each_door(flow: Flow) -> None:
    code, nonce = await flow.code(), await flow.nonce()
    answers = await asyncio.gather(flow.token(code), flow.token(code))
    assert sorted(each.status_code for each in answers) == [200, 400]
    token = next(each.json()["access_token"] for each in answers if each.status_code == 200)
    proof = await flow.proof(nonce=nonce)
    given = await asyncio.gather(flow.credential(token, proof), flow.credential(token, proof))
    assert sorted(each.json().get("error", "") for each in given) == ["", "invalid_nonce"]
    again = await flow.access()
    proofs = [await flow.proof(), await flow.proof()]
    answers = await asyncio.gather(flow.credential(again, proofs[0]), flow.credential(again, proofs[1]))
    assert sorted(each.json().get("error", "") for each in answers) == ["", "credential_request_denied"]


@pytest.mark.parametrize("right", [True, False])
async def test_of_many_at_once_one_takes_and_no_more_than_three_try(database_url: str, right: bool) -> None:
    database = Database(database_url)
    upgrade(database.engine, Path(offers.__file__).parent / "migrations")
    now = SystemClock().now()
    offer = offers.new("90000101", {KIND: {"type": KIND}}, not right, now)
    await database.write(offers.add, offer, now)
    assert await database.read(offers.find, offer.id, offer.client_id, now) == offer

    async def outcome(done: Awaitable[Any]) -> str:
        try:
            await done
        except Refused as refused:
            return refused.reason.code
        return "done"

    tried = await asyncio.gather(*(outcome(database.write(offers.attempt, offer, right=right)) for _ in range(8)))
    assert sorted(tried) == (["code_replayed"] * 7 + ["done"] if right else ["code_replayed"] * 5 + ["done"] * 3)
    given = await asyncio.gather(*(outcome(database.write(offers.give, offer.id, KIND)) for _ in range(8)))
    assert sorted(given) == ["done"] + ["offer_spent"] * 7
    await database.write(offers.add, offers.new("90000101", {KIND: {}}, False, now), now + timedelta(days=2))
    assert await outcome(database.read(offers.asked, offer.id, KIND)) == "offer_spent"  # it is forgotten
    await database.close()
