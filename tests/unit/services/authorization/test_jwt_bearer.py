"""The door of RFC 7523 with two presentations (GFI-004): of the holder, and of the vendor that it lets ask."""

import json
from typing import Any

import pytest

from tests.unit.credentials.world import HOSPITAL, REGISTER, VENDOR
from tests.unit.services.authorization.presenting import JWT_BEARER, Presenting, refused

pytestmark = pytest.mark.anyio


async def test_a_vendor_gets_a_token_for_the_hospital_that_lets_it(server: Presenting) -> None:
    answer = await server.ask_bearer()
    assert answer.status_code == 200, answer.text
    told = await server.introspect(answer.json()["access_token"], extended=True)
    expected = {
        "client_id": "kvk:90990401",
        "sub": "ura:90000101",
        "organization_ura": "90000101",
        "service_provider_name": "Zorgsoft",
        "grant_type": JWT_BEARER,
    }
    assert {name: told[name] for name in expected} == expected
    assert len(told["vps"]) == 2
    assert "mandate" in json.dumps(told["stands_on"])


async def test_a_hospital_may_be_its_own_client(server: Presenting) -> None:
    answer = await server.ask_bearer(client=server.vp([]), party=HOSPITAL)
    assert answer.status_code == 200, answer.text
    assert (await server.introspect(answer.json()["access_token"]))["client_id"] == "ura:90000101"


GRANT, CLIENT_ERROR = "invalid_grant", "invalid_client"


@pytest.mark.parametrize(
    ("error", "reason", "changes"),
    [
        ("invalid_request", "invalid_request", {"assertion": ""}),
        ("invalid_request", "invalid_request", {"client_assertion": ""}),
        ("invalid_request", "invalid_request", {"client_assertion_type": None}),
        ("invalid_request", "invalid_request", {"client_assertion_type": "else"}),
        ("invalid_request", "invalid_request", {"scope": None}),
        ("invalid_scope", "scope_unknown", {"scope": "nothing"}),
        (CLIENT_ERROR, "invalid_request", {"scope": "medicatieoverdracht-gf"}),
        (GRANT, "presentation_malformed", {"assertion": "x"}),
        (CLIENT_ERROR, "presentation_malformed", {"client_assertion": "x"}),
    ],
)
async def test_a_bearer_request_that_is_refused(server: Presenting, error: str, reason: str, changes: dict[str, Any]) -> None:
    if changes.get("scope") == "medicatieoverdracht-gf":
        changes["assertion"] = server.vp([*server.held(), server.enrollment()])
    answer = await server.ask_bearer(**changes)
    assert refused(answer)[:3] == (400, error, reason), answer.text


@pytest.mark.parametrize(
    ("reason", "claims"),
    [
        ("presentation_audience", {"aud": "else"}),
        ("presentation_validity", {"exp": None}),
        ("presentation_malformed", {"jti": None}),
        ("presentation_validity", {"nbf": 1, "iat": 1}),
        ("presentation_validity", {"nbf": 1, "iat": 1, "exp": 50}),
    ],
)
async def test_what_is_wrong_is_blamed_on_the_right_presentation(server: Presenting, reason: str, claims: dict[str, Any]) -> None:
    assert refused(await server.ask_bearer(server.vp(**claims)))[:3] == (400, GRANT, reason)
    assert refused(await server.ask_bearer(client=server.vendor_vp(**claims)))[:3] == (400, CLIENT_ERROR, reason)


async def test_each_assertion_serves_once(server: Presenting) -> None:
    holder, client = server.vp(), server.vendor_vp()
    assert (await server.ask_bearer(holder, client)).status_code == 200
    assert refused(await server.ask_bearer(holder))[:3] == (400, GRANT, "presentation_replayed")
    assert refused(await server.ask_bearer(client=client))[:3] == (400, CLIENT_ERROR, "presentation_replayed")


async def test_the_two_presentations_belong_together(server: Presenting) -> None:
    """Cross-VP binding: an equal field id in both definitions makes their values equal (GFI-004)."""
    foreign = server.delegation(by=REGISTER)
    answer = await server.ask_bearer(client=server.vendor_vp(foreign))
    assert refused(answer)[:3] == (400, CLIENT_ERROR, "submission_invalid")
    (considered,) = [each for each in answer.json()["explanation"] if each["input_descriptor"] == "delegation"]
    assert considered["candidates"][1]["lacks"] == ["$.issuer: another value than the one that 'organization_did' is bound to"]
    wrong_signer = server.vp([server.delegation()], VENDOR)
    assert refused(await server.ask_bearer(client=wrong_signer))[:3] == (400, CLIENT_ERROR, "submission_invalid")


async def test_what_is_lacking_is_explained(server: Presenting) -> None:
    answer = await server.ask_bearer(server.vp(server.held()[1:]))
    assert refused(answer)[:3] == (400, GRANT, "submission_invalid")
    organization = answer.json()["explanation"][0]
    assert organization["why"] == "no credential fits"
    assert "$.type: it is not 'X509Credential'" in organization["candidates"][0]["lacks"]


async def test_only_the_vendor_itself_asks_with_its_delegation(server: Presenting) -> None:
    for party in (HOSPITAL, "carewave"):
        assert refused(await server.ask_bearer(party=party))[:3] == (400, "access_denied", "party_mismatch")
    long = server.vendor_vp(server.delegation(id=f"{server.world.did(HOSPITAL)}#{'x' * 300}"))
    assert refused(await server.ask_bearer(client=long))[:3] == (400, CLIENT_ERROR, "credential_shape")
    expired = server.vendor_vp(server.delegation(days=-1))
    assert refused(await server.ask_bearer(client=expired))[:3] == (400, CLIENT_ERROR, "credential_expired")
    late = server.world.issue(
        "ServiceProviderCredential", subject={"id": server.world.did(VENDOR), "name": "Zorgsoft", "identifier": "kvk:99999999"}
    )
    unknown = server.vp([late, server.delegation()], VENDOR)
    assert refused(await server.ask_bearer(client=unknown))[:3] == (400, "invalid_client", "unknown_client")
