"""Evaluations: for a registered recipient alone, the same pseudonym however it was blinded, and no input that leaks the key."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from proeftuin import pseudonym
from services.pseudonymisation.app import create_app
from tests.harness import Harness

pytestmark = pytest.mark.anyio
HOSPITAL, INDEX = "ziekenhuis-de-linde", "verwijsindex"
SCOPE = "nationale-verwijsindex"
KEYS: dict[str, RSAKey | ECKey] = {"RSA": RSAKey.generate_key(2048, private=True), "EC": ECKey.generate_key("P-256", private=True)}
WIRES = {
    "/evaluate": ("blinded_input", "recipient_organization", "recipient_scope", "evaluated_output"),
    "/oprf/eval": ("encryptedPersonalId", "recipientOrganization", "recipientScope", "jwe"),
}


@pytest.fixture
async def harness(tmp_path: Path, database_url: str) -> AsyncIterator[Harness]:
    made = Harness(tmp_path, "pseudonymisation", ["pseudoniemendienst"], database_url)
    async with made.running(create_app(made.settings, made.wiring)):
        yield made


async def register(
    harness: Harness, jwk: Any = None, *scopes: str, scope: str = SCOPE, party: str = INDEX, **sent: Any
) -> httpx.Response:
    content = sent or {"json": KEYS["RSA"].as_dict(private=False) if jwk is None else jwk}
    token = harness.token(party, *(scopes or ("prs:register",)))
    return await harness.call("PUT", f"/recipients/{scope}", party=party, token=token, **content)


async def evaluate(harness: Harness, wire: str = "/evaluate", *scopes: str, **changes: Any) -> httpx.Response:
    names = WIRES[wire]
    body = {"blinded_input": encoded(pseudonym.blind(b"x" * 32).blinded_input), "recipient_organization": recipient(harness),
            "recipient_scope": SCOPE} | changes  # fmt: skip
    content = {name: body[ours] for name, ours in zip(names, WIRES["/evaluate"], strict=False) if ours in body}
    token = harness.token(HOSPITAL, *(scopes or ("prs:read",)))
    return await harness.call("POST", wire, party=HOSPITAL, token=token, json=content)


async def pseudonym_of(harness: Harness, bsn: str, wire: str = "/evaluate", kind: str = "RSA") -> bytes:
    """Blind, have it evaluated and unblind, as the client and the recipient together do."""
    blinded = pseudonym.blind(pseudonym.derive(bsn, recipient(harness), SCOPE))
    answer = await evaluate(harness, wire, blinded_input=encoded(blinded.blinded_input))
    assert answer.status_code == 200, answer.text
    token = pseudonym.encode_token(answer.json()[WIRES[wire][3]], blinded.blind_factor)
    sealed, blind_factor = pseudonym.decode_token(token)
    claims = pseudonym.open_sealed(sealed, KEYS[kind])
    assert (claims["aud"], claims["scope"]) == (recipient(harness), SCOPE)
    return pseudonym.unblind(pseudonym.evaluated_point(claims), blind_factor)


def recipient(harness: Harness) -> str:
    return harness.peer(INDEX).client_id


def encoded(raw: bytes) -> str:
    return pseudonym.encode(raw)


async def refused(harness: Harness, answer: httpx.Response, status: int, reason: str) -> None:
    """Check status and reason, and the one audit event that tells it."""
    assert (answer.status_code, answer.headers["X-Reason"]) == (status, reason), answer.text
    (event,) = await harness.logged()
    assert (event["outcome"], event["outcomeDesc"].partition(":")[0]) == ("8", reason)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("wire", WIRES)
async def test_a_client_has_one_pseudonym_at_a_recipient_however_it_was_blinded(harness: Harness, kind: str, wire: str) -> None:
    assert (await register(harness, KEYS[kind].as_dict(private=False))).status_code == 201
    first, again = [await pseudonym_of(harness, "999910000", wire, kind) for _ in range(2)]
    assert first == again
    assert await pseudonym_of(harness, "999918138", wire, kind) != first
    assert {event["outcome"] for event in await harness.logged()} == {"0"}


async def test_each_scope_of_a_recipient_has_other_pseudonyms(harness: Harness) -> None:
    found = []
    for scope in (SCOPE, "another-scope"):
        await register(harness, scope=scope)
        blinded = pseudonym.blind(b"the same input")
        answer = await evaluate(harness, blinded_input=encoded(blinded.blinded_input), recipient_scope=scope)
        claims = pseudonym.open_sealed(answer.json()["evaluated_output"], KEYS["RSA"])
        found.append(pseudonym.unblind(pseudonym.evaluated_point(claims), blinded.blind_factor))
    assert found[0] != found[1]


async def test_a_new_key_replaces_the_recipients_own_and_no_other(harness: Harness) -> None:
    assert (await register(harness)).status_code == 201
    assert (await register(harness, KEYS["EC"].as_dict(private=False))).status_code == 200
    assert await pseudonym_of(harness, "999910000", kind="EC")
    foreign = harness.token(HOSPITAL, "prs:register")  # whoever registers, does so under its own client_id
    body = KEYS["RSA"].as_dict(private=False)
    answer = await harness.call("PUT", f"/recipients/{SCOPE}", party=HOSPITAL, token=foreign, json=body)
    assert answer.json()["organization"] == harness.peer(HOSPITAL).client_id
    assert await pseudonym_of(harness, "999910000", kind="EC")


@pytest.mark.parametrize(
    "jwk",
    [
        {}, {"kty": "RSA"}, {"kty": "oct", "k": "AAAA"}, {"kty": ["RSA"]}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        KEYS["RSA"].as_dict(private=True), KEYS["RSA"].as_dict(private=False) | {"use": "sig"},
        RSAKey.generate_key(1024).as_dict(private=False), ECKey.generate_key("P-384").as_dict(private=False),
    ],
    ids=["empty", "incomplete", "symmetric", "no-type", "no-point", "private", "for-signatures", "short", "another-curve"],
)  # fmt: skip
async def test_a_key_that_cannot_serve_is_refused_at_registration(harness: Harness, jwk: dict[str, Any]) -> None:
    await refused(harness, await register(harness, jwk), 400, "invalid_request")
    await refused(harness, await evaluate(harness), 404, "not_found")


@pytest.mark.parametrize(("content", "reason"), [(b"{", "malformed"), (b"[]", "malformed"), (b'{"a":1,"a":2}', "malformed")])
async def test_a_body_that_is_no_object(harness: Harness, content: bytes, reason: str) -> None:
    sent: dict[str, Any] = {"content": content, "headers": {"Content-Type": "application/json"}}
    await refused(harness, await register(harness, **sent), 400, reason)


async def test_a_scope_too_long_is_nowhere(harness: Harness) -> None:
    await refused(harness, await register(harness, scope="s" * 65), 404, "not_found")


IDENTITY = bytes(32)
NO_POINT = bytes([255] * 32)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"blinded_input": encoded(IDENTITY)}, 400, "pseudonym_invalid"),
        ({"blinded_input": encoded(NO_POINT)}, 400, "pseudonym_invalid"),
        ({"blinded_input": encoded(b"x" * 31)}, 400, "pseudonym_invalid"),
        ({"blinded_input": ""}, 400, "pseudonym_invalid"),
        ({"blinded_input": "no base64!"}, 400, "pseudonym_invalid"),
        ({"blinded_input": "\u00e9"}, 400, "pseudonym_invalid"),
        ({"blinded_input": None}, 400, "invalid_request"),
        ({"blinded_input": 7}, 400, "invalid_request"),
        ({"recipient_organization": "oin:nobody"}, 404, "not_found"),
        ({"recipient_organization": ""}, 400, "invalid_request"),
        ({"recipient_organization": "a\x00b"}, 400, "invalid_request"),
        ({"recipient_scope": "NATIONALE-VERWIJSINDEX"}, 404, "not_found"),
        ({"recipient_scope": "s" * 65}, 400, "invalid_request"),
        ({"recipient_scope": ["x"]}, 400, "invalid_request"),
    ],
)
@pytest.mark.parametrize("wire", WIRES)
async def test_what_cannot_be_evaluated(harness: Harness, wire: str, changes: dict[str, Any], status: int, reason: str) -> None:
    await register(harness)
    await harness.logged()
    await refused(harness, await evaluate(harness, wire, **changes), status, reason)


async def test_scopes_are_not_interchangeable(harness: Harness) -> None:
    await refused(harness, await register(harness, None, "prs:read"), 403, "insufficient_scope")
    await register(harness)
    await harness.logged()
    await refused(harness, await evaluate(harness, "/evaluate", "prs:register"), 403, "insufficient_scope")
    await refused(harness, await harness.call("POST", "/evaluate", party=HOSPITAL, json={}), 401, "token_missing")


async def test_an_event_names_the_recipient_and_never_the_input(harness: Harness) -> None:
    await register(harness)
    await harness.logged()
    blinded = encoded(pseudonym.blind(pseudonym.derive("999910000", recipient(harness), SCOPE)).blinded_input)
    assert (await evaluate(harness, blinded_input=blinded)).headers["Cache-Control"] == "no-store"
    (event,) = await harness.logged()
    assert recipient(harness) in str(event)
    assert blinded not in str(event)
