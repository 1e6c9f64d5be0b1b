"""Consent over the running network: its end reaches the tokens that stand on it, an emergency passes it by, a parent gives it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proeftuin.audit.calling import About
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import ConsentSeed
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system, client_token, consent_resource

pytestmark = pytest.mark.anyio
CHILD, MOTHER = "999937121", "999937881"
FHIR = "application/fhir+json"


@asynccontextmanager
async def systems(network: Home, *parties: str) -> AsyncIterator[list[CareSystem]]:
    found = [care_system(network, party) for party in parties]
    try:
        for each in found:
            await each.discover()
        yield found
    finally:
        for each in found:
            await each.close()


async def in_time(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> bool:
    """Tell whether something comes to hold: notices are delivered in their own time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await holds():
            return True
        await asyncio.sleep(0.1)
    return False


async def test_a_withdrawal_ends_the_grants_that_stand_on_the_consent_and_an_objection_too(network: Home) -> None:
    parts = cast(network.seed)
    async with systems(network, parts.hospital.id, parts.holder.id, parts.portal.id) as (hospital, holder, portal):
        exchange = Exchange(hospital, parts)
        await exchange.prepare()
        exchange.addresses = await hospital.look_up(parts.holder.ura or "")
        mine = await client_token(portal, parts.client, "consent", "patient/Consent.cruds")
        base = f"{portal.services['consent']}/fhir/Consent"
        issuer = network.topology.issuer(parts.holder.id)

        async def live() -> set[str]:
            answer = await holder.client.request("GET", f"{issuer}/grants")
            return {each["jti"] for each in answer.json()["grants"]}

        async def granted() -> str:
            before = await live()
            assert await exchange.ask("patient/Condition.rs", parts.client)
            (jti,) = await live() - before
            return jti

        async def put(resource: dict[str, Any], method: str = "POST", place: str = "") -> dict[str, Any]:
            answer = await portal.client.request(
                method, base + place, content=resource, content_type=FHIR, token=mine, about=About((parts.client,))
            )
            assert answer.status in (200, 201), answer.body
            found: dict[str, Any] = answer.json()
            return found

        wanted = ConsentSeed(parts.client, parts.holder.id, ("Condition",), parts.hospital.id)
        given = await put(consent_resource(network.seed, wanted))
        for end in ("withdrawal", "objection"):
            jti = await granted()
            assert jti in await live()
            if end == "withdrawal":
                await put(given | {"status": "inactive"}, "PUT", f"/{given['id']}")
                given = await put(consent_resource(network.seed, wanted))
            else:
                refusal = ConsentSeed(parts.client, "*", ("Genomics",), "*", "deny")
                objection = await put(consent_resource(network.seed, refusal))
                await put(objection | {"status": "inactive"}, "PUT", f"/{objection['id']}")

            async def gone(wanted: str = jti) -> bool:
                return wanted not in await live()

            assert await in_time(gone), end
        await put(given | {"status": "inactive"}, "PUT", f"/{given['id']}")


async def test_an_emergency_is_the_holders_decision_with_a_reason_and_the_client_sees_it(network: Home) -> None:
    parts = cast(network.seed)
    client = parts.unconsenting_client
    why = "Bewusteloos binnengebracht, medicatie onbekend"
    async with systems(network, parts.hospital.id, parts.portal.id) as (hospital, portal):
        exchange = Exchange(hospital, parts)
        await exchange.prepare()
        exchange.addresses = await hospital.look_up(parts.holder.ura or "")
        issuer, resource = exchange.addresses["oauth2"], exchange.resource
        bounds: dict[str, Any] = {"patient": client, "id_token": exchange.statement}

        async def ask(scope: str = "patient/MedicationRequest.rs", **rest: Any) -> tuple[str | None, str]:
            token = await hospital.token(issuer, resource, scope, **(bounds | rest))
            return token, hospital.hops.all[-1].reason

        assert (await ask(purpose="TREAT"))[1] == "no_consent"
        assert (await ask(purpose="ETREAT"))[1] == "emergency_reason"
        assert (await ask(purpose="ETREAT", reason="haast"))[1] == "emergency_reason"
        token, _ = await ask(purpose="ETREAT", reason=why)
        assert token
        physio = next(each for each in network.seed.professionals if each.role == "04.000")
        statement = await hospital.log_in("identity-professionals", professional=physio.uzi)
        assert (await ask("patient/Condition.rs", purpose="ETREAT", reason=why, id_token=statement))[1] == "role_not_allowed"
        found = await exchange.read("MedicationRequest", token)
        assert found["resourceType"] == "Bundle"
        assert await exchange.read("Condition", token, expected="insufficient_scope") is None
        await hospital.drained()
        mine = await client_token(portal, client, "logging", "patient/AuditEvent.rs")
        url = f"{portal.services['logging']}/inzage/logging"

        async def shown() -> bool:
            answer = await portal.client.request("POST", url, form={}, token=mine, about=About((client,)))
            rows = [row for row in answer.json()["rows"] if row["emergency"] and row["outcome"] == "given"]
            return {row["what"] for row in rows} >= {"viewed", "requested"} and "Bewusteloos" in str(answer.json())

        assert await in_time(shown)


async def test_a_parent_reads_who_saw_a_childs_data_and_a_stranger_does_not(network: Home) -> None:
    async with systems(network, cast(network.seed).portal.id) as (portal,):
        issuer, log = portal.services["authorization"], portal.services["logging"]

        async def token(acting: str) -> str | None:
            statement = await portal.log_in("identity-clients", client=acting)
            return await portal.token(issuer, log, "patient/AuditEvent.rs", patient=CHILD, purpose="PATRQT", id_token=statement)

        assert await token("999918138") is None
        assert portal.hops.all[-1].reason == "subject_mismatch"
        given, own = await token(MOTHER), await token(CHILD)
        await portal.drained()

        async def shown() -> bool:
            answer = await portal.client.request("POST", f"{log}/inzage/logging", form={}, token=own, about=About((CHILD,)))
            return any(row["basis"]["kind"] == "representative" for row in answer.json()["rows"])

        answer = await portal.client.request("POST", f"{log}/inzage/logging", form={}, token=given, about=About((CHILD,)))
        assert answer.status == 200, answer.body
        assert MOTHER not in answer.body.decode()
        assert await in_time(shown)


async def test_a_parent_decides_for_a_child_and_the_child_does_not(network: Home) -> None:
    portal_id = cast(network.seed).portal.id
    async with systems(network, portal_id) as (portal,):

        async def token(acting: str) -> str | None:
            statement = await portal.log_in("identity-clients", client=acting)
            return await portal.token(
                portal.services["authorization"], portal.services["consent"], "patient/Consent.cruds",
                patient=CHILD, purpose="PATRQT", id_token=statement,
            )  # fmt: skip

        resource = consent_resource(network.seed, ConsentSeed(CHILD, "huisartsenpraktijk", ("Condition",), "ziekenhuis"))
        url, own = f"{portal.services['consent']}/fhir/Consent", About((CHILD,))
        answer = await portal.client.request("POST", url, content=resource, content_type=FHIR, token=await token(MOTHER), about=own)
        assert answer.status == 201
        assert answer.json()["performer"][0]["identifier"] == {"system": BSN_SYSTEM, "value": MOTHER}
        answer = await portal.client.request("POST", url, content=resource, content_type=FHIR, token=await token(CHILD), about=own)
        assert answer.headers["X-Reason"] == "representation"
        assert await token("999918138") is None
        assert portal.hops.all[-1].reason == "subject_mismatch"
