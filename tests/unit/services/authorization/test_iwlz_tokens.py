"""What the iWlz doors stand on: their tokens as they are read, mandates in their time, and addresses that are registered."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from proeftuin.reasons import Refused
from proeftuin.tokens.access_token import MAX_LENGTH
from services.authorization.iwlz.addresses import Addresses
from services.authorization.iwlz.mandates import Mandates
from services.authorization.iwlz.tokens import IwlzTokens, organisation, stated
from tests.unit.services.authorization.iwlz_network import BR_SCOPE, CIZ, VENDOR, ZA, ZK, Network

pytestmark = pytest.mark.anyio


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[IwlzTokens, Callable[..., str], Network]:
    """The tokens of a server, and how to write one with its own key."""
    network = Network(tmp_path / "network")
    made = IwlzTokens(tmp_path / "keys", network.clock)
    key = (tmp_path / "keys" / "iwlz-rs256.pem").read_bytes()
    now = int(network.clock.now().timestamp())

    def write(**changes: Any) -> str:
        claims = {"iss": "auth.nid", "exp": now + 60, "nbf": now, "cnf": {"x5t#S256": network.peer(ZA).thumbprint}} | changes
        return jwt.api_jws.encode(json.dumps({k: v for k, v in claims.items() if v is not None}).encode(), key, "RS256")

    return made, write, network


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "auth.else"}, "token_issuer"), ({"iss": None}, "token_issuer"), ({"exp": None}, "token_malformed"),
        ({"exp": "4000000000"}, "token_malformed"), ({"nbf": "0"}, "token_malformed"), ({"exp": 1}, "token_expired"),
        ({"nbf": 4_000_000_000}, "token_not_yet"), ({"cnf": None}, "token_binding"), ({"cnf": "x"}, "token_binding"),
        ({"cnf": {"x5t#S256": "x"}}, "token_binding"), ({"x": "y" * MAX_LENGTH}, "token_malformed"),
    ],
)  # fmt: skip
def test_a_token_with_the_right_signature_is_not_yet_a_good_one(
    tokens: tuple[IwlzTokens, Callable[..., str], Network], changes: dict[str, Any], reason: str
) -> None:
    made, write, network = tokens
    assert made.verify(write(), network.peer(ZA))["iss"] == "auth.nid"
    with pytest.raises(Refused) as refused:
        made.verify(write(**changes), network.peer(ZA))
    assert refused.value.reason.code == reason


def test_a_token_states_its_actor_and_only_scopes_that_are_text() -> None:
    caller = stated({"agb": "1", "uzovi": None, "act": {"sub": "20001000001131"}, "scopes": [BR_SCOPE, 1, None]})
    assert (dict(caller.claims), set(caller.scopes)) == ({"agb": "1", "act": "20001000001131"}, {BR_SCOPE})
    for other in ({"act": "x"}, {"act": {"sub": 1}}, {"scopes": BR_SCOPE}, {}):
        assert not stated(other).claims
        assert not stated(other).scopes


def test_what_kind_of_organisation_a_party_is(tmp_path: Path) -> None:
    seed = Network(tmp_path).seed
    kinds = {party: organisation(seed.party(party))["instantie_type"] for party in (ZA, ZK, CIZ, VENDOR)}
    assert organisation(replace(seed.party(VENDOR), agb="06990101"))["instantie_type"] == "Onderneming"
    assert organisation(replace(seed.party(ZA), agb=None))["instantie_type"] == "Onderneming"
    assert kinds == {ZA: "Zorgaanbieder", ZK: "Zorgkantoor", CIZ: "Onderneming", VENDOR: "Onderneming"}


@pytest.mark.parametrize(
    ("mandate", "holds"),
    [
        ({}, True), ({"until": date(2026, 6, 1)}, True), ({"until": date(2026, 5, 31)}, False), ({"actor": "kvk:1"}, False),
        ({"principal": "agbcode:1"}, False), (None, False),
    ],
)  # fmt: skip
async def test_a_mandate_is_of_this_actor_for_this_principal_until_its_last_day(
    tmp_path: Path, mandate: dict[str, Any] | None, *, holds: bool
) -> None:
    network = Network(tmp_path)
    whole = {"actor": "kvk:90990401", "principal": "agbcode:47990103"} | (mandate or {})
    today = SimpleNamespace(now=lambda: SimpleNamespace(date=lambda: date(2026, 6, 1)))
    mandates = Mandates(lambda: {} if mandate is None else {"one": whole}, today)
    assert mandates.find(network.seed.party(VENDOR), network.seed.party(ZA)) == ("one" if holds else None)
    if mandate is None or "until" in mandate:
        assert await mandates.holds("one") is holds
    assert await mandates.holds("urn:another:ground")


@pytest.mark.parametrize(
    ("host", "registered", "allowed"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True), ("::ffff:192.0.2.7", ["192.0.2.0/24"], True), ("192.0.3.7", ["192.0.2.0/24"], False),
        ("2001:db8::1", ["192.0.2.0/24", "2001:db8::/32"], True), ("2001:db9::1", ["192.0.2.0/24", "2001:db8::/32"], False),
        ("192.0.2.7", [], False), ("192.0.2.7", None, True), (None, ["192.0.2.0/24"], False), (None, None, True),
    ],
)  # fmt: skip
def test_a_certificate_is_used_from_a_registered_address(host: str | None, registered: list[str] | None, *, allowed: bool) -> None:
    client = SimpleNamespace(host=host) if host else None
    told = SimpleNamespace(peer=SimpleNamespace(client_id="ura:1"), request=SimpleNamespace(client=client))
    addresses = Addresses(lambda: {"ura:2": []} if registered is None else {"ura:1": registered})
    if allowed:
        addresses.check(told)  # type: ignore[arg-type] # what it reads of an admission
    else:
        with pytest.raises(Refused, match="is not registered"):
            addresses.check(told)  # type: ignore[arg-type] # what it reads of an admission
