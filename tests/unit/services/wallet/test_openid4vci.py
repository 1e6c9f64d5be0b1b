"""OpenID4VCI 1.0: what an issuer publishes and offers, what its doors give and refuse, and what a holder's wallet accepts."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from proeftuin.audit import outbox
from proeftuin.clock import SystemClock
from proeftuin.credentials import credential, jose, key_proof, openid4vci
from proeftuin.reasons import Refused
from proeftuin.storage.database import Database
from proeftuin.storage.migrations import upgrade
from proeftuin.tokens.keys import SigningKeys, public_jwk
from proeftuin.transport.client import Answer, Unreachable
from services.wallet import offers
from tests.harness import BASE
from tests.unit.services.wallet.test_wallet import HOSPITAL, JSON, REGISTER, VENDOR, Wallets

pytestmark = pytest.mark.anyio
ISSUER = f"{BASE}/iam/{REGISTER}"
KIND = "HealthcareProviderRoleTypeCredential"
GRANT = openid4vci.GRANT_TYPE
DESCRIPTION = re.compile(r"[ !#-\[\]-~]*")  # what RFC 6749 §5.2 lets an error_description hold


class Flow:
    """The steps of the pre-authorized code flow, as the hospital takes them at the register unless a test changes something."""

    def __init__(self, wallets: Wallets) -> None:
        self.wallets = wallets
        tenants = {each.party: each for each in wallets.settings.tenants}
        self.keys = SigningKeys(tenants[HOSPITAL].folder / "keys" / "did", wallets.clock, retired=86400.0 * 366)
        self.did = wallets.did(HOSPITAL)

    def client_id(self, party: str = HOSPITAL) -> str:
        return self.wallets.seed.party(party).client_id

    async def offer(self, *kinds: str, tx_code: bool = False, **changes: Any) -> Any:
        subjects = {
            KIND: {"id": self.did, "roleCodeNL": "V4"},
            "NutsUraCredential": {"id": self.did, "organization": {"ura": "90000101", "name": "De Linde", "city": "Linde"}},
        }
        content = {"client_id": self.client_id(), "tx_code": tx_code} | {
            "credentials": [{"type": kind, "credentialSubject": subjects[kind]} for kind in kinds or (KIND,)]
        }
        answer = await self.wallets.send("POST", REGISTER, "issuer/offers", content | changes)
        return answer.json() | {"status": answer.status_code}

    async def code(self, **rest: Any) -> str:
        return code_of(await self.offer(**rest))

    async def token(self, code: str, by: str = HOSPITAL, **changes: Any) -> httpx.Response:
        form = {"grant_type": GRANT, "pre-authorized_code": code, "client_id": self.client_id(by)} | changes
        sent = {name: value for name, value in form.items() if value is not None}
        return await self.wallets.call("POST", f"/iam/{REGISTER}/token", party=by, data=sent)

    async def access(self, *kinds: str) -> str:
        return str((await self.token(code_of(await self.offer(*kinds)))).json()["access_token"])

    async def nonce(self) -> str:
        answer = await self.wallets.send("POST", REGISTER, "nonce", by=HOSPITAL)
        assert answer.headers["Cache-Control"] == "no-store"
        return str(answer.json()["c_nonce"])

    async def proof(self, header: dict[str, Any] | None = None, keys: SigningKeys | None = None, **changes: Any) -> str:
        claims = {"aud": ISSUER, "iat": int(self.wallets.clock.now().timestamp())}
        claims |= {"nonce": changes["nonce"] if "nonce" in changes else await self.nonce()} | changes
        kid, key, _ = (keys or self.keys)._private[-1]
        members = {"typ": key_proof.MEDIA_TYPE} | ({"kid": f"{self.did}#{kid}"} if header is None else header)
        return jose.sign({name: value for name, value in claims.items() if value is not None}, key, "ES256", **members)

    async def credential(self, token: str, proof: Any, by: str = HOSPITAL, **changes: Any) -> httpx.Response:
        content = {"credential_configuration_id": KIND, "proofs": {"jwt": [proof]}} | changes
        body = json.dumps({name: value for name, value in content.items() if value is not None}).encode()
        return await self.wallets.call("POST", f"/iam/{REGISTER}/credential", party=by, token=token, content=body, headers=JSON)

    async def accept(self, by: str = HOSPITAL, **asked: Any) -> httpx.Response:
        return await self.wallets.send("POST", by, "holder/offers", asked)


def code_of(offer: Any) -> str:
    return str(offer["credential_offer"]["grants"][GRANT]["pre-authorized_code"])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def flow(tmp_path: Path) -> AsyncIterator[Flow]:
    made = Wallets(tmp_path)
    async with made.running(made.app):
        yield Flow(made)


@pytest.fixture(scope="module")
async def kept(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Flow]:
    """One running application for what is refused, after which nothing is held and nothing was given."""
    made = Wallets(tmp_path_factory.mktemp("wallets"))
    async with made.running(made.app):
        yield Flow(made)


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


# --- what the doors refuse


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
        ("invalid_grant", "code_invalid", token_with(**{"pre-authorized_code": ""})),
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


Make = Callable[[Flow], Awaitable[Any]]


def proven(header: dict[str, Any] | None = None, **claims: Any) -> Make:
    return lambda flow: flow.proof(header, **claims)


async def of_another_key(flow: Flow) -> str:
    return await flow.proof(keys=SigningKeys(flow.wallets.folder / "thief", flow.wallets.clock))


async def signed_by_another(flow: Flow) -> str:
    kid = flow.keys.jwks()["keys"][0]["kid"]
    return await flow.proof(
        {"kid": f"{flow.did}#{kid}"}, keys=SigningKeys(flow.wallets.folder / "thief", flow.wallets.clock)
    )  # fmt: skip


async def with_a_jwk(flow: Flow) -> str:
    return await flow.proof({"jwk": flow.keys.jwks()["keys"][0]})


async def with_a_chain_beside_the_kid(flow: Flow) -> str:
    return await flow.proof({"kid": f"{flow.did}#{flow.keys.jwks()['keys'][0]['kid']}", "x5c": ["AA"]})


async def with_a_shared_secret(flow: Flow) -> str:
    claims = {"aud": ISSUER, "iat": int(flow.wallets.clock.now().timestamp()), "nonce": await flow.nonce()}
    header = {"typ": key_proof.MEDIA_TYPE, "kid": f"{flow.did}#{flow.keys.jwks()['keys'][0]['kid']}"}
    return jwt.encode(claims, "a secret of at least thirty-two bytes", "HS256", header)


async def of_another_did(flow: Flow) -> str:
    tenants = {each.party: each for each in flow.wallets.settings.tenants}
    keys = SigningKeys(tenants[VENDOR].folder / "keys" / "did", flow.wallets.clock, retired=86400.0 * 366)
    return await flow.proof({"kid": f"{flow.wallets.did(VENDOR)}#{keys.jwks()['keys'][0]['kid']}"}, keys=keys)


async def replayed_nonce(flow: Flow) -> str:
    nonce = await flow.nonce()
    proof = await flow.proof(nonce=nonce)
    assert (await flow.credential(await flow.access(), proof)).status_code == 200
    return await flow.proof(nonce=nonce)


async def old_nonce(flow: Flow) -> str:
    nonce = await flow.nonce()
    flow.wallets.clock.forward(seconds=299)  # the token is fetched after that
    flow.wallets.clock.forward(seconds=2)
    return await flow.proof(nonce=nonce)


async def with_a_dpop_nonce(flow: Flow) -> str:
    tenant = flow.wallets.app.state.service.tenants[REGISTER]
    return await flow.proof(nonce=tenant.nonces.new(flow.wallets.clock.now()))


def body(**members: Any) -> Make:
    async def make(flow: Flow) -> dict[str, Any]:
        return members

    return make


@pytest.mark.parametrize(
    ("error", "reason", "make"),
    [
        ("invalid_proof", "did_unresolvable", of_another_key),
        ("invalid_proof", "key_proof", signed_by_another),
        ("invalid_proof", "key_proof", with_a_jwk),
        ("invalid_proof", "key_proof", with_a_chain_beside_the_kid),
        ("invalid_proof", "key_proof", with_a_shared_secret),
        ("invalid_proof", "key_proof", of_another_did),
        ("invalid_proof", "key_proof", proven(aud=f"{BASE}/iam/{VENDOR}")),
        ("invalid_proof", "key_proof", proven(aud=[ISSUER, "https://else"])),
        ("invalid_proof", "key_proof", proven(iss="90000102")),
        ("invalid_proof", "key_proof", proven(iat=None)),
        ("invalid_proof", "key_proof", proven(iat=1)),
        ("invalid_proof", "key_proof", proven(iat=10**400)),
        ("invalid_proof", "key_proof", proven(nonce=None)),
        ("invalid_proof", "key_proof", proven({"typ": "JWT", "kid": "x"})),
        ("invalid_proof", "key_proof", proven({})),
        ("invalid_proof", "key_proof", proven({"x5c": ["AA"]})),
        ("invalid_nonce", "key_proof_nonce", proven(nonce="guess")),
        ("invalid_nonce", "key_proof_nonce", replayed_nonce),
        ("invalid_nonce", "key_proof_nonce", old_nonce),
        ("invalid_nonce", "key_proof_nonce", with_a_dpop_nonce),
        ("invalid_proof", "key_proof", body(proofs=None)),
        ("invalid_proof", "key_proof", body(proofs={"jwt": []})),
        ("invalid_proof", "key_proof", body(proofs={"jwt": ["x", "y"]})),
        ("invalid_proof", "key_proof", body(proofs={"jwt": ["garbage"]})),
        ("invalid_proof", "key_proof", body(proofs={"jwt": [{}]})),
        ("invalid_proof", "key_proof", body(proofs={"di_vp": [{}]})),
        ("invalid_credential_request", "credential_request", body(credential_configuration_id=None)),
        ("invalid_credential_request", "credential_request", body(credential_identifier="x")),
        ("invalid_encryption_parameters", "credential_request", body(credential_response_encryption={})),
        ("unknown_credential_configuration", "credential_unknown", body(credential_configuration_id="X509Credential")),
        ("unknown_credential_configuration", "credential_unknown", body(credential_configuration_id='"\\é\n\ud800')),
        ("insufficient_scope", "insufficient_scope", body(credential_configuration_id="NutsUraCredential")),
    ],
)
async def test_no_credential(kept: Flow, error: str, reason: str, make: Make) -> None:
    made = await make(kept)
    token = await kept.access()
    before = (await kept.wallets.send("GET", REGISTER, "issuer/vc")).json()
    answer = await (kept.credential(token, "x", **made) if isinstance(made, dict) else kept.credential(token, made))
    assert (answer.json()["error"], answer.json()["reason"]) == (error, reason), answer.text
    assert DESCRIPTION.fullmatch(answer.json()["error_description"])
    status = 403 if error == "insufficient_scope" else 400
    assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
    assert (await kept.wallets.send("GET", REGISTER, "issuer/vc")).json() == before
    event = (await kept.wallets.logged())[-1]
    assert (event["subtype"][0]["code"], event["outcomeDesc"].split(":")[0]) == ("issue-credential", reason)
    given = await kept.credential(token, await kept.proof())  # what was refused spent nothing
    assert (given.status_code, given.headers["Cache-Control"]) == (200, "no-store")


async def test_a_did_whose_host_is_silent_is_told_so_and_spends_nothing(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    token, client = await flow.access(), flow.wallets.app.state.service.tenants[REGISTER].client

    async def silent(*_: Any, **__: Any) -> Answer:
        raise Unreachable("GET")

    with monkeypatch.context() as patched:
        patched.setattr(client, "request", silent)
        answer = await flow.credential(token, await flow.proof())
    assert (answer.status_code, answer.json()["error"], answer.json()["reason"]) == (503, "temporarily_unavailable", "upstream")
    assert (await flow.credential(token, await flow.proof())).status_code == 200


async def test_what_cannot_be_logged_is_not_done(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a kill leaves a code, or a credential, either to be given still or given with its event."""

    def unstorable(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    code, proof = await flow.code(), await flow.proof()
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "store", unstorable)
        assert (await flow.token(code)).status_code == 500
    token = (await flow.token(code)).json()["access_token"]
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "store", unstorable)
        assert (await flow.credential(token, proof)).status_code == 500
    assert (await flow.wallets.send("GET", REGISTER, "issuer/vc")).json() == []
    assert (await flow.credential(token, await flow.proof())).status_code == 200


async def test_the_credential_endpoint_takes_its_own_tokens_with_their_certificate(flow: Flow) -> None:
    token, proof = await flow.access(), await flow.proof()
    for raw, by, reason in (
        (flow.wallets.token(HOSPITAL, KIND, audience=ISSUER), HOSPITAL, "token_issuer"),  # of the network's issuer
        (token, VENDOR, "token_binding"),
        ("x", HOSPITAL, "token_malformed"),
    ):
        assert (await flow.credential(raw, proof, by=by)).json()["reason"] == reason
    flow.wallets.clock.forward(seconds=301)
    assert (await flow.credential(token, proof)).json()["reason"] == "token_expired"
    answer = await flow.wallets.call(
        "POST", f"/iam/{REGISTER}/credential", party=HOSPITAL, token=await flow.access(), content=b"{", headers=JSON
    )
    assert (answer.json()["error"], answer.json()["reason"]) == ("invalid_credential_request", "malformed")


async def test_an_offer_by_reference_is_for_its_party(flow: Flow) -> None:
    offer = await flow.offer()
    path = offer["credential_offer_uri"].removeprefix(BASE)
    assert (await flow.wallets.call("GET", path, party=VENDOR)).headers["X-Reason"] == "party_mismatch"
    assert (await flow.wallets.call("GET", path, party=HOSPITAL)).json() == offer["credential_offer"]
    assert (await flow.wallets.call("GET", f"{path}0", party=HOSPITAL)).headers["X-Reason"] == "code_invalid"
    assert (await flow.token(code_of(offer))).status_code == 200
    assert (await flow.wallets.call("GET", path, party=HOSPITAL)).headers["X-Reason"] == "code_replayed"


async def test_a_did_jwk_gets_each_credential_of_an_offer_once(flow: Flow) -> None:
    key = flow.keys._private[-1][1]
    encoded = base64.urlsafe_b64encode(json.dumps(public_jwk(key.public_key())).encode()).rstrip(b"=").decode()
    subject = {"id": f"did:jwk:{encoded}", "roleCodeNL": "V4"}
    offer = await flow.offer(credentials=[{"type": KIND, "credentialSubject": subject}])
    token = (await flow.token(code_of(offer))).json()["access_token"]
    first, second = [await flow.credential(token, await flow.proof({"kid": f"did:jwk:{encoded}#0"})) for _ in range(2)]
    assert credential.read(first.json()["credentials"][0]["credential"]).subject == subject["id"]
    assert (second.json()["error"], second.json()["reason"]) == ("credential_request_denied", "offer_spent")


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
