"""Measure authorization: the store of grants, small against large, and the token endpoint against oidc-provider (node)."""

import asyncio
import json
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from proeftuin.storage.database import Database
from services.authorization import store
from services.authorization.grants import GRANT, Ground
from tests.faults.processes import ROOT, Processes, answers

SIZES = (1_000, 1_000_000)
ROUNDS, CALLS = 7, 200
CONNECTIONS, WARM_UP, TURNS, TURN = 16, 10.0, 5, 2.0
OIDC_PROVIDER = {"jose": "6.2.18", "oidc-provider": "9.13.3"}


def filled(folder: Path, size: int) -> Database:
    """Return a store of `size` grants: of 200 holders, each on a certificate and a consent, on average ten to a client of care."""
    database = Database(f"sqlite:///{folder / f'grants-{size}'}.sqlite")
    expires = int(time.time()) + 86400
    grants = f"""
        INSERT INTO issued_grant (jti, door, client_id, principal, actors, subject, audience, scope, legal_basis, bound_by,
                                  bound_to, issued_at, expires_at)
        SELECT printf('%022d', i), 'client_credentials', 'ura:' || i % 200, 'ura:' || i % 200, '', printf('%064x', i / 10),
               'https://localhost:8471/x', 'patient/Patient.rs', 'consent', 'x5t#S256', printf('%043d', i % 200),
               {expires - 300}, {expires} FROM n
    """  # noqa: S608 - numbers of our own
    ground = "INSERT INTO grant_ground (jti, kind, id, since) SELECT printf('%022d', i), "
    with database.engine.begin() as connection:
        store.metadata.create_all(connection)
        for statement in (
            grants,
            ground + "'grant', printf('%022d', i), 0 FROM n",
            ground + "'certificate', 'CA#' || i % 200, 0 FROM n",
            ground + "'consent', 'Consent/' || i / 10, 0 FROM n",
        ):
            counted = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1) "
            connection.exec_driver_sql(counted + statement, (size,))
        connection.exec_driver_sql("ANALYZE")
    return database


async def scaling(folder: Path) -> dict[str, dict[int, list[float]]]:
    """Return, for introspection and revocation, the median milliseconds in each round, by the size of the store."""
    stores = {size: filled(folder, size) for size in SIZES}
    found: dict[str, dict[int, list[float]]] = {name: {size: [] for size in SIZES} for name in ("introspection", "revocation")}
    for _ in range(ROUNDS):
        for size, database in stores.items():  # in turns, so that a noisy moment meets both
            jtis = [f"{random.randrange(size):022d}" for _ in range(CALLS)]  # noqa: S311 - which ones is no secret
            calls: dict[str, Callable[[str], Awaitable[object]]] = {
                "introspection": lambda jti, at=database: at.read(store.standing, jti),  # type: ignore[misc] # bound at once
                "revocation": lambda jti, at=database: at.write(store.end, Ground(GRANT, jti), "ura:1", datetime.now(UTC)),  # type: ignore[misc]
            }
            for name, call in calls.items():
                found[name][size].append(statistics.median([await timed(call, jti) for jti in jtis]))
    for database in stores.values():
        await database.close()
    return found


async def timed(call: Callable[[str], Awaitable[object]], jti: str) -> float:
    """Return the milliseconds of one call."""
    started = time.perf_counter()
    await call(jti)
    return (time.perf_counter() - started) * 1000


def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the ratios (one for each round) and the figures of the store of grants."""
    found = asyncio.run(scaling(folder))
    small, large = SIZES
    ratios = {
        f"grants: {name} among {large:,} / among {small:,}": [b / a for a, b in zip(by[small], by[large], strict=True)]
        for name, by in found.items()
    }
    figures = {f"grants: {name} among {size:,} (ms)": statistics.median(by[size]) for name, by in found.items() for size in SIZES}
    return ratios, figures


def against_oidc_provider(folder: Path, port: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the rate of our token endpoint over that of oidc-provider, each a process of its own; nothing without node.

    Ours has the log of its events beside it, in a third process.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return {}, {}
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": OIDC_PROVIDER}))
    shutil.copy(Path(__file__).parent / "oidc_provider.mjs", folder)
    install = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode != 0:  # noqa: S603 - our own command
        return {}, {}
    home = Home(folder / "tokens")
    home.prepare(ROOT / "parties.toml", port)
    hospital, server = cast(home.seed).hospital, home.instance_folder("authorization")
    parts = {
        "port": port + 99, "client_id": hospital.client_id, "scope": "nvi:localize", "certificate": str(server / "server.pem"),
        "key": str(server / "server.key"),
        "ca": [str(path) for path in home.trust.glob("*.pem") if not path.name.endswith(".crl.pem")],
    }  # fmt: skip
    processes = Processes(home)
    command = [node, "oidc_provider.mjs", json.dumps(parts)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:  # noqa: S603
        try:
            for name in ("authorization", "logging"):
                processes.start(name)
            assert other.stdout is not None  # noqa: S101 - it is a pipe
            while other.stdout.readline().strip() != "ready":
                if other.poll() is not None:
                    return {}, {}
            ours, theirs = asyncio.run(_rates(home, f"https://localhost:{port + 99}/token"))
        finally:
            other.terminate()
            processes.kill_all()
    name = "token endpoint / oidc-provider's, which stores in memory and logs nothing"
    figures = {"oidc-provider (requests/s)": statistics.median(theirs), "ours beside it (requests/s)": statistics.median(ours)}
    return {name: [a / b for a, b in zip(ours, theirs, strict=True)]}, figures


async def _rates(home: Home, other: str) -> tuple[list[float], list[float]]:
    """Return the tokens per second of ours and of the other in each turn, after both were warmed up."""
    network = home.topology.network
    system = care_system(home, cast(home.seed).hospital.id)
    peers = system.client.peers  # what is measured is the server, not what the caller logs
    await answers(system.client, f"{network.issuer}/jwks")
    form = {
        "grant_type": "client_credentials", "client_id": system.party.client_id, "scope": "nvi:localize",
        "resource": network.localization,
    }  # fmt: skip

    async def rate(url: str, seconds: float) -> float:
        done, end = 0, time.perf_counter() + seconds

        async def worker() -> None:
            nonlocal done
            while time.perf_counter() < end:
                answer = await peers.request("POST", url, form=form)
                assert answer.status == 200, answer.body  # noqa: S101 - a failing call would be a false figure
                done += 1

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
        return done / seconds

    urls = (f"{network.issuer}/token", other)
    for url in urls:
        await rate(url, WARM_UP)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for url, rates in zip(urls, found, strict=True):
            rates.append(await rate(url, TURN))
            await asyncio.sleep(1)  # the events that ours leaves are delivered
    await system.close()
    return found
