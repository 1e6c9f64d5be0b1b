"""kill -9 of the log under load: what was acknowledged is there, once, and the tree still verifies."""

import asyncio
import os
import random

import sqlalchemy as sa

from proeftuin import settings
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.log_verification import verify
from proeftuin.sandbox.seeding import care_system
from proeftuin.tokens.client import TokenClient
from proeftuin.transport.client import Client, Unreachable
from tests.faults.processes import Processes, answers, batch, event, new_id

ROUNDS = int(os.environ.get("PROEFTUIN_KILL_ROUNDS", "30"))
CONNECTIONS = 64
LARGEST_BATCH = 5
PARTY = "ziekenhuis-de-linde"


async def send(client: Client, url: str, tokens: TokenClient, home: Home, acknowledged: set[str], stop: asyncio.Event) -> None:
    """Send events and batches; what got no answer is repeated under the same ids, as an outbox does."""
    chance = random.Random(len(acknowledged))
    while not stop.is_set():
        clients = [None, *(client.bsn for client in home.seed.clients)]
        events = [event(new_id(), chance.choice(clients)) for _ in range(chance.randint(1, LARGEST_BATCH))]
        single = len(events) == 1
        content, path = (events[0], "/fhir/AuditEvent") if single else (batch(events), "/fhir")
        while not stop.is_set():
            try:
                token = await tokens.token(url, "system/AuditEvent.c")
                answer = await client.request(
                    "POST", url + path, content=content, token=token, content_type="application/fhir+json"
                )  # fmt: skip
            except Unreachable:
                await asyncio.sleep(0.02)
                continue
            assert answer.status in (200, 201), answer.body
            entries = [] if single else [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
            assert set(entries) <= {"200", "201"}
            acknowledged.update(each["id"] for each in events)
            break


def test_nothing_acknowledged_is_lost_by_kill_9_of_the_log(home: Home, processes: Processes) -> None:
    network, chance = home.topology.network, random.Random(7513)
    acknowledged: set[str] = set()

    async def run() -> None:
        processes.start("authorization")
        system = care_system(home, PARTY)
        await answers(system.client, f"{network.issuer}/jwks")
        tokens = TokenClient(network.issuer, system.party.client_id, system.client)
        stop = asyncio.Event()
        load = [
            asyncio.create_task(send(system.client, network.logging, tokens, home, acknowledged, stop))
            for _ in range(CONNECTIONS)
        ]  # fmt: skip
        for _ in range(ROUNDS):
            processes.start("logging")
            await answers(system.client, f"{network.logging}/checkpoint")
            enough = len(acknowledged) + chance.randrange(50, 500)
            while len(acknowledged) < enough:
                failed = next((task for task in load if task.done()), None)
                assert failed is None, failed.exception()
                await asyncio.sleep(0.005)
            processes.kill("logging")
        stop.set()
        await asyncio.gather(*load)
        await system.close()

    asyncio.run(asyncio.wait_for(run(), 900))
    engine = sa.create_engine(settings.load(home.settings_file("logging")).tenants[0].database)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT seq, event_id FROM event ORDER BY seq")).all()
        checkpoints = connection.scalars(sa.text("SELECT size FROM checkpoint ORDER BY size")).all()
    engine.dispose()
    assert [row.seq for row in rows] == list(range(len(rows)))
    stored = {row.event_id for row in rows}
    assert len(stored) == len(rows)
    assert acknowledged - stored == set()
    assert checkpoints[-1] == len(rows)
    report = verify(home)
    assert (report.fault, report.events, report.checkpoints) == (None, len(rows), len(checkpoints))
