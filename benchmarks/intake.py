"""Measure the door of the log over mTLS: events together against one by one, and an event against a bare insert over mTLS."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.log import delivery, make
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from tests.faults.processes import ROOT, Processes, answers

CONNECTIONS, TURNS, TURN = 16, 5, 1.5
CALLS = 60  # of each kind in a turn, one after the other
SCOPE, FHIR, BARE = "system/AuditEvent.c", "application/fhir+json", 9839


class Door:
    """A log with its authorization server, each in a process of its own, and a hospital that delivers."""

    def __init__(self, folder: Path, base_port: int, *, one_by_one: bool) -> None:
        self.home = Home(folder)
        self.home.prepare(ROOT / "parties.toml", base_port)
        self._processes = Processes(self.home)
        self._processes.start("authorization")
        self._own: subprocess.Popen[bytes] | None = None
        if one_by_one:
            command = [sys.executable, "-m", "benchmarks.one_by_one", str(self.home.settings_file("logging"))]
            self._own = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)  # noqa: S603 - of our own
        else:
            self._processes.start("logging")
        self.url = self.home.topology.network.logging
        self.system: CareSystem
        self._token: str | None = None

    async def open(self) -> None:
        """Wait until both answer, and have a token."""
        self.system = care_system(self.home, cast(self.home.seed).hospital.id)
        issuer = self.home.topology.network.issuer
        await answers(self.system.client, f"{issuer}/jwks")
        await answers(self.system.client, f"{self.url}/key")
        self._token = await self.system.token(issuer, self.url, SCOPE)

    async def post(self, body: bytes) -> None:
        """Deliver an event."""
        answer = await self.system.client.peers.request(
            "POST", f"{self.url}/fhir/AuditEvent", body=body, token=self._token, content_type=FHIR
        )
        assert answer.status == 201, answer.body  # noqa: S101 - a failing call would be a false figure

    async def close(self) -> None:
        """End what was started."""
        await self.system.close()
        if self._own is not None:
            self._own.kill()
            self._own.wait()
        self._processes.kill_all()


def bodies(folder: Path) -> Callable[[], bytes]:
    """Return what makes an event as the network writes it, each with an id of its own."""
    model = delivery(make(folder, "model")).document
    known = json.loads(model)["id"].encode()
    return lambda: model.replace(known, str(uuid.uuid4()).encode())


async def rate(door: Door, body: Callable[[], bytes]) -> float:
    """Return the durable events per second over CONNECTIONS."""
    done, end = 0, time.perf_counter() + TURN

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await door.post(body())
            done += 1

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return done / TURN


async def timed(call: Awaitable[None]) -> float:
    """Return the milliseconds of one call."""
    started = time.perf_counter()
    await call
    return (time.perf_counter() - started) * 1000


async def run(folder: Path) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the ratios (one for each turn) and the figures."""
    body = bodies(folder)
    together, each = Door(folder / "together", 9640, one_by_one=False), Door(folder / "each", 9740, one_by_one=True)
    command = [sys.executable, "-m", "benchmarks.bare", str(together.home.settings_file("logging")), str(folder), str(BARE)]
    bare = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)  # noqa: S603, ASYNC220 - of our own, before anything else runs
    rates: list[tuple[float, float]] = []
    turns: list[tuple[float, float]] = []

    async def insert(document: bytes) -> None:
        answer = await together.system.client.peers.request("POST", f"https://localhost:{BARE}/", body=document, content_type=FHIR)
        assert answer.status == 201, answer.body  # noqa: S101 - a failing call would be a false figure

    try:
        await together.open()
        await each.open()
        await asyncio.gather(*(rate(door, body) for door in (together, each)))  # warm
        for _ in range(TURNS):
            rates.append((await rate(together, body), await rate(each, body)))
            taken = [(await timed(together.post(body())), await timed(insert(body()))) for _ in range(CALLS)]
            turns.append((statistics.median(a for a, _ in taken), statistics.median(b for _, b in taken)))
    finally:
        bare.kill()
        bare.wait()
        await together.close()
        await each.close()
    ratios = {
        f"log over mTLS: events together / one by one, {CONNECTIONS} connections": [one / other for one, other in rates],
        "log over mTLS: POST of an event / bare route that inserts it, p50": [posted / inserted for posted, inserted in turns],
    }
    figures = {
        "log over mTLS: durable events per second, together": statistics.median(one for one, _ in rates),
        "log over mTLS: durable events per second, one by one": statistics.median(other for _, other in rates),
        "log over mTLS: POST of an event, p50 (ms)": statistics.median(posted for posted, _ in turns),
        "log over mTLS: bare route that inserts it, p50 (ms)": statistics.median(inserted for _, inserted in turns),
    }
    return ratios, figures


def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Run everything once."""
    return asyncio.run(run(folder))
