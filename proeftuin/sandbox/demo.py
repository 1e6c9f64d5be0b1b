"""The demonstration: the exchange, its refusals, and the client's overview with the proof that the log was not rewritten."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from proeftuin.sandbox import overview, refusals
from proeftuin.sandbox.ca import Ca
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.exchange import Cast, Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.hops import Hops
from proeftuin.sandbox.refusals import Stage
from proeftuin.sandbox.seeding import client_token
from proeftuin.transport.tracing import CURRENT, Trace


@dataclass(slots=True)
class Demo:
    """A run against the network of `home`, with a hand on its `ca`."""

    home: Home
    hops: Hops
    ca: Ca
    connect_to: Mapping[str, str] = field(default_factory=dict)

    async def run(self, *, with_refusals: bool = True) -> bool:
        """Play everything; returns whether every hop had its expected outcome. Raises Stopped where it cannot go on."""
        parts = cast(self.home.seed)
        system = self.system(parts.hospital.id)
        portal = self.system(parts.portal.id)
        thief = self.system(parts.thief.id)
        try:
            exchange = Exchange(system, parts)
            await exchange.run()
            self.hops.scenario = "others arrive"
            await portal.discover()
            await thief.discover()
            if with_refusals:
                await refusals.run(Stage(exchange, thief, portal, self._another(parts)))
            await system.drained()
            await self._overview(portal, exchange)
            return self.hops.ok
        finally:
            for each in (system, portal, thief):
                await each.close()

    def system(self, party: str, certificate: str = "certificate") -> CareSystem:
        """Return the system of a party, whose hops are shown."""
        seed = self.home.seed
        return CareSystem(
            seed.party(party),
            self.home.party_folder(party),
            self.home.trust,
            self.home.topology.network.addressing,
            self.hops,
            certificate=certificate,
            connect_to=self.connect_to,
        )

    def _another(self, parts: Cast) -> Callable[[str], Awaitable[tuple[CareSystem, Callable[[], Awaitable[None]]]]]:
        """Return what makes a second system of the hospital, with a certificate that may be revoked."""
        made: dict[str, int] = {}

        async def another(name: str) -> tuple[CareSystem, Callable[[], Awaitable[None]]]:
            if name not in made:
                made[name] = await asyncio.to_thread(self.ca.issue, parts.hospital.id, name)

            async def revoke() -> None:
                await asyncio.to_thread(self.ca.revoke, made[name])

            return self.system(parts.hospital.id, name), revoke

        return another

    async def _overview(self, portal: CareSystem, exchange: Exchange) -> None:
        """Ask the overview as the client, wait until every end has told its part, and check its proof."""
        parts = exchange.parts
        trace = exchange.trace.trace_id
        consent = next(party for party in parts.seed.parties if party.kind == "toestemmingsregister")
        ends = {parts.hospital.name, parts.holder.name, consent.name}
        before = CURRENT.set(Trace.new())
        self.hops.scenario = "overview"
        try:
            token = await client_token(portal, parts.client, "logging", "patient/AuditEvent.rs")
            url = f"{portal.services['logging']}/inzage/logging"
            for _ in range(100):  # the outboxes of the other ends deliver in their own time
                answer = await portal.client.request("POST", url, form={}, token=token)
                if answer.status == 200 and overview.shows(answer.json(), trace, ends):
                    break
                await asyncio.sleep(0.1)
            found = await portal.get("ask who did what", "logging", "POST", url, form={}, token=token)
            key = await portal.call("read the log's key", "logging", "GET", f"{portal.services['logging']}/key")
            cosigner = await portal.call("read the witness's key", "witness", "GET", f"{portal.services['witness']}/key")
            keys = (key.body.decode() if key else "", cosigner.body.decode() if cosigner else "")
            self.hops.add(overview.check(found, keys, portal.party.id, trace, ends))
        finally:
            CURRENT.reset(before)
