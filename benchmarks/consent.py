"""Measure a decision of consent over mTLS in a register of a million consents, against a guarded route with one indexed read."""

import asyncio
import json
import statistics
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.intake import timed
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system, client_token, consent_resource
from proeftuin.settings import load
from proeftuin.storage.migrations import ensure_database, upgrade
from services.consent import store
from tests.faults.processes import ROOT, Processes, answers

CONSENTS, TURNS, CALLS, PORT = 1_000_000, 5, 60, 9840


def fill(home: Home) -> None:
    """Put CONSENTS consents of other clients, five of each, in the register before it starts."""
    settings = load(home.settings_file("consent")).tenants[0]
    ensure_database(settings.database)
    engine = sa.create_engine(settings.database)
    upgrade(engine, ROOT / "services" / "consent" / "migrations")
    sample = json.dumps(consent_resource(home.seed, home.seed.consents[0]))
    rows = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1) INSERT INTO consent_version"
        " (id, version, patient_token, recorded, resource) SELECT printf('%036d', i), 1, printf('%064d', i / 5),"
        " '2026-01-01T00:00:00.000Z', ? FROM n"
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(rows, (CONSENTS, sample))
        stored = connection.scalar(sa.select(sa.func.count()).select_from(store.versions))
    engine.dispose()
    assert stored == CONSENTS  # noqa: S101 - a smaller register would be a false figure


async def run(home: Home) -> list[tuple[float, float]]:
    """Return the p50 in ms of a decision and of the guarded route, in each turn."""
    parts, network = cast(home.seed), home.topology.network
    holder, portal = care_system(home, parts.holder.id), care_system(home, parts.portal.id)
    await answers(holder.client, f"{network.issuer}/jwks")
    await answers(holder.client, f"{network.consent}/sandbox/levers")
    services = {
        "authorization": network.issuer, "consent": network.consent, "identity-clients": network.identity_clients,
        "logging": network.logging,
    }  # fmt: skip
    holder.know(services)
    portal.know(services)
    own = await client_token(portal, parts.client, "consent", "patient/Consent.cruds")
    given = next(each for each in home.seed.consents if each.client == parts.client)
    made = await portal.client.request(
        "POST", f"{network.consent}/fhir/Consent", content=consent_resource(home.seed, given), token=own,
        content_type="application/fhir+json",
    )  # fmt: skip
    assert made.status == 201, made.body  # noqa: S101 - as above
    token = await holder.national_token("consent", "consent:decide")
    question = {
        "patient": {"system": "http://fhir.nl/fhir/NamingSystem/bsn", "value": parts.client},
        "holder": {"ura": parts.holder.ura, "kind": parts.holder.kind},
        "user": {"ura": parts.hospital.ura, "kind": parts.hospital.kind}, "categories": ["Condition"], "purpose": "TREAT",
    }  # fmt: skip
    peers = holder.client.peers  # what is measured is the register, not what the caller logs

    async def decide() -> None:
        answer = await peers.request("POST", f"{network.consent}/decisions", content=question, token=token)
        assert answer.json()["decisions"][0]["outcome"] == "permit", answer.body  # noqa: S101 - as above

    async def bare() -> None:
        answer = await peers.request("GET", f"{network.consent}/sandbox/levers")
        assert answer.status == 200, answer.body  # noqa: S101 - as above

    turns = []
    for _ in range(TURNS + 1):  # the first one warms
        taken: list[tuple[float, float]] = [(await timed(decide()), await timed(bare())) for _ in range(CALLS)]
        turns.append((statistics.median(a for a, _ in taken), statistics.median(b for _, b in taken)))
    await holder.close()
    await portal.close()
    return turns[1:]


def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the ratios (one for each turn) and the figures."""
    home = Home(folder / "consent")
    home.prepare(ROOT / "parties.toml", PORT)
    fill(home)
    processes = Processes(home)
    try:
        for name in ("authorization", "consent", "logging"):
            processes.start(name)
        turns = asyncio.run(run(home))
    finally:
        processes.kill_all()
    ratios: dict[str, Any] = {
        f"consent: a decision among {CONSENTS:,} consents / guarded route with one indexed read, p50": [a / b for a, b in turns]
    }
    return ratios, {
        "consent: a decision, p50 (ms)": statistics.median(a for a, _ in turns),
        "consent: guarded route with one indexed read, p50 (ms)": statistics.median(b for _, b in turns),
    }
