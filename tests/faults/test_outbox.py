"""A producer's outbox: what it answered for reaches the log once, however often either end is killed."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from proeftuin import settings
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.log_verification import verify
from proeftuin.sandbox.seeding import care_system
from proeftuin.transport.client import Unreachable
from proeftuin.transport.tracing import CURRENT, Trace
from tests.faults.processes import Processes, answers, until

ROUNDS = int(os.environ.get("PROEFTUIN_OUTBOX_ROUNDS", "4"))
CONNECTIONS = 8
PARTY = "ziekenhuis-de-linde"


class Producer:
    """The national authorization server, asked for tokens until it is killed: each answer has its event in an outbox."""

    def __init__(self, home: Home, processes: Processes) -> None:
        self._home, self._processes, self._chance = home, processes, random.Random(20)
        self.issuer, self._localization = home.topology.network.issuer, home.topology.network.localization
        self.answered: set[str] = set()  # traces of the requests that got an answer

    async def start(self, system: CareSystem) -> None:
        """Start the server and wait until it answers."""
        self._processes.start("authorization")
        await answers(system.client, f"{self.issuer}/jwks")

    async def load_and_kill(self) -> None:
        """Ask over many connections, then kill the server with requests half done."""
        stop = await self.load()
        self._processes.kill("authorization")
        await stop()

    async def load(self) -> Callable[[], Awaitable[None]]:
        """Ask over many connections, and return what stops it, once some were answered."""
        enough = len(self.answered) + self._chance.randrange(50, 150)
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._ask(stop)) for _ in range(CONNECTIONS)]
        while len(self.answered) < enough:
            failed = next((task for task in tasks if task.done()), None)
            assert failed is None, failed.exception()
            await asyncio.sleep(0.005)

        async def end() -> None:
            stop.set()
            await asyncio.gather(*tasks)

        return end

    async def drained(self, system: CareSystem) -> bool:
        """Tell whether no event waits any more."""
        try:
            found = (await system.client.request("GET", f"{self.issuer.rpartition('/oauth2/')[0]}/health")).json()
        except Unreachable:
            return False
        return not any(part.get("audit_undelivered", 0) for part in found["components"].values())

    async def _ask(self, stop: asyncio.Event) -> None:
        system = care_system(self._home, PARTY)
        while not stop.is_set():
            trace = Trace.new()
            CURRENT.set(trace)
            wanted = self._chance.choice(["nvi:localize", "nvi:unknown"])  # a grant and a refusal are both answers
            form = {"grant_type": "client_credentials", "client_id": system.party.client_id, "scope": wanted}
            try:
                answer = await system.client.request("POST", f"{self.issuer}/token", form=form | {"resource": self._localization})
            except Unreachable:
                await asyncio.sleep(0.02)
                continue
            assert answer.status in (200, 400), answer.body
            self.answered.add(trace.trace_id)
        await system.close()


def test_an_outbox_filled_while_the_log_is_down_is_delivered_once(home: Home, processes: Processes) -> None:
    producer, log = Producer(home, processes), home.topology.network.logging
    chance = random.Random(21)

    async def run(system: CareSystem) -> None:
        for _ in range(ROUNDS):
            await producer.start(system)
            await producer.load_and_kill()  # the log is down: all of this is in the outbox
            await producer.start(system)
            processes.start("logging")
            await answers(system.client, f"{log}/checkpoint")
            await asyncio.sleep(chance.random() * 0.5)  # somewhere in the delivery
            processes.kill("logging")
            processes.kill("authorization")
        processes.start("logging")
        await producer.start(system)
        await until(lambda: producer.drained(system))
        processes.kill_all()

    async def whole() -> None:
        system = care_system(home, PARTY)
        try:
            await asyncio.wait_for(run(system), 600)
        finally:
            await system.close()

    asyncio.run(whole())
    engine = sa.create_engine(settings.load(home.settings_file("logging")).tenants[0].database)
    with engine.connect() as connection:
        logged = Counter(connection.scalars(sa.text("SELECT trace_id FROM event")))
    engine.dispose()
    assert len(producer.answered) >= ROUNDS * 50
    assert {trace: logged[trace] for trace in producer.answered if logged[trace] != 1} == {}
    assert verify(home).fault is None
