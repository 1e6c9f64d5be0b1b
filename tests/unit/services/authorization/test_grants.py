"""Live grants: who sees and ends which, and that a grant dies with each thing that it stands on."""

import json
from typing import Any

import pytest

from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.tokens.access_token import Person
from tests.harness import BASE, told_wrong
from tests.unit.services.authorization.servers import (
    CLIENT,
    CONSENT_PARTY,
    HOLDER,
    HOSPITAL,
    OTHER,
    PORTAL,
    THIEF,
    Servers,
    claims_of,
    details,
)

pytestmark = pytest.mark.anyio


async def granted(servers: Servers, **changes: Any) -> str:
    return str((await servers.records(**changes)).json()["access_token"])


async def as_client(servers: Servers, method: str, path: str = "", bsn: str = CLIENT, at: str = HOLDER) -> Any:
    """Ask as a client of care, through the portal."""
    statement = (await servers.log_in(PORTAL, "vws", client=bsn)).json()["id_token"]
    token = await servers.ask(
        PORTAL, at=at, scope="patient/Grant.rd", resource=f"{BASE}/oauth2/{at}", id_token=statement,
        authorization_details=details(bsn, purpose_of_use="PATRQT"),
    )  # fmt: skip
    assert token.status_code == 200, token.text
    return await servers.call(method, f"/oauth2/{at}/client/grants{path}", party=PORTAL, token=token.json()["access_token"])


async def listed(servers: Servers, party: str, at: str = HOLDER) -> list[str]:
    answer = (await servers.call("GET", f"/oauth2/{at}/grants", party=party)).json()
    assert answer["complete"] is True
    return [each["jti"] for each in answer["grants"]]


async def ended(servers: Servers, kind: str, name: Any, party: str = HOLDER, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await servers.call("POST", f"/oauth2/{HOLDER}/ended", party=party, json={"kind": kind, "id": name}, headers=headers)


async def test_each_sees_its_own(servers: Servers) -> None:
    token = await granted(servers)
    jti = claims_of(token)["jti"]
    assert await listed(servers, HOLDER) == await listed(servers, HOSPITAL) == [jti]
    assert await listed(servers, THIEF) == []
    shown = (await as_client(servers, "GET")).json()["grants"]
    (row,) = [each for each in shown if each["jti"] == jti]
    assert (row["client_id"], row["legal_basis"], row["scope"]) == (
        "ura:90000101", "consent", "patient/Condition.rs patient/Patient.rs",
    )  # fmt: skip
    assert row["cnf"] == claims_of(token)["cnf"]
    assert CLIENT not in json.dumps(shown)
    assert jti not in (await as_client(servers, "GET", bsn=OTHER)).text
    servers.clock.forward(seconds=300)
    assert await listed(servers, HOLDER) == []


async def test_each_ends_its_own(servers: Servers) -> None:
    async def end(jti: str, party: str) -> Any:
        return await servers.call("DELETE", f"/oauth2/{HOLDER}/grants/{jti}", party=party)

    for party in (HOLDER, HOSPITAL):
        token = await granted(servers)
        jti = claims_of(token)["jti"]
        assert (await end(jti, THIEF)).json()["reason"] == "not_found"
        assert (await end("unknown", party)).json()["reason"] == "not_found"
        assert await servers.active(token, HOLDER)
        assert (await end(jti, party)).json() == {"ended": 1}
        assert not await servers.active(token, HOLDER)
    token = await granted(servers)
    jti = claims_of(token)["jti"]
    assert (await as_client(servers, "DELETE", f"/{jti}", OTHER)).json()["reason"] == "not_found"
    assert (await as_client(servers, "DELETE", "/unknown")).json()["reason"] == "not_found"
    assert await servers.active(token, HOLDER)
    assert (await as_client(servers, "DELETE", f"/{jti}")).status_code == 200
    assert not await servers.active(token, HOLDER)


async def test_what_rests_on_the_law_is_not_ended_by_the_client(servers: Servers) -> None:
    token = await granted(servers)
    jti = claims_of(token)["jti"]
    tenant = servers.app.state.service.tenants[HOLDER]
    with tenant.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE issued_grant SET legal_basis = 'consent law'")
    answer = await as_client(servers, "DELETE", f"/{jti}")
    assert (answer.status_code, answer.json()["reason"]) == (403, "grant_by_law")
    assert await servers.active(token, HOLDER)


async def test_a_token_for_a_client_that_is_not_of_the_client_or_ended_shows_nothing(servers: Servers) -> None:
    async def look(token: str) -> str:
        answer = await servers.call("GET", f"/oauth2/{HOLDER}/client/grants", party=PORTAL, token=token)
        return str(answer.headers.get("X-Reason"))

    for person in (None, Person(OTHER, BSN_SYSTEM), Person("900000011", UZI_SYSTEM)):
        assert await look(await servers.forged(PORTAL, HOLDER, "patient/Grant.rd", CLIENT, person)) == "subject_mismatch"
    own = await servers.forged(PORTAL, HOLDER, "patient/Grant.rd", CLIENT, Person(CLIENT, BSN_SYSTEM))
    assert await look(own) == "None"
    await servers.post("revoke", {"token": own}, PORTAL, at=HOLDER)
    assert await look(own) == "token_revoked"


async def test_grants_of_a_client_are_for_that_client_and_no_system(servers: Servers) -> None:
    refused = await servers.ask(
        HOSPITAL, at=HOLDER, scope="patient/Grant.rd", resource=f"{BASE}/oauth2/{HOLDER}", id_token=await servers.nurse(),
        authorization_details=details(),
    )  # fmt: skip
    assert refused.json()["reason"] == "scope_not_allowed"


async def test_a_grant_dies_with_its_consent_and_a_new_one_lives(servers: Servers) -> None:
    token, exchanged_apart = await granted(servers), await granted(servers)
    servers.consents = ["Consent/2", "Consent/3"]
    other = await granted(servers)
    assert (await ended(servers, "consent", "Consent/1", CONSENT_PARTY)).json() == {"ended": 2}
    assert [await servers.active(each, HOLDER) for each in (token, exchanged_apart, other)] == [False, False, True]
    assert (await ended(servers, "consent", "Consent/3", CONSENT_PARTY)).status_code == 200
    assert not await servers.active(other, HOLDER)
    servers.consents = ["Consent/1"]  # given anew, under the same id
    assert await servers.active(await granted(servers), HOLDER)


async def test_a_grant_dies_with_its_certificate(servers: Servers) -> None:
    token = await granted(servers)
    servers.authority.revoke(servers.peer(HOSPITAL).serial)
    assert not await servers.active(token, HOLDER)
    servers.authority.unrevoke(servers.peer(HOSPITAL).serial)
    assert await servers.active(token, HOLDER)


async def test_who_may_tell_that_something_ended(servers: Servers) -> None:
    assert (await ended(servers, "consent", "Consent/1", THIEF)).json()["reason"] == "party_mismatch"
    assert (await ended(servers, "credential", "urn:uuid:1", CONSENT_PARTY)).json()["reason"] == "party_mismatch"
    for kind, name in (
        ("grant", "x"),
        ("certificate", "x"),
        (None, "x"),
        ("consent", None),
        ("consent", ""),
        ("consent", "x" * 301),
    ):
        assert (await ended(servers, kind, name)).json()["reason"] == "invalid_request"  # type: ignore[arg-type] # also wrong types
    for kind in ("consent", "credential", "mandate"):
        assert (await ended(servers, kind, "x")).json() == {"ended": 0}
    for key in ("", "x" * 101, "\t"):
        assert (await ended(servers, "consent", "Consent/1", key=key)).json()["reason"] == "invalid_request"


async def test_a_notice_that_comes_twice_leaves_what_was_given_since(servers: Servers) -> None:
    first = await granted(servers)
    assert (await ended(servers, "consent", "Consent/1", CONSENT_PARTY, "n")).json() == {"ended": 1}
    assert not await servers.active(first, HOLDER)
    anew = await granted(servers)
    assert (await ended(servers, "consent", "Consent/1", CONSENT_PARTY, "n")).json() == {"ended": 2}
    assert await servers.active(anew, HOLDER)
    await ended(servers, "consent", "Consent/1", CONSENT_PARTY, "m")
    assert not await servers.active(anew, HOLDER)


async def test_extended_introspection_tells_what_a_grant_stands_on(servers: Servers) -> None:
    token = await granted(servers)
    told = await servers.introspect(token, HOLDER, "introspect_extended")
    assert told["stands_on"] == [
        {"kind": "certificate", "id": servers.peer(HOSPITAL).certificate_id}, {"kind": "consent", "id": "Consent/1"},
        {"kind": "grant", "id": claims_of(token)["jti"]},
    ]  # fmt: skip
    assert (told["grant_type"], told["legal_basis"]) == ("client_credentials", "consent")
    plain = await servers.introspect(token, HOLDER)
    assert plain == {name: value for name, value in told.items() if name not in ("stands_on", "grant_type", "legal_basis")}
    assert (plain["organization_ura"], plain["organization_facility_type"]) == ("90000101", "V4")
    assert plain["patient_enrollment_identifier"] == f"http://fhir.nl/fhir/NamingSystem/bsn|{CLIENT}"
    assert plain["authorization_details"] == json.loads(details())
    assert await servers.introspect("x", HOLDER, "introspect_extended") == {"active": False}


async def test_a_grant_that_begins_later(servers: Servers) -> None:
    begin = int(servers.clock.now().timestamp()) + 600
    token = await granted(servers, authorization_details=details(not_before=begin, expires_in=60))
    assert (claims_of(token)["nbf"], claims_of(token)["exp"]) == (begin, begin + 60)
    assert not await servers.active(token, HOLDER)
    servers.clock.forward(seconds=600)
    assert await servers.active(token, HOLDER)
    servers.clock.forward(seconds=60)
    assert not await servers.active(token, HOLDER)
    late = await servers.records(authorization_details=details(not_before=begin + 2 * 86400))
    assert late.json()["reason"] == "authorization_details"


async def test_without_consent_nothing_is_stored(servers: Servers) -> None:
    servers.consents = []
    assert (await servers.records()).json()["reason"] == "no_consent"
    assert await listed(servers, HOLDER) == []


async def test_a_key_is_rotated_by_its_party_and_retires_with_what_it_signed(servers: Servers) -> None:
    async def kids() -> list[str]:
        return [key["kid"] for key in (await servers.call("GET", f"/oauth2/{HOLDER}/jwks", party=HOSPITAL)).json()["keys"]]

    (old,) = await kids()
    token = await granted(servers)
    assert (await servers.call("POST", f"/oauth2/{HOLDER}/keys", party=HOSPITAL)).json()["reason"] == "party_mismatch"
    servers.clock.forward(seconds=10)
    first = (await servers.call("POST", f"/oauth2/{HOLDER}/keys", party=HOLDER)).json()["kid"]
    second = (await servers.call("POST", f"/oauth2/{HOLDER}/keys", party=HOLDER)).json()["kid"]
    assert await kids() == [second, first, old]
    assert await servers.active(token, HOLDER), "two rotations within the life of a token do not end it"
    servers.clock.forward(seconds=3599)
    assert await kids() == [second, first, old]
    servers.clock.forward(seconds=2)
    assert await kids() == [second]
    third = (await servers.call("POST", f"/oauth2/{HOLDER}/keys", party=HOLDER)).json()["kid"]
    folder = servers.settings.tenants[2].folder / "keys" / "signing"
    assert len(list(folder.glob("*.pem"))) == 2
    assert await kids() == [third, second]


async def test_every_event_of_grants_and_logins_is_complete(servers: Servers) -> None:
    token = await granted(servers)
    await servers.call("GET", f"/oauth2/{HOLDER}/grants", party=HOSPITAL)
    await as_client(servers, "GET")
    await as_client(servers, "DELETE", f"/{claims_of(token)['jti']}")
    await ended(servers, "consent", "Consent/1", CONSENT_PARTY)
    await ended(servers, "mandate", "x", THIEF)
    await servers.call("POST", f"/oauth2/{HOLDER}/keys", party=HOLDER)
    opened = (await servers.redeem(await servers.code())).json()["access_token"]
    await servers.call("GET", "/oauth2/cibg/userinfo", party=HOSPITAL, token=opened)
    await servers.page(scope="unknown")
    events = await servers.logged()
    assert len(events) > 10
    assert [(each["subtype"][0]["code"], told_wrong(each)) for each in events if told_wrong(each)] == []
