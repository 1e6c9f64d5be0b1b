"""Measure the network against its own parts, in one run: `make bench` prints the figures and writes docs/benchmarks.md."""

import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import authorization, consent, intake, log
from proeftuin.audit.outbox import GATHER
from proeftuin.sandbox import nursing_records, running, seeding
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.topology import Instance
from proeftuin.transport.client import Answer, PeerClient, Unreachable
from tests.faults.processes import event

ROOT = Path(__file__).parent.parent
PAGE = """# Benchmarks

Made by `make bench`, in one run; only the ratios travel to another machine. All services in one process and the caller in
another, {cores} cores, Python {python}, SQLite with synchronous=FULL, {clients} clients in the holder's datastation.

- *exchange / its hops alone*: the warm exchange against the sum of its own hops, each made alone in a quiet network by the raw
  client, interleaved with the exchanges; nested calls are part of the hop that makes them. What is above 1 is what the exchange
  costs beyond its calls: the delivery of the audit events that it leaves behind, and the work of the caller.
- *exchange / bare requests*: the same against as many requests to a bare guarded mTLS route (the JWKS) as the exchange makes,
  the nested ones included: what finding, deciding, storing and logging cost over transport alone.
- *grants*: the store of an authorization server by itself, in rounds. *oidc-provider* is npm's, with the same grant (client
  credentials, mTLS, a bound ES256 JWT), where node is installed, both in a process of their own; ours stores grant and audit event
  durably before it answers, and delivers the event to a log on the same machine.
- *log over mTLS*: a log in a process of its own, against one that gives each event a commit of its own, in turns; and an event
  against a bare route over mTLS that inserts the same document durably, interleaved call by call (benchmarks/intake.py).
- *log*: the log by itself, on SQLite, without HTTP; benchmarks/log.py says how the logs are filled. It takes 8 GB for a while.
- rates: {connections} connections, in turns of {turn:g} s with the bare route; the ratio is that of each turn.

| ratio | median | least | most |
|---|---|---|---|
{ratios}

| figure | value |
|---|---|
{figures}
"""
ROUNDS, TURNS, TURN, CONNECTIONS, CLIENTS = 12, 5, 2.0, 16, 500
QUIET = 2.5 * GATHER  # seconds in which a network without callers delivers the events that it has


@dataclass(slots=True)
class Alone:
    """Stands between a care system that logs and its client: waits for a quiet network, and times each call alone."""

    client: PeerClient
    request_: Callable[..., Awaitable[Answer]] = field(init=False)
    milliseconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.request_ = self.client.request

    async def request(self, *args: Any, **kwargs: Any) -> Answer:  # noqa: ANN401 - passed on
        """Make the call."""
        await asyncio.sleep(QUIET)
        started = time.perf_counter()
        try:
            return await self.request_(*args, **kwargs)
        finally:
            self.milliseconds.append((time.perf_counter() - started) * 1000)

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()


async def exchanges(home: Home) -> tuple[list[float], list[float], list[float], float]:
    """Return, for each round: the milliseconds of an exchange, of its hops alone, of a bare request; and requests in one."""
    parts = cast(home.seed)
    system, quiet = (seeding.care_system(home, parts.hospital.id) for _ in range(2))
    await Exchange(system, parts).run()
    await Exchange(quiet, parts).run()  # warm, both
    await asyncio.sleep(1)
    alone = Alone(quiet.client.peers)
    quiet.client.peers = alone  # type: ignore[assignment] # it has the part of PeerClient that a care system uses
    whole: list[float] = []
    hops: list[float] = []
    bare: list[float] = []
    requests = -await handled(home, system.client.peers)
    for _ in range(ROUNDS):
        started = time.perf_counter()
        await Exchange(system, parts).run()
        whole.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(1)
        alone.milliseconds.clear()
        await Exchange(quiet, parts).run()
        hops.append(sum(alone.milliseconds))
        await asyncio.sleep(1)
        bare.append(
            statistics.median([await timed(system.client.peers, f"{home.topology.network.issuer}/jwks") for _ in range(20)])
        )
    requests += await handled(home, system.client.peers)
    await system.close()
    await quiet.close()
    return whole, hops, bare, requests / (2 * ROUNDS)


async def handled(home: Home, client: PeerClient) -> float:
    """Return how many requests the services handled so far, those of this measurement, and of the log and its witness, apart."""
    total = 0.0
    for instance in home.topology.instances:
        if instance.service not in ("logging", "witness"):
            text = (await client.request("GET", f"{instance.base_url}/metrics")).body.decode()
            lines = [line for line in text.splitlines() if line.startswith("proeftuin_requests_total{")]
            total += sum(float(line.rpartition(" ")[2]) for line in lines if not re.search('route="[^"]*(metrics|jwks)"', line))
    return total


async def timed(client: PeerClient, url: str) -> float:
    """Return the milliseconds of one call."""
    started = time.perf_counter()
    await succeed(client, "GET", url)
    return (time.perf_counter() - started) * 1000


async def rate(call: Callable[[], Awaitable[object]]) -> float:
    """Return how often `call` succeeds in a second, with CONNECTIONS at once."""
    done, end = 0, time.perf_counter() + TURN

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return done / TURN


async def rates(home: Home) -> dict[str, list[float]]:
    """Return the requests per second in each turn of the bare route, the token endpoint and the audit POST."""
    network = home.topology.network
    system = seeding.care_system(home, cast(home.seed).hospital.id)
    audit = await system.token(network.issuer, network.logging, "system/AuditEvent.c")
    form = {"grant_type": "client_credentials", "client_id": system.party.client_id, "scope": "nvi:localize",
            "resource": network.localization}  # fmt: skip
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "bare guarded route": lambda: succeed(system.client.peers, "GET", f"{network.issuer}/jwks"),
        "token endpoint": lambda: succeed(system.client.peers, "POST", f"{network.issuer}/token", form=form),
        "audit POST": lambda: succeed(
            system.client.peers, "POST", f"{network.logging}/fhir/AuditEvent", content=event(str(uuid.uuid4())), token=audit,
            content_type="application/fhir+json",
        ),
    }  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            found[name].append(await rate(call))
            await asyncio.sleep(1)  # the events of the token endpoint are delivered
    await system.close()
    return found


async def succeed(client: PeerClient, method: str, url: str, **rest: Any) -> None:  # noqa: ANN401 - passed on
    """Make a call that must succeed."""
    answer = await client.request(method, url, **rest)
    assert answer.status in (200, 201), answer.body  # noqa: S101 - a failing call would be a false figure


async def healthy(home: Home) -> None:
    """Wait until every instance answers to /health that it is up."""
    system = seeding.care_system(home, cast(home.seed).hospital.id)

    async def answers(instance: Instance) -> None:
        while True:
            try:
                if (await system.client.peers.request("GET", f"{instance.base_url}/health")).json()["status"] == "up":
                    return
            except (Unreachable, ValueError, KeyError):
                await asyncio.sleep(0.02)

    await asyncio.gather(*map(answers, home.topology.instances))
    await system.close()


async def fill(home: Home) -> None:
    """Fill the network, and the holder's datastation with CLIENTS clients."""
    await seeding.seed(home)
    holder = cast(home.seed).holder
    system: CareSystem = seeding.care_system(home, holder.id)
    known = len(home.seed.clients)
    for _, bundle in list(nursing_records.many(CLIENTS, holder))[known:]:
        await succeed(
            system.client.peers, "POST", f"{home.topology.datastation(holder.id)}/fhir", content=bundle,
            content_type="application/fhir+json",
        )  # fmt: skip
    await system.close()


def memory(pid: int) -> dict[str, float]:
    """Return resident and proportional set size of a process in MB."""
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return {
        f"memory, {name.upper()} (MB)": int(words[1]) / 1024 for words in lines for name in ("Rss", "Pss") if words[0] == f"{name}:"
    }


def row(name: str, values: list[float]) -> str:
    """Return a row of the table of ratios."""
    return f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |"


def main() -> None:
    """Run everything once and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.prepare(ROOT / "parties.toml", 9540)
        started = time.perf_counter()
        running.start(home, processes=False)
        try:
            asyncio.run(healthy(home))
            figures = {"start-up until every instance is healthy (s)": time.perf_counter() - started}
            asyncio.run(fill(home))
            whole, hops, bare, requests = asyncio.run(exchanges(home))
            found = asyncio.run(rates(home))
            figures |= memory(running.pid_of(home) or 0)
        finally:
            running.stop(home)
        of_other, figures_of_other = authorization.against_oidc_provider(Path(folder), 9740)
        of_grants, figures_of_grants = authorization.measure(Path(folder))
        over_mtls, figures_over_mtls = intake.measure(Path(folder))
        of_consent, figures_of_consent = consent.measure(Path(folder))
        of_log, figures_of_log = log.measure(Path(folder))
    ratios = [
        row("exchange / its hops alone", [each / alone for each, alone in zip(whole, hops, strict=True)]),
        row("exchange / bare requests", [each / (one * requests) for each, one in zip(whole, bare, strict=True)]),
        *(
            row(f"{name} / bare guarded route", [a / b for a, b in zip(found[name], found["bare guarded route"], strict=True)])
            for name in ("token endpoint", "audit POST")
        ),
        *(row(name, values) for name, values in (over_mtls | of_consent | of_other | of_grants | of_log).items()),
    ]
    figures = {
        "exchange p50 (ms)": statistics.median(whole),
        "its hops alone, p50 of the sum (ms)": statistics.median(hops),
        "requests in an exchange, nested ones included": requests,
        "bare request p50 (ms)": statistics.median(bare),
        **{f"{name} (requests/s)": statistics.median(values) for name, values in found.items()},
        **figures,
        **figures_of_other,
        **figures_of_grants,
        **figures_over_mtls,
        **figures_of_consent,
        **figures_of_log,
    }
    page = PAGE.format(
        cores=os.cpu_count(), python=sys.version.split()[0], connections=CONNECTIONS, turn=TURN, clients=CLIENTS,
        ratios="\n".join(ratios),
        figures="\n".join(f"| {name} | {value:.{1 if value >= 1 else 3}f} |" for name, value in figures.items()),
    )  # fmt: skip
    (ROOT / "docs" / "benchmarks.md").write_text(page)
    print(page)  # noqa: T201 - it is the output of the command


if __name__ == "__main__":
    main()
