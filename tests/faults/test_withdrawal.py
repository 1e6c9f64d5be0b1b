"""A withdrawal from end to end: register, authorization server and source, under requests that race it and through kill -9."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from proeftuin import settings
from proeftuin.audit.calling import About
from proeftuin.parties import ConsentSeed
from proeftuin.sandbox import seeding
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system, client_token, consent_resource
from tests.faults.processes import Processes, answers, until

REST = ("addressing", "localization", "pseudonymisation", "logging", "authorization")  # beside the register and the holder
WITHDRAWALS = int(os.environ.get("PROEFTUIN_WITHDRAWALS", "50"))
READERS, LATE = 4, 1
SCOPE = "patient/Condition.rs"
DENIED = {"consent_withdrawn", "token_revoked"}
_ASLEEP = """
import asyncio
import os
from types import SimpleNamespace
from services.consent.notifying import Notifying
tell = Notifying._tell
async def never(*_):
    await asyncio.Event().wait()
async def before(self, notice):
    await never()
async def after(self, notice):
    tenant = SimpleNamespace(client=self.tenant.client, database=SimpleNamespace(write=never), clock=self.tenant.clock)
    return await tell(SimpleNamespace(tenant=tenant, _ended=self._ended), notice)
"""
BEFORE_TELLING = f"{_ASLEEP}\nNotifying._tell = before"  # the change is committed, nobody was told
AFTER_TELLING = f"{_ASLEEP}\nNotifying._tell = after"  # the holder has taken it, which the register does not yet know


class Network:
    """A filled network of which the register of consents is a process of its own: a hospital, a holder and a client's portal."""

    def __init__(self, home: Home, processes: Processes) -> None:
        self.home, self.processes, self.parts = home, processes, cast(home.seed)
        self.register = home.topology.network.consent
        self.hospital, self.holder, self.portal = (
            care_system(home, party.id) for party in (self.parts.hospital, self.parts.holder, self.parts.portal)
        )
        self.exchange = Exchange(self.hospital, self.parts)
        self._mine = ""

    async def start(self) -> None:
        """Start and fill it."""
        topology, holder = self.home.topology, self.parts.holder
        own = [topology.instance(service, holder.id) for service in ("authorization", "datastation")]
        national = [topology.instance(service) for service in REST]
        self.processes.start("consent")
        self.processes.start("rest", *(each.name for each in (*national, *own)))
        for instance in (topology.instance("consent"), *national, *own):
            await answers(self.portal.client, f"{instance.base_url}/health")
        await seeding.feed_addressing(self.home)
        await seeding.records(self.home, holder)
        for system in (self.hospital, self.holder, self.portal):
            await system.discover()
        await self.exchange.prepare()
        self.exchange.addresses = await self.hospital.look_up(self.parts.holder.ura or "")
        self._mine = await client_token(self.portal, self.client, "consent", "patient/Consent.cruds")

    async def restart(self, change: str = "") -> None:
        """Kill the register and start it again, `change` done before it begins."""
        self.processes.kill("consent")
        self.processes.start_with("consent", change)
        await answers(self.portal.client, f"{self.register}/health")

    async def close(self) -> None:
        for system in (self.hospital, self.holder, self.portal):
            await system.close()

    @property
    def client(self) -> str:
        return self.parts.unconsenting_client

    async def give(self) -> dict[str, Any]:
        wanted = ConsentSeed(self.client, self.parts.holder.id, ("Condition",), self.parts.hospital.id)
        return await self._put("POST", "", consent_resource(self.home.seed, wanted))

    async def withdraw(self, given: dict[str, Any]) -> dict[str, Any]:
        return await self._put("PUT", f"/{given['id']}", given | {"status": "inactive"})

    async def restore(self, given: dict[str, Any]) -> dict[str, Any]:
        return await self._put("PUT", f"/{given['id']}", given | {"status": "active"})

    async def _put(self, method: str, place: str, resource: dict[str, Any]) -> dict[str, Any]:
        answer = await self.portal.client.request(
            method, f"{self.register}/fhir/Consent{place}", content=resource, content_type="application/fhir+json",
            token=self._mine, about=About((self.client,)),
        )  # fmt: skip
        assert answer.status in (200, 201), answer.body
        found: dict[str, Any] = answer.json()
        return found

    async def token(self) -> str | None:
        return await self.exchange.ask(SCOPE, self.client)

    async def read(self, token: str) -> str:
        """Ask the source for data, and return "ok" or why it did not give any."""
        url = f"{self.exchange.addresses['hl7-fhir-rest']}/Condition/_search"
        answer = await self.hospital.client.request("POST", url, form={}, token=token, about=About((self.client,)))
        assert answer.status in (200, 401, 403), answer.body
        return "ok" if answer.status == 200 else answer.headers["X-Reason"]

    async def live(self) -> set[str]:
        """The grants of the holder that live."""
        answer = await self.holder.client.request("GET", f"{self.home.topology.issuer(self.parts.holder.id)}/grants")
        return {each["jti"] for each in answer.json()["grants"] if SCOPE in each["scope"]}

    async def waiting(self) -> bool:
        """Whether the register has still to tell someone."""
        return bool(self.sql("consent", "SELECT id FROM notice"))

    def told(self, consent: str) -> int:
        """How often the holder has it that this consent ended."""
        instance = self.home.topology.instance("authorization", self.parts.holder.id)
        return len(self.sql(instance.name, f"SELECT position FROM ground_end WHERE id = 'Consent/{consent}'"))

    def sql(self, instance: str, statement: str) -> list[Any]:
        tenants = settings.load(self.home.settings_file(instance)).tenants
        own = next((each for each in tenants if each.party == self.parts.holder.id), tenants[0])
        engine = sa.create_engine(own.database)
        with engine.connect() as connection:
            found = list(connection.execute(sa.text(statement)).all())
        engine.dispose()
        return found


@asynccontextmanager
async def running(home: Home, processes: Processes) -> AsyncIterator[Network]:
    network = Network(home, processes)
    try:
        await network.start()
        yield network
    finally:
        await network.close()


async def race(network: Network) -> None:
    """Withdraw once while others read and ask for tokens without pause; whatever starts after the answer is denied."""
    given = await network.give()
    token = await network.token()
    assert token is not None
    assert await network.read(token) == "ok"
    done = asyncio.Event()

    async def withdraw() -> None:
        await network.withdraw(given)
        done.set()

    async def reader() -> list[str]:
        late: list[str] = []
        while len(late) < LATE:
            after = done.is_set()
            found = await network.read(token)
            if after:
                late.append(found)
        return late

    async def asker() -> str:
        while True:
            after = done.is_set()
            given_token = await network.token()
            if after:
                return "ok" if given_token else network.hospital.hops.all[-1].reason

    asked, late, _ = await asyncio.gather(asker(), asyncio.gather(*(reader() for _ in range(READERS))), withdraw())
    assert asked == "consent_withdrawn"
    assert {reason for each in late for reason in each} <= DENIED, late


async def races(network: Network) -> None:
    for _ in range(WITHDRAWALS):
        await race(network)

    async def ended() -> bool:
        return not await network.live()

    await until(ended)
    assert not await network.waiting()


async def kill(network: Network, moment: str) -> None:
    """Kill the register before or after it told of a withdrawal; the holder hears it once, and what is given anew lives."""
    given = await network.give()
    token = await network.token()
    assert token is not None
    (jti,) = await network.live()
    await network.restart(moment)
    withdrawn = await network.withdraw(given)

    async def told(times: int) -> bool:
        return network.told(given["id"]) == times

    if moment is AFTER_TELLING:
        await until(lambda: told(1))
    else:
        assert await network.live() == {jti}
    assert await network.waiting()
    assert await network.read(token) in DENIED
    await network.restart()

    async def nothing_waits() -> bool:
        return not await network.waiting()

    await until(nothing_waits)
    assert network.told(given["id"]) == 1
    assert await network.live() == set()
    assert await network.read(token) in DENIED
    restored = await network.restore(withdrawn)
    await until(lambda: told(2))
    await until(nothing_waits)
    anew = await network.token()
    assert anew is not None
    assert await network.read(anew) == "ok"
    await network.withdraw(restored)
    await until(nothing_waits)
    assert await network.live() == set()


def test_a_withdrawal_holds_from_its_answer_on_and_ends_every_token_once_also_through_kill_9(
    home: Home, processes: Processes
) -> None:
    async def run() -> None:
        async with running(home, processes) as network:
            await races(network)
            for moment in (BEFORE_TELLING, AFTER_TELLING):
                await kill(network, moment)

    asyncio.run(asyncio.wait_for(run(), 300))
