"""A log that is given more than it can write: it says 503 and Retry-After, and every producer's outbox drains, once."""

import asyncio
from collections import Counter

import sqlalchemy as sa

from proeftuin import settings
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.log_verification import verify
from proeftuin.sandbox.seeding import care_system
from proeftuin.tokens.client import TokenClient
from tests.faults.processes import Processes, answers, batch, event, new_id, until
from tests.faults.test_outbox import PARTY, Producer

SENDERS, BATCH = 12, 40
TIGHT = "from services.logging import sequencer; sequencer.WAITING = 60"  # else it takes 5000 events to make it refuse


async def flood(
    system: CareSystem, tokens: TokenClient, log: str, stop: asyncio.Event, acknowledged: set[str], met: Counter[str]
) -> None:
    """Send batches as fast as it goes, and each again under the same ids until it is taken."""
    while not stop.is_set():
        events = [event(new_id()) for _ in range(BATCH)]
        while True:
            token = await tokens.token(log, "system/AuditEvent.c")
            answer = await system.client.peers.request(
                "POST", f"{log}/fhir", content=batch(events), token=token, content_type="application/fhir+json"
            )
            met[f"{answer.status} {answer.headers.get('X-Reason', '')}"] += 1
            if answer.status == 200:
                break
            assert (answer.status, answer.headers["X-Reason"]) == (503, "overloaded"), answer.body
            assert int(answer.headers["Retry-After"]) >= 1
            if not stop.is_set():
                await asyncio.sleep(0.02)  # who is less polite than it was asked
                continue
            await asyncio.sleep(int(answer.headers["Retry-After"]))
        assert {entry["response"]["status"][:3] for entry in answer.json()["entry"]} <= {"200", "201"}
        acknowledged.update(each["id"] for each in events)


def test_outboxes_that_meet_a_full_log_drain_without_loss_or_duplicates(home: Home, processes: Processes) -> None:
    producer, log = Producer(home, processes), home.topology.network.logging
    acknowledged: set[str] = set()
    met: Counter[str] = Counter()

    async def run(system: CareSystem) -> None:
        await producer.start(system)
        processes.start_with("logging", TIGHT)
        await answers(system.client, f"{log}/checkpoint")
        stop = asyncio.Event()
        tokens = TokenClient(producer.issuer, system.party.client_id, system.client)
        senders = [asyncio.create_task(flood(system, tokens, log, stop, acknowledged, met)) for _ in range(SENDERS)]
        said = home.path / "authorization.log"
        stops = [await producer.load()]
        while "the log answered 503 overloaded" not in said.read_text():  # the producer's own outbox meets it
            assert not any(task.done() for task in senders), [task.exception() for task in senders if task.done()]
            stops.append(await producer.load())
        for end in stops:
            await end()
        stop.set()
        await asyncio.gather(*senders)
        await until(lambda: producer.drained(system))
        await system.close()
        processes.kill_all()

    asyncio.run(asyncio.wait_for(run(care_system(home, PARTY)), 300))
    engine = sa.create_engine(settings.load(home.settings_file("logging")).tenants[0].database)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT seq, event_id, trace_id FROM event ORDER BY seq")).all()
    engine.dispose()
    assert met["503 overloaded"] > 0
    assert [row.seq for row in rows] == list(range(len(rows)))
    stored, logged = Counter(row.event_id for row in rows), Counter(row.trace_id for row in rows)
    assert {each: stored[each] for each in acknowledged if stored[each] != 1} == {}
    assert {trace: logged[trace] for trace in producer.answered if logged[trace] != 1} == {}
    assert verify(home).fault is None
