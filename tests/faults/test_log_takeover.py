"""Two processes on one log: the second takes over when the first is killed or stopped, and who comes back writes nothing."""

import asyncio
import contextlib
import os
import random
from signal import SIGCONT, SIGSTOP

import pytest
import sqlalchemy as sa

from proeftuin import settings
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.log_verification import verify
from proeftuin.sandbox.seeding import care_system
from proeftuin.tokens.client import TokenClient
from proeftuin.transport.client import Unreachable
from tests.faults.processes import Processes, answers, batch, event, new_id, until
from tests.faults.test_outbox import Producer

ROUNDS = int(os.environ.get("PROEFTUIN_TAKEOVER_ROUNDS", "6"))
CONNECTIONS = 16
PARTY = "ziekenhuis-de-linde"
NAMES = ("log-first", "log-second")


class Front:
    """What stands before the two processes at the address of the log: it lets connections through to one of them."""

    def __init__(self, home: Home, processes: Processes) -> None:
        instance = home.topology.instance("logging")
        self._processes, self._instance = processes, instance.name
        self._address, self._ports = instance.port, dict(zip(NAMES, (instance.port + 60, instance.port + 61), strict=True))
        self._open: set[asyncio.StreamWriter] = set()
        self.target = NAMES[0]

    async def __aenter__(self) -> "Front":
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.to(self.target)

    def start(self, name: str) -> None:
        self._processes.start_beside(self._instance, name, self._ports[name])

    def to(self, name: str) -> None:
        """From now on to `name`; what is open is closed, as a load balancer does with a side that fails."""
        self.target = name
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._ports[self.target])
            self._open.add(back)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.transport.abort()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await source.read(65536):
            to.write(content)
            await to.drain()
    to.transport.abort()


async def send(system: CareSystem, url: str, tokens: TokenClient, acknowledged: set[str], stop: asyncio.Event) -> None:
    """Send batches; what is refused for now or gets no answer is repeated under the same ids."""
    chance = random.Random(id(stop))
    while not stop.is_set():
        events = [event(new_id()) for _ in range(chance.randint(1, 5))]
        while not stop.is_set():
            try:
                token = await tokens.token(url, "system/AuditEvent.c")
                answer = await system.client.request(
                    "POST", f"{url}/fhir", content=batch(events), token=token, content_type="application/fhir+json"
                )
            except Unreachable:
                await asyncio.sleep(0.02)
                continue
            if answer.status == 503:
                assert answer.headers["X-Reason"] in ("standby", "overloaded"), answer.body
                assert int(answer.headers["Retry-After"]) >= 1
                await asyncio.sleep(0.05)
                continue
            assert answer.status == 200, answer.body
            assert {entry["response"]["status"][:3] for entry in answer.json()["entry"]} <= {"200", "201"}
            acknowledged.update(each["id"] for each in events)
            break


async def taken_now(system: CareSystem, url: str, tokens: TokenClient) -> set[str]:
    """Send until an event is taken, and return what was: an answer that was under way before proves nothing of who leads now."""
    taken: set[str] = set()
    enough = asyncio.Event()
    sender = asyncio.create_task(send(system, url, tokens, taken, enough))
    while not taken and not sender.done():  # noqa: ASYNC110 - the sender has no event of its own
        await asyncio.sleep(0.01)
    enough.set()
    await sender
    return taken


def check(home: Home, acknowledged: set[str]) -> int:
    """The log holds all that was acknowledged, once, without gaps, under checkpoints that verify; returns how much."""
    engine = sa.create_engine(settings.load(home.settings_file("logging")).tenants[0].database)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT seq, event_id FROM event ORDER BY seq")).all()
    engine.dispose()
    assert [row.seq for row in rows] == list(range(len(rows)))
    stored = {row.event_id for row in rows}
    assert len(stored) == len(rows)
    assert acknowledged - stored == set()
    report = verify(home)
    assert (report.fault, report.events) == (None, len(rows))
    return len(rows)


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_the_second_process_takes_over_and_the_first_writes_nothing_more(home: Home, processes: Processes, way: str) -> None:
    if way == "stop" and not os.environ.get("PROEFTUIN_DATABASE"):
        pytest.skip("on SQLite a stopped process keeps the lock: the second stands by, and nothing is written")
    network, chance = home.topology.network, random.Random(24)
    acknowledged: set[str] = set()

    async def run() -> None:
        processes.start("authorization")
        system = care_system(home, PARTY)
        await answers(system.client, f"{network.issuer}/jwks")
        tokens = TokenClient(network.issuer, system.party.client_id, system.client)
        stop = asyncio.Event()
        async with Front(home, processes) as front:
            front.start(NAMES[0])
            await answers(system.client, f"{network.logging}/checkpoint")
            front.start(NAMES[1])
            tasks = [asyncio.create_task(send(system, network.logging, tokens, acknowledged, stop)) for _ in range(CONNECTIONS)]

            async def more(count: int) -> None:
                enough = len(acknowledged) + count
                while len(acknowledged) < enough:
                    failed = next((task for task in tasks if task.done()), None)
                    assert failed is None, failed.exception()
                    await asyncio.sleep(0.01)

            for number in range(ROUNDS):
                leader, other = NAMES[number % 2], NAMES[1 - number % 2]
                await more(chance.randrange(20, 200))
                if way == "kill":
                    processes.kill(leader)
                    front.to(other)
                    acknowledged.update(await taken_now(system, network.logging, tokens))
                    front.start(leader)
                    continue
                processes.signal(leader, SIGSTOP)  # with requests half done and its session open
                front.to(other)
                acknowledged.update(await taken_now(system, network.logging, tokens))
                await more(50)
                processes.signal(leader, SIGCONT)  # it goes on with what it was doing
                front.to(leader)
                await asyncio.sleep(0.3)  # asked for more, it refuses: `send` demands 503 and `standby`
                front.to(other)
            stop.set()
            await asyncio.gather(*tasks)
            await system.close()
        processes.kill_all()

    asyncio.run(asyncio.wait_for(run(), 300))
    assert check(home, acknowledged) >= ROUNDS * 20


def test_an_outbox_is_delivered_once_through_a_take_over(home: Home, processes: Processes) -> None:
    """Refusals for now, restarts and another process: what the producer answered for is in the log once."""
    producer = Producer(home, processes)

    async def run() -> None:
        system = care_system(home, PARTY)
        async with Front(home, processes) as front:
            front.start(NAMES[0])
            front.start(NAMES[1])
            for number in range(4):
                leader, other = NAMES[number % 2], NAMES[1 - number % 2]
                await producer.start(system)
                load = asyncio.create_task(producer.load_and_kill())
                await asyncio.sleep(0.5)
                processes.kill(leader)  # its producer delivers meanwhile
                front.to(other)
                await load
                front.start(leader)
            await producer.start(system)
            await until(lambda: producer.drained(system))
            await system.close()
        processes.kill_all()

    asyncio.run(asyncio.wait_for(run(), 600))
    engine = sa.create_engine(settings.load(home.settings_file("logging")).tenants[0].database)
    with engine.connect() as connection:
        traces = connection.scalars(sa.text("SELECT trace_id FROM event")).all()
    engine.dispose()
    assert len(producer.answered) >= 200
    assert {trace: traces.count(trace) for trace in producer.answered if traces.count(trace) != 1} == {}
    assert verify(home).fault is None
