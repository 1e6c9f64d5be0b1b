"""Measure the network against its own parts, in one run: `make bench` prints the figures and writes docs/benchmarks.md."""

import asyncio
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from proeftuin.sandbox import running, seeding
from proeftuin.sandbox.ca import Ca
from proeftuin.sandbox.demo import Demo
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.hops import Hops
from proeftuin.transport.client import PeerClient
from tests.faults.processes import event

ROOT = Path(__file__).parent.parent
PAGE = """# Benchmarks

Made by `make bench`, in one run; only the ratios travel to another machine. All services in one process and the caller in
another, {cores} cores, Python {python}, SQLite with synchronous=FULL, {connections} connections for rates. A hop is measured
inside the exchange, as its caller sees it, nested calls included: the first ratio shows only the time between hops, not their cost
over bare ones. The bare route is the guarded JWKS.

| what | value |
|---|---|
{rows}
"""
ROUNDS, CONNECTIONS, SECONDS = 40, 16, 5.0


async def rate(call: Callable[[], Awaitable[object]]) -> float:
    """Return how often `call` succeeds in a second, with CONNECTIONS at once."""
    done, end = 0, time.perf_counter() + SECONDS

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return done / SECONDS


async def measure(home: Home) -> dict[str, float]:
    """Return the figures of a running, filled network."""
    parts, hops = cast(home.seed), Hops()
    system = Demo(home, hops, Ca(home)).system(parts.hospital.id)
    await Exchange(system, parts).run()  # warm
    whole: list[float] = []
    raw: dict[str, list[float]] = {}
    network = home.topology.network
    for _ in range(ROUNDS):
        hops.all.clear()
        exchange = Exchange(system, parts)
        started = time.perf_counter()
        await exchange.run()
        whole.append((time.perf_counter() - started) * 1000)
        for number, hop in enumerate(hops.all):
            raw.setdefault(f"{number} {hop.what}", []).append(hop.milliseconds)
    audit = await system.token(network.issuer, network.logging, "system/AuditEvent.c")
    bare = await rate(lambda: get(system.client, f"{network.issuer}/jwks"))
    form = {
        "grant_type": "client_credentials",
        "client_id": system.party.client_id,
        "scope": "nvi:localize",
        "resource": network.localization,
    }
    tokens = await rate(lambda: post(system.client, f"{network.issuer}/token", form=form))
    events = await rate(
        lambda: post(
            system.client, f"{network.logging}/fhir/AuditEvent", content=event(str(uuid.uuid4())), token=audit,
            content_type="application/fhir+json",
        )
    )  # fmt: skip
    await system.close()
    return {
        "exchange p50 (ms)": statistics.median(whole),
        "sum of its hops' p50 (ms)": sum(statistics.median(each) for each in raw.values()),
        "bare guarded route (requests/s)": bare,
        "token endpoint (requests/s)": tokens,
        "audit POST (requests/s)": events,
    }


async def get(client: PeerClient, url: str) -> None:
    """Make a call that must succeed."""
    assert (await client.request("GET", url)).status == 200  # noqa: S101 - a failing call would be a false figure


async def post(client: PeerClient, url: str, **rest: object) -> None:
    """Make a call that must succeed."""
    answer = await client.request("POST", url, **rest)  # type: ignore[arg-type] # the keywords of PeerClient.request
    assert answer.status in (200, 201), answer.body  # noqa: S101 - a failing call would be a false figure


def memory(pid: int) -> float:
    """Return the proportional set size of a process in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    """Run everything once and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.prepare(ROOT / "parties.toml", 9540)
        started = time.perf_counter()
        running.start(home, processes=False)
        up = time.perf_counter() - started
        try:
            asyncio.run(seeding.seed(home))
            figures = asyncio.run(measure(home))
            figures |= {"start-up (s)": up, "memory, PSS (MB)": memory(running.pid_of(home) or 0)}
        finally:
            running.stop(home)
    bare = figures["bare guarded route (requests/s)"]
    ratios = {
        "exchange / its hops": figures["exchange p50 (ms)"] / figures["sum of its hops' p50 (ms)"],
        "token endpoint / bare route": figures["token endpoint (requests/s)"] / bare,
        "audit POST / bare route": figures["audit POST (requests/s)"] / bare,
    }
    rows = [f"| {name} | {value:.2f} |" for name, value in ratios.items()] + [
        f"| {name} | {value:.1f} |" for name, value in figures.items()
    ]
    page = PAGE.format(cores=os.cpu_count(), python=sys.version.split()[0], connections=CONNECTIONS, rows="\n".join(rows))
    (ROOT / "docs" / "benchmarks.md").write_text(page)
    print(page)  # noqa: T201 - it is the output of the command


if __name__ == "__main__":
    main()
