"""The exchange and every refusal, over real mTLS, with the audit events that each leaves behind."""

import asyncio
import json
import shlex
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from proeftuin.clock import instant
from proeftuin.pki.authority import Authority
from proeftuin.sandbox.ca import Ca
from proeftuin.sandbox.curl import script
from proeftuin.sandbox.demo import Demo
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.hops import Hops
from proeftuin.sandbox.refusals import ALL
from proeftuin.sandbox.seeding import care_system
from proeftuin.transparency import checkpoint, merkle
from proeftuin.transparency.checkpoint import Checkpoint
from proeftuin.transparency.tiles import hash_at
from tests.harness import told_wrong

REASONS = {
    "no consent": {"no_consent"},
    "consent withdrawn": {"consent_withdrawn"},
    "wrong role": {"role_not_allowed"},
    "another client": {"subject_mismatch"},
    "wider scope": {"insufficient_scope"},
    "expired token": {"token_expired"},
    "stolen token": {"token_binding"},
    "revoked certificate": {"certificate_revoked"},
    "revoked token": {"token_revoked"},
    "foreign token": {"token_issuer"},
    "replayed pseudonym": {"pseudonym_replayed"},
}


@pytest.fixture(scope="module")
def ca(request: pytest.FixtureRequest, network: Home) -> Ca:
    """A hand on the network's CA."""
    return Ca(network, shlex.split(request.config.getoption("--pki")))


@pytest.fixture(scope="module")
def before(network: Home) -> Checkpoint:
    """What the log had signed before the demonstration."""
    return signed(network)


@pytest.fixture(scope="module")
def played(network: Home, ca: Ca, before: Checkpoint) -> tuple[bool, Hops]:
    """The whole demonstration, played once."""
    hops = Hops()
    ok = asyncio.run(Demo(network, hops, ca).run())
    return ok, hops


@pytest.fixture(scope="module")
def log(network: Home, played: tuple[bool, Hops]) -> list[dict[str, Any]]:
    """Every event of the last hour, as each party reads its own from the log (ITI-81)."""

    async def of(party: str) -> list[dict[str, Any]]:
        system = care_system(network, party)
        try:
            await system.discover()
            token = await system.national_token("logging", "system/AuditEvent.rs")
            since = instant(datetime.now(UTC) - timedelta(hours=1))
            url = f"{system.services['logging']}/fhir/AuditEvent?date=ge{since}&_count=500"
            events = []
            while url:
                page = (await system.client.request("GET", url, token=token)).json()
                events += [entry["resource"] for entry in page.get("entry", [])]
                url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
            return events
        finally:
            await system.close()

    async def everyones() -> list[dict[str, Any]]:
        return [event for party in network.seed.parties for event in await of(party.id)]

    wanted = {*set().union(*REASONS.values()), "110126"}  # what is refused at TLS arrives last
    for _ in range(20):
        events = asyncio.run(everyones())
        told = {event.get("outcomeDesc", "").partition(":")[0] for event in events}
        if wanted <= told | {event.get("subtype", [{}])[0].get("code") for event in events}:
            break
        time.sleep(0.5)
    return events


def test_every_hop_ends_as_expected(played: tuple[bool, Hops]) -> None:
    ok, hops = played
    assert [hop.as_json() for hop in hops.all if not hop.ok] == []
    assert ok


def test_every_refusal_is_played() -> None:
    assert {refusal.__name__.replace("_", " ") for refusal in ALL} == REASONS.keys()


@pytest.mark.parametrize("scenario", REASONS)
def test_a_refusal_has_its_reason_code(played: tuple[bool, Hops], scenario: str) -> None:
    refused = {hop.reason for hop in played[1].all if hop.name == scenario and hop.reason != "ok"}
    assert refused == REASONS[scenario]


@pytest.mark.parametrize("reason", sorted(set().union(*REASONS.values())))
def test_a_refusal_has_its_audit_event(log: list[dict[str, Any]], reason: str) -> None:
    told = [event for event in log if event.get("outcomeDesc", "").startswith(f"{reason}:")]
    assert told
    assert all(event["outcome"] == "8" for event in told)


def test_tls_refusals_are_in_the_log(log: list[dict[str, Any]]) -> None:
    at_tls = [event for event in log if event.get("subtype", [{}])[0].get("code") == "110126"]
    assert any(event["outcomeDesc"].startswith("certificate_revoked:") for event in at_tls)


def test_each_end_of_the_exchange_tells_its_part(network: Home, played: tuple[bool, Hops], log: list[dict[str, Any]]) -> None:
    parts = cast(network.seed)
    trace = next(hop.trace_id for hop in played[1].all if hop.what == "read Condition")
    observers = {event["source"]["observer"].get("display") for event in log if trace in json.dumps(event.get("extension"))}
    services = {"register", "verwijsindex", "pseudoniemendienst", "toestemmingsregister", "stelsel"}
    names = {party.name for party in network.seed.parties if party.kind in services}
    assert observers >= names | {parts.hospital.name, parts.holder.name}


def test_every_event_of_the_network_is_what_it_claims_and_complete(log: list[dict[str, Any]]) -> None:
    assert len(log) > 100
    assert [(each["type"]["code"], each["subtype"][0]["code"], told_wrong(each)) for each in log if told_wrong(each)] == []


def test_a_party_judges_its_own_events_from_the_shell(network: Home, log: list[dict[str, Any]]) -> None:
    command = [sys.executable, "-m", "proeftuin", "log", "conformance", "--party", cast(network.seed).holder.id]
    done = subprocess.run([*command, "--home", str(network.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "are what they claim and complete" in done.stdout


def test_the_log_of_before_is_a_part_of_the_log_of_now(network: Home, played: tuple[bool, Hops], before: Checkpoint) -> None:
    """The root of then and that of now follow from the same tiles, as any party can fetch them."""
    after = signed(network)
    assert after.size > before.size + 100
    with client(network, "ziekenhuis-de-linde") as caller:

        def tile(level: int, position: int) -> bytes:
            width = min(256, (after.size >> 8 * level) - 256 * position)
            place = f"{network.topology.network.logging}/tile/{level}/{position:03}"
            return caller.get(place if width == 256 else f"{place}.p/{width}").content

        read = hash_at(tile)
        assert merkle.root(before.size, read) == before.root
        assert merkle.root(after.size, read) == after.root


def test_no_log_line_shows_a_client(network: Home, played: tuple[bool, Hops]) -> None:
    text = (network.path / "network.log").read_text()
    assert [client.family for client in network.seed.clients if client.bsn in text] == []


def test_the_data_is_the_clients_own(network: Home) -> None:
    parts = cast(network.seed)

    async def run() -> dict[str, Any]:
        system = care_system(network, parts.hospital.id)
        try:
            return await Exchange(system, parts).run()
        finally:
            await system.close()

    data = asyncio.run(run())
    (patient,) = [entry["resource"] for entry in data["Patient"]["entry"]]
    assert {each["value"] for each in patient["identifier"] if each["system"].endswith("/bsn")} == {parts.client}
    for kind in ("Condition", "MedicationRequest", "CarePlan"):
        subjects = {entry["resource"]["subject"]["reference"] for entry in data[kind]["entry"]}
        assert subjects == {f"Patient/{patient['id']}"}


def signed(home: Home) -> Checkpoint:
    """The newest checkpoint of the log, after its signature is verified."""
    logging = home.topology.network.logging
    with client(home, "ziekenhuis-de-linde") as caller:
        return checkpoint.verify(caller.get(f"{logging}/checkpoint").text, caller.get(f"{logging}/key").text)


def client(home: Home, party: str | None, folder: Path | None = None, name: str = "certificate") -> httpx.Client:
    """Return a plain HTTP client, of another make than the one that the services use."""
    context = ssl.create_default_context(cafile=home.ca_bundle)
    if party is not None:
        where = folder or home.party_folder(party)
        context.load_cert_chain(where / f"{name}.pem", where / f"{name}.key")
    return httpx.Client(verify=context, trust_env=False)


def test_no_certificate_is_refused_by_a_tls_alert_that_names_it(network: Home) -> None:
    with client(network, None) as caller, pytest.raises(httpx.TransportError, match=r"(?i)certificate.required"):
        caller.get(f"{network.topology.network.addressing}/health")


def test_an_expired_certificate_is_refused_by_a_tls_alert_that_names_it(network: Home, ca: Ca) -> None:
    ca.issue("ziekenhuis-de-linde", "expired", datetime.now(UTC) - timedelta(days=1))
    with (
        client(network, "ziekenhuis-de-linde", name="expired") as caller,
        pytest.raises(httpx.TransportError, match=r"(?i)certificate.expired"),
    ):
        caller.get(f"{network.topology.network.addressing}/health")


def test_a_certificate_of_another_ca_is_refused_by_a_tls_alert_that_names_it(network: Home, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    other.create()
    party = network.seed.party("ziekenhuis-de-linde")
    other.issue(party, folder=tmp_path / "certificate")
    with (
        client(network, party.id, tmp_path / "certificate") as caller,
        pytest.raises(httpx.TransportError, match=r"(?i)unknown.ca|decrypt.error|bad.certificate"),
    ):
        caller.get(f"{network.topology.network.addressing}/health")


def test_every_instance_is_healthy(network: Home) -> None:
    with client(network, "ziekenhuis-de-linde") as caller:
        found = {each.name: caller.get(f"{each.base_url}/health").json()["status"] for each in network.topology.instances}
    assert set(found.values()) == {"up"}


def test_the_curl_commands_work_as_printed(network: Home, tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-e"], input=script(network), capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    *_, medication, plans = done.stdout.strip().splitlines()
    assert json.loads(medication)["entry"][0]["resource"]["resourceType"] == "MedicationRequest"
    assert json.loads(plans)["entry"][0]["resource"]["resourceType"] == "CarePlan"
