"""Properties of access tokens, over every grant that can be given and everything that can be done to a token."""

import asyncio
import base64
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from proeftuin.pki.identity import Peer
from proeftuin.reasons import Refused
from proeftuin.tokens import access_token
from proeftuin.tokens.access_token import AccessToken, Confirmation, Grant, Person, TokenVerifier, inspect, issue
from proeftuin.tokens.issuers import OwnKeys
from proeftuin.tokens.keys import SigningKeys
from tests.harness import MovableClock

ISSUER, AUDIENCE = "https://localhost:8440/oauth2/vws", "https://localhost:8440"
CLOCK = MovableClock()
KEYS = SigningKeys(Path(tempfile.mkdtemp()) / "keys", CLOCK)
FOREIGN = SigningKeys(Path(tempfile.mkdtemp()) / "keys", CLOCK)
VERIFIER = TokenVerifier({ISSUER: OwnKeys(KEYS)}, AUDIENCE, CLOCK)
THUMBPRINT = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
PEER = Peer(THUMBPRINT, 1, "CA", "uzi", "Ziekenhuis", "90000101", None, None, None, CLOCK.now())
TEXT = st.text(min_size=1, max_size=30)
WORD = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
PEOPLE = st.builds(Person, TEXT, TEXT, st.none() | TEXT, st.none() | TEXT)
GRANTS = st.builds(
    Grant, client_id=TEXT, audience=st.just(AUDIENCE), scopes=st.frozensets(WORD, min_size=1, max_size=4),
    confirmation=st.just(Confirmation("x5t#S256", THUMBPRINT)), lifetime=st.integers(1, 3600), patient=st.none() | TEXT,
    person=st.none() | PEOPLE, purpose=st.none() | TEXT, principal=st.none() | TEXT, actors=st.lists(TEXT, max_size=3).map(tuple),
).filter(lambda grant: grant.principal != grant.client_id)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def verify(raw: str, verifier: TokenVerifier = VERIFIER, peer: Peer = PEER) -> AccessToken:
    return asyncio.run(verifier.verify(raw, peer))


def reason(raw: str, verifier: TokenVerifier = VERIFIER, peer: Peer = PEER) -> str:
    with pytest.raises(Refused) as caught:
        verify(raw, verifier, peer)
    return caught.value.reason.code


@given(GRANTS)
def test_a_token_says_what_was_granted(grant: Grant) -> None:
    token = issue(KEYS, ISSUER, grant, CLOCK)
    assert verify(token.raw) == inspect(token.raw, KEYS) == token
    assert token.grant == grant
    assert inspect(token.raw, FOREIGN) is None


@given(GRANTS)
def test_another_implementation_reads_the_same(grant: Grant) -> None:
    """joserfc, with the published key: RFC 9068 §2.1 and §2.2, RFC 8705 §3.1."""
    token = issue(KEYS, ISSUER, grant, CLOCK)
    decoded = jwt.decode(token.raw, KeySet([ECKey.import_key(each) for each in KEYS.jwks()["keys"]]), algorithms=["ES256"])
    claims = decoded.claims
    assert decoded.header["typ"] == "at+jwt"
    assert {name: claims[name] for name in ("iss", "aud", "client_id", "sub", "jti", "cnf")} == {
        "iss": ISSUER, "aud": AUDIENCE, "client_id": grant.client_id, "sub": grant.acts_for, "jti": token.jti,
        "cnf": {"x5t#S256": THUMBPRINT},
    }  # fmt: skip
    assert (claims["exp"] - claims["iat"], set(claims["scope"].split(" "))) == (grant.lifetime, set(grant.scopes))


@given(GRANTS, st.data())
def test_no_token_with_another_character_means_something_else(grant: Grant, data: st.DataObject) -> None:
    token = issue(KEYS, ISSUER, grant, CLOCK)
    place = data.draw(st.integers(0, len(token.raw) - 1))
    changed = token.raw[:place] + data.draw(WORD)[0] + token.raw[place + 1 :]
    try:
        found = verify(changed)
    except Refused:
        return
    assert replace(found, raw=token.raw) == token  # the last character of base64 has bits that mean nothing


@given(GRANTS, st.sampled_from(["scope", "client_id", "aud", "exp", "cnf", "extensions", "more"]), JSON)
def test_a_changed_claim_breaks_the_signature(grant: Grant, claim: str, value: Any) -> None:
    token = issue(KEYS, ISSUER, grant, CLOCK)
    header, body, signature = token.raw.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = claims | {claim: value}
    if changed == claims:
        return
    new = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    assert reason(f"{header}.{new}.{signature}") == "token_signature"


@given(GRANTS, st.integers(-10, 7200))
def test_a_token_lives_until_its_end_and_no_longer(grant: Grant, seconds: int) -> None:
    clock = MovableClock()
    token = issue(KEYS, ISSUER, grant, clock)
    clock.forward(seconds=seconds)
    later = TokenVerifier({ISSUER: OwnKeys(KEYS)}, AUDIENCE, clock)
    if seconds < grant.lifetime:
        assert verify(token.raw, later) == token
    else:
        assert reason(token.raw, later) == "token_expired"


@given(GRANTS)
def test_issuer_key_audience_and_binding_each_hold_alone(grant: Grant) -> None:
    assert reason(issue(KEYS, ISSUER + "x", grant, CLOCK).raw) == "token_issuer"
    assert reason(issue(FOREIGN, ISSUER, grant, CLOCK).raw) == "token_signature"
    assert reason(issue(KEYS, ISSUER, replace(grant, audience=AUDIENCE + "/"), CLOCK).raw) == "token_audience"
    thief = replace(PEER, thumbprint=THUMBPRINT[::-1] + "B")
    assert reason(issue(KEYS, ISSUER, grant, CLOCK).raw, peer=thief) == "token_binding"


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["aud", "scope", "client_id", "cnf", "exp", "iat", "jti", "extensions"]), JSON))
def test_what_its_issuer_signed_in_another_shape_is_refused(claims: dict[str, Any]) -> None:
    assert reason(KEYS.sign({"iss": ISSUER} | claims, typ="at+jwt")).startswith("token_")


@given(st.text(max_size=300) | st.lists(WORD, min_size=3, max_size=3).map(".".join))
def test_text_is_no_token(raw: str) -> None:
    assert reason(raw).startswith("token_")
    assert inspect(raw, KEYS) is None


def test_a_token_that_was_verified_before_is_held_to_all_that_may_have_changed() -> None:
    clock = MovableClock()
    folder = Path(tempfile.mkdtemp()) / "keys"
    keys = SigningKeys(folder, clock)
    verifier = TokenVerifier({ISSUER: OwnKeys(keys)}, AUDIENCE, clock)
    grant = Grant("ura:90000101", AUDIENCE, frozenset({"a"}), Confirmation("x5t#S256", THUMBPRINT), 300)
    token = issue(keys, ISSUER, grant, clock)
    assert verify(token.raw, verifier) == verify(token.raw, verifier) == token
    assert reason(token.raw, verifier, replace(PEER, thumbprint="another")) == "token_binding"
    assert reason(token.raw[:-4] + "AAAA", verifier) == "token_signature"
    clock.forward(seconds=300)
    assert reason(token.raw, verifier) == "token_expired"
    fresh = issue(keys, ISSUER, grant, clock)
    verify(fresh.raw, verifier)
    clock.forward(seconds=1)
    keys.rotate()
    min(folder.glob("*.pem")).unlink()  # the key was withdrawn
    assert reason(fresh.raw, verifier) == "token_signature"


def test_only_so_many_verified_tokens_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_token, "KEPT", 3)
    verifier = TokenVerifier({ISSUER: OwnKeys(KEYS)}, AUDIENCE, CLOCK)
    grant = Grant("ura:90000101", AUDIENCE, frozenset({"a"}), Confirmation("x5t#S256", THUMBPRINT), 300)
    tokens = [issue(KEYS, ISSUER, grant, CLOCK).raw for _ in range(5)]
    for raw in tokens:
        verify(raw, verifier)
    assert list(verifier._known) == tokens[2:]
