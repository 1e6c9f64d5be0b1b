"""kill -9 of the log under load: what was acknowledged is there, once, and the tree still verifies."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proeftuin.sandbox.home import Home
from proeftuin.sandbox.log_verification import verify
from proeftuin.sandbox.seeding import care_system
from proeftuin.transport.client import PeerClient, Unreachable

ROOT = Path(__file__).parent.parent.parent
ROUNDS = int(os.environ.get("PROEFTUIN_KILL_ROUNDS", "20"))
PARTY = "ziekenhuis-de-linde"


def serve(home: Home, name: str) -> subprocess.Popen[bytes]:
    """Start one instance in a process of its own."""
    command = [sys.executable, "-m", "proeftuin", "serve", name, "--home", str(home.path)]
    with (home.path / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """The log and the authorization server that its callers need, nothing else."""
    home = Home(tmp_path / "home")
    home.prepare(ROOT / "parties.toml", 8840)
    issuer = serve(home, "authorization")
    try:
        yield home
    finally:
        issuer.kill()
        issuer.wait()


def event(number: str) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent", "id": number, "recorded": "2026-06-01T12:00:00.000Z", "outcome": "0",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": True, "who": {"display": "load"}}], "source": {"observer": {"display": "load"}},
    }  # fmt: skip


async def answers(client: PeerClient, url: str) -> None:
    """Wait until an instance answers."""
    while True:
        try:
            await client.request("GET", url)
            return
        except Unreachable:
            await asyncio.sleep(0.05)


async def send(client: PeerClient, url: str, token: str, acknowledged: set[str], stop: asyncio.Event) -> None:
    """Send events one after the other; a repeat of one that got no answer keeps its id, as an outbox does."""
    number = str(uuid.uuid4())
    while not stop.is_set():
        try:
            answer = await client.request("POST", url, content=event(number), token=token, content_type="application/fhir+json")
        except Unreachable:
            await asyncio.sleep(0.02)
            continue
        assert answer.status in (200, 201), answer.body
        acknowledged.add(number)
        number = str(uuid.uuid4())


def test_nothing_acknowledged_is_lost_by_kill_9(home: Home) -> None:
    network, chance = home.topology.network, random.Random(7513)
    acknowledged: set[str] = set()

    async def run() -> None:
        system = care_system(home, PARTY)
        await answers(system.client, f"{network.issuer}/jwks")
        token = await system.token(network.issuer, network.logging, "system/AuditEvent.c")
        assert token is not None
        stop = asyncio.Event()
        load = [
            asyncio.create_task(send(system.client, f"{network.logging}/fhir/AuditEvent", token, acknowledged, stop))
            for _ in range(16)
        ]
        for _ in range(ROUNDS):
            logging = serve(home, "logging")
            try:
                await answers(system.client, f"{network.logging}/checkpoint")
                enough = len(acknowledged) + chance.randrange(20, 200)
                while len(acknowledged) < enough:  # noqa: ASYNC110 - the load counts, and asks for no event
                    await asyncio.sleep(0.005)
            finally:
                logging.send_signal(signal.SIGKILL)
                logging.wait()
        stop.set()
        await asyncio.gather(*load)
        await system.close()

    asyncio.run(asyncio.wait_for(run(), 600))
    path = home.instance_folder("logging") / "tenants" / "logboek" / "logging.sqlite"
    with sqlite3.connect(path) as connection:
        stored = [row[0] for row in connection.execute("SELECT event_id FROM event ORDER BY seq")]
    assert len(stored) == len(set(stored))
    assert acknowledged - set(stored) == set()
    report = verify(home)
    assert (report.fault, report.events) == (None, len(stored))
