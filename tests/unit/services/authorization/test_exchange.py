"""Token exchange (RFC 8693) can only narrow, and what was exchanged dies with its original."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.authorization.app import create_app
from tests.harness import BASE, PARTIES
from tests.unit.services.authorization.servers import (
    ACCESS_TOKEN,
    CLIENT,
    EXCHANGE,
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
TOKEN = f"{BASE}/oauth2/{HOLDER}/token"


async def exchange(servers: Servers, token: str, party: str = HOSPITAL, headers: Any = None, **changes: str | None) -> Any:
    form = {
        "grant_type": EXCHANGE, "client_id": servers.peer(party).client_id, "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
    } | changes  # fmt: skip
    return await servers.post("token", form, party, at=HOLDER, headers=headers)


async def original(servers: Servers, **changes: Any) -> str:
    return str((await servers.records(**changes)).json()["access_token"])


async def test_a_narrower_token_for_a_shorter_time(servers: Servers) -> None:
    token = await original(servers)
    answer = await exchange(servers, token, scope="patient/Patient.rs", authorization_details=details(expires_in=30))
    assert answer.json() | {"access_token": ""} == {
        "access_token": "", "token_type": "Bearer", "expires_in": 30, "scope": "patient/Patient.rs",
        "issued_token_type": ACCESS_TOKEN, "authorization_details": json.loads(details()),
    }  # fmt: skip
    before, after = claims_of(token), claims_of(answer.json()["access_token"])
    assert {name: after[name] for name in ("sub", "client_id", "aud", "extensions", "cnf")} == {
        name: before[name] for name in ("sub", "client_id", "aud", "extensions", "cnf")
    }
    assert "act" not in after


async def test_it_lives_no_longer_than_the_original(servers: Servers) -> None:
    token = await original(servers)
    servers.clock.forward(seconds=200)
    answer = (await exchange(servers, token)).json()
    assert (answer["expires_in"], claims_of(answer["access_token"])["exp"]) == (100, claims_of(token)["exp"])
    servers.clock.forward(seconds=100)
    assert (await exchange(servers, token)).json()["reason"] == "subject_token"


async def test_the_party_whose_source_received_it_acts_for_who_sent_it(servers: Servers) -> None:
    token = await original(servers)
    first = (await exchange(servers, token, HOLDER)).json()["access_token"]
    claims = claims_of(first)
    assert (claims["sub"], claims["client_id"]) == ("ura:90000101", "ura:90000103")
    assert claims["act"] == {"sub": "ura:90000103", "act": {"sub": "ura:90000101"}}
    again = claims_of((await exchange(servers, first, HOLDER)).json()["access_token"])
    assert again["act"] == claims["act"]
    told = await servers.introspect(first, HOLDER)
    assert (told["sub"], told["act"], told["organization_ura"]) == ("ura:90000101", claims["act"], "90000101")


async def test_what_an_exchange_refuses(servers: Servers) -> None:
    token, national = await original(servers), (await servers.ask()).json()["access_token"]
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("scope_wider", "invalid_scope", {"scope": "patient/Patient.rs patient/CarePlan.rs"}),
        ("scope_wider", "invalid_scope", {"scope": "patient/MedicationRequest.rs"}),
        ("resource_unknown", "invalid_target", {"resource": BASE}),
        ("resource_unknown", "invalid_target", {"audience": BASE}),
        ("resource_unknown", "invalid_target", {"audience": BASE, "resource": STATION}),
        ("subject_token", "invalid_request", {"authorization_details": details(OTHER)}),
        ("subject_token", "invalid_request", {"authorization_details": details(purpose_of_use="HRESCH")}),
        ("subject_token", "invalid_request", {"subject_token": national}),
        ("subject_token", "invalid_request", {"subject_token": token[:-6] + "AAAAAA"}),
        ("subject_token", "invalid_request", {"subject_token": None}),
        ("invalid_request", "invalid_request", {"subject_token_type": None}),
        ("invalid_request", "invalid_request", {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}),
        ("invalid_request", "invalid_request", {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}),
        ("invalid_request", "invalid_request", {"actor_token": token}),
        ("unknown_client", "invalid_client", {"client_id": "ura:90000102"}),
    ]
    for reason, error, changes in cases:
        answer = await exchange(servers, token, **changes)
        assert (answer.json()["reason"], answer.json()["error"]) == (reason, error), (changes, answer.text)


async def test_a_stolen_token_is_not_exchanged(servers: Servers) -> None:
    assert (await exchange(servers, await original(servers), THIEF)).json()["reason"] == "subject_token"
    bound = (await servers.records(headers=None)).json()["access_token"]
    servers._peers.pop(HOSPITAL)  # the same party, with another certificate
    assert (await exchange(servers, bound)).json()["reason"] == "subject_token"


async def test_the_party_exchanges_only_what_is_for_its_own_source(servers: Servers) -> None:
    statement = (await servers.log_in(PORTAL, "vws", client=CLIENT)).json()["id_token"]
    token = await servers.ask(
        PORTAL, at=HOLDER, scope="patient/Grant.rd", resource=f"{BASE}/oauth2/{HOLDER}", id_token=statement,
        authorization_details=details(purpose_of_use="PATRQT"),
    )  # fmt: skip
    assert (await exchange(servers, token.json()["access_token"], HOLDER)).json()["reason"] == "subject_token"


async def test_for_who_left_the_network_nobody_acts_any_more(servers: Servers, tmp_path: Path) -> None:
    token = await original(servers)
    without = tmp_path / "parties.toml"
    without.write_text(PARTIES.read_text().replace('ura = "90000101"', 'ura = "90000997"'))
    settings = servers.settings.model_copy(update={"parties": without})
    async with servers.running(create_app(settings, servers.app.state.service.wiring)):
        answer = await exchange(servers, token, HOLDER)
    assert (answer.json()["reason"], "ura:90000101" in answer.json()["error_description"]) == ("unknown_client", True)


async def test_a_key_bound_token_is_exchanged_with_its_key_alone(servers: Servers) -> None:
    form = {
        "scope": "patient/Patient.rs",
        "resource": STATION,
        "authorization_details": details(),
        "id_token": await servers.nurse(),
    }
    token = (await servers.ask(at=HOLDER, headers=servers.proof(TOKEN), **form)).json()["access_token"]
    assert (await exchange(servers, token)).json()["reason"] == "subject_token"
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    other = servers.proof(TOKEN, key=ec.generate_private_key(ec.SECP256R1()))
    assert (await exchange(servers, token, headers=other)).json()["reason"] == "subject_token"
    answer = await exchange(servers, token, headers=servers.proof(TOKEN))
    assert claims_of(answer.json()["access_token"])["cnf"] == claims_of(token)["cnf"]


async def test_it_dies_with_its_original_however_far_away(servers: Servers) -> None:
    tokens = [await original(servers)]
    for party in (HOSPITAL, HOLDER, HOLDER):
        tokens.append((await exchange(servers, tokens[-1], party)).json()["access_token"])
    apart = await original(servers)
    assert [await servers.active(token, HOLDER) for token in tokens] == [True] * 4
    assert (await servers.post("revoke", {"token": tokens[1]}, HOSPITAL, at=HOLDER)).status_code == 200
    assert [await servers.active(token, HOLDER) for token in tokens] == [True, False, False, False]
    assert (await servers.post("revoke", {"token": tokens[0]}, HOSPITAL, at=HOLDER)).status_code == 200
    assert not await servers.active(tokens[0], HOLDER)
    assert await servers.active(apart, HOLDER)
    assert (await exchange(servers, tokens[0])).json()["reason"] == "subject_token"


SCOPES = ["patient/Patient.rs", "patient/Condition.rs", "patient/CarePlan.rs", "patient/MedicationRequest.rs"]
CHAINS = st.lists(
    st.fixed_dictionaries({
        "party": st.sampled_from([HOSPITAL, HOLDER]),
        "scope": st.none() | st.lists(st.sampled_from(SCOPES), max_size=4).map(" ".join),
        "seconds": st.none() | st.integers(1, 3600), "passes": st.integers(0, 100),
        "resource": st.sampled_from([None, STATION, BASE]),
        "patient": st.sampled_from([None, None, OTHER]), "key": st.booleans(),
    }),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(SCOPES), min_size=1, unique=True), CHAINS)
async def test_no_chain_of_exchanges_opens_what_its_first_token_did_not(
    servers: Servers, scopes: list[str], chain: list[dict[str, Any]]
) -> None:
    token = await original(servers, scope=" ".join(scopes))
    opened = claims_of(token)
    for step in chain:
        servers.clock.forward(seconds=step["passes"])
        wanted: dict[str, Any] = {"expires_in": step["seconds"]} | ({"bsn": step["patient"]} if step["patient"] else {})
        answer = await exchange(
            servers, token, step["party"], servers.proof(TOKEN) if step["key"] else None,
            scope=step["scope"], resource=step["resource"], authorization_details=details(**wanted),
        )  # fmt: skip
        assert answer.status_code in (200, 400, 401, 403), answer.text
        if answer.status_code != 200:
            continue
        new, old = claims_of(answer.json()["access_token"]), claims_of(token)
        assert set(new["scope"].split()) <= set(old["scope"].split())
        assert new["exp"] <= old["exp"]
        assert new["aud"] == opened["aud"]
        assert new["sub"] == opened["sub"]
        assert new["extensions"] == opened["extensions"]
        token = answer.json()["access_token"]
