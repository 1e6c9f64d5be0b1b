"""The one issuing path, through a door that asks for all that a door can ask for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from proeftuin.access.rendering import oauth
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.tokens.access_token import OWN_CLAIMS, Person
from services.authorization import store
from services.authorization.api import token
from services.authorization.api.token import Asked
from services.authorization.clients import Clients
from services.authorization.grants import CREDENTIAL, GrantRequest, Ground
from services.authorization.issuer import Issuer
from tests.unit.services.authorization.servers import (
    ACCESS_TOKEN,
    CLIENT,
    EXCHANGE,
    HOLDER,
    HOSPITAL,
    STATION,
    THIEF,
    Servers,
    claims_of,
)

pytestmark = pytest.mark.anyio


class Door:
    """A door whose requests the test decides: by default, a hospital that acts for another by a mandate."""

    def __init__(self, servers: Servers, id_token: str) -> None:
        self.changes: dict[str, Any] = {
            "principal": servers.seed.party(THIEF), "mandate": "urn:mandate:1", "id_token": id_token, "patient": CLIENT,
            "purpose": "TREAT", "stands_on": (Ground(CREDENTIAL, "urn:uuid:c1"),), "actors": ("kvk:90990401",),
            "claims": {"organization_role": "x", "scopes": ["a"]}, "evidence": {"vps": ["a.b.c"]},
        }  # fmt: skip
        self.issuer: Issuer = servers.app.state.issuers[HOLDER]
        self.issuer.holds.pop(CREDENTIAL, None)  # the credentials of these tests stand in no status list
        self.servers = servers
        router = token.router(servers.app.state.issuers, {"urn:test": self.read}, Clients(None))
        servers._app = servers.app.state.service.app("test", [router], form=oauth)

    async def read(self, asked: Asked) -> tuple[GrantRequest, Mapping[str, Any]]:
        request = GrantRequest("urn:test", await asked.client(), asked.confirmation, ("patient/Patient.rs",), STATION)
        return replace(request, **self.changes), {"added": "by the door"}

    async def ask(self, **changes: Any) -> Any:
        self.changes |= changes
        return await self.servers.ask(at=HOLDER, grant_type="urn:test")

    async def lives(self, raw: str) -> bool:
        return await self.issuer.live_token(raw) is not None

    async def end(self, ground: Ground) -> None:
        await self.issuer.tenant.database.write(store.end, ground, "test", self.servers.clock.now())


@pytest.fixture
async def door(servers: Servers) -> Door:
    return Door(servers, await servers.nurse())


async def test_who_acts_for_another_shows_a_mandate_and_is_named(door: Door) -> None:
    answer = (await door.ask()).json()
    assert answer["added"] == "by the door"
    claims = claims_of(answer["access_token"])
    assert (claims["sub"], claims["client_id"]) == ("ura:90000102", "ura:90000101")
    assert claims["act"] == {"sub": "ura:90000101", "act": {"sub": "kvk:90990401"}}
    (event,) = [each for each in await door.servers.logged() if "urn:test" in str(each)]
    assert "ura:90000102" in str(event)
    refused = await door.ask(mandate=None)
    assert (refused.status_code, refused.json()["reason"], refused.json()["error"]) == (403, "mandate_missing", "access_denied")
    assert (await door.ask(principal=door.servers.seed.party(HOSPITAL))).status_code == 200, "for itself it needs none"


async def test_it_dies_with_mandate_and_credential_and_with_what_a_hook_says(door: Door) -> None:
    for ground in (Ground("mandate", "urn:mandate:1"), Ground(CREDENTIAL, "urn:uuid:c1")):
        raw = (await door.ask(mandate=ground.id, stands_on=(Ground(CREDENTIAL, "urn:uuid:c1"),))).json()["access_token"]
        assert await door.lives(raw)
        await door.end(ground)
        assert not await door.lives(raw)
    valid = True

    async def holds(name: str) -> bool:
        assert name == "urn:uuid:c2"
        return valid

    door.issuer.holds[CREDENTIAL] = holds
    raw = (await door.ask(mandate="urn:mandate:2", stands_on=(Ground(CREDENTIAL, "urn:uuid:c2"),))).json()["access_token"]
    assert await door.lives(raw)
    valid = False
    assert not await door.lives(raw)


async def test_claims_of_a_protocol_stand_beside_ours_and_never_in_their_place(door: Door) -> None:
    plain = claims_of((await door.ask(claims={})).json()["access_token"])
    forged = dict.fromkeys(OWN_CLAIMS, "forged") | {"organization_role": "x"}
    claims = claims_of((await door.ask(claims=forged)).json()["access_token"])
    assert claims["organization_role"] == "x"
    assert {name for name in plain if claims[name] != plain[name]} <= {"jti", "iat", "exp"}
    assert "forged" not in claims.values()


async def test_an_exchange_leaves_the_claims_of_another_protocol_behind(door: Door) -> None:
    raw = (await door.ask(claims={"scopes": ["all"]}, principal=None, mandate=None, actors=())).json()["access_token"]
    assert claims_of(raw)["scopes"] == ["all"]
    door.servers._app = door.servers.app
    form = {"grant_type": EXCHANGE, "subject_token": raw, "subject_token_type": ACCESS_TOKEN}
    exchanged = (await door.servers.ask(at=HOLDER, **form, scope=None, resource=None)).json()["access_token"]
    assert "scopes" not in claims_of(exchanged)
    assert claims_of(exchanged)["extensions"] == claims_of(raw)["extensions"]


async def test_scopes_of_a_professional_are_for_no_client_of_care(door: Door) -> None:
    refused = await door.ask(person=Person(CLIENT, BSN_SYSTEM), id_token=None)
    assert refused.json()["reason"] == "identity_invalid"


async def test_evidence_is_shown_to_extended_introspection_alone(door: Door) -> None:
    raw = (await door.ask()).json()["access_token"]
    door.servers._app = door.servers.app
    assert "vps" not in await door.servers.introspect(raw, HOLDER)
    extended = await door.servers.introspect(raw, HOLDER, "introspect_extended")
    assert (extended["vps"], extended["grant_type"], extended["organization_role"]) == (["a.b.c"], "urn:test", "x")
    assert extended["organization_ura"] == "90000102", "whose rights are used"


async def test_an_id_that_no_register_can_hold_is_refused(door: Door) -> None:
    for name in ("", "x" * 301, "a\x00b", "\ud800"):
        refused = await door.ask(stands_on=(Ground(CREDENTIAL, name),))
        assert (refused.status_code, refused.json()["reason"]) == (400, "invalid_request")


async def test_time_ends_where_the_door_says_at_the_latest(door: Door) -> None:
    now = int(door.servers.clock.now().timestamp())
    assert (await door.ask(until=now + 40, lifetime=100)).json()["expires_in"] == 40
    assert (await door.ask(until=None, lifetime=3000)).json()["expires_in"] == 300, "no longer than the policy of the scopes"
    late = await door.ask(until=now)
    assert (late.status_code, late.json()["reason"]) == (400, "token_expired")
    assert (await door.ask(until=None, lifetime=0)).json()["reason"] == "invalid_request"


async def test_a_person_logged_in_through_who_asks_or_for_whom_is_asked(door: Door) -> None:
    assert (await door.ask()).status_code == 200
    door.changes |= {"principal": None, "mandate": None}
    other = next(each for each in door.servers.seed.professionals if each.employer == THIEF)
    door.servers._app = door.servers.app
    statement = (await door.servers.log_in(THIEF, "cibg", professional=other.uzi)).json()["id_token"]
    again = Door(door.servers, statement)
    assert (await again.ask()).json().get("reason") in (None, "role_not_allowed"), "the principal's own professional"
    assert (await again.ask(principal=None, mandate=None)).json()["reason"] == "party_mismatch"
