"""OpenID4VCI 1.0: for which token and which key proof an issuer gives a credential."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest

from proeftuin.audit import outbox
from proeftuin.credentials import credential, key_proof
from proeftuin.tokens.keys import SigningKeys, public_jwk
from proeftuin.transport.client import Answer, Unreachable
from tests.harness import BASE
from tests.unit.services.wallet.openid4vci import DESCRIPTION, ISSUER, KIND, Flow, code_of
from tests.unit.services.wallet.test_wallet import HOSPITAL, JSON, REGISTER, VENDOR

pytestmark = pytest.mark.anyio


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


async def test_a_did_jwk_gets_each_credential_of_an_offer_once(flow: Flow) -> None:
    key = flow.keys._private[-1][1]
    encoded = base64.urlsafe_b64encode(json.dumps(public_jwk(key.public_key())).encode()).rstrip(b"=").decode()
    subject = {"id": f"did:jwk:{encoded}", "roleCodeNL": "V4"}
    offer = await flow.offer(credentials=[{"type": KIND, "credentialSubject": subject}])
    token = (await flow.token(code_of(offer))).json()["access_token"]
    first, second = [await flow.credential(token, await flow.proof({"kid": f"did:jwk:{encoded}#0"})) for _ in range(2)]
    assert credential.read(first.json()["credentials"][0]["credential"]).subject == subject["id"]
    assert (second.json()["error"], second.json()["reason"]) == ("credential_request_denied", "offer_spent")
