"""The console over the running network: every hop that the demonstration made stands in it, as the demonstration saw it."""

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from proeftuin.sandbox.ca import Ca
from proeftuin.sandbox.demo import Demo
from proeftuin.sandbox.exchange import Exchange, cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.hops import Hop, Hops
from proeftuin.sandbox.seeding import care_system
from proeftuin.tape.redaction import decode


@pytest.fixture(scope="module")
def recorded(network: Home, request: pytest.FixtureRequest) -> Home:
    """The network, if it records: containers do not."""
    if request.config.getoption("--home") and not network.tape.path.exists():
        pytest.skip("this network has no tape")
    return network


@pytest.fixture(scope="module")
def played(recorded: Home) -> list[Hop]:
    """Every hop of the demonstration, played once, that was a request of its own."""
    hops = Hops()
    asyncio.run(Demo(recorded, hops, Ca(recorded)).run())
    return [hop for hop in hops.all if hop.target != "itself"]


def ask(home: Home, path: str, **parameters: str) -> Any:
    answer = httpx.get(f"{home.topology.console}{path}", params=parameters, headers={"accept": "application/json"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def shown(recorded: Home, played: list[Hop]) -> dict[str, list[dict[str, Any]]]:
    """What the console has of each exchange of the demonstration, once both ends of every hop of it are in the log."""
    found: dict[str, list[dict[str, Any]]] = {}
    for trace in {hop.trace_id for hop in played}:
        for _ in range(30):
            found[trace] = ask(recorded, f"/exchanges/{trace}")["hops"]
            calls = sum(hop.trace_id == trace for hop in played)
            if len([hop for hop in found[trace] if hop["depth"] == 0]) >= calls and not list(missing(found[trace])):
                break
            time.sleep(0.5)
    return found


def missing(hops: list[dict[str, Any]]) -> Any:
    """Every hop of which an end has no event in the log, but should; keys and metadata are not logged, TLS by the caller."""
    for hop in hops:
        if not re.search(r"/(key|jwks)$|/\.well-known/", hop["what"]) and not (
            hop["audit_events"]["calling"] and (hop["tls"] or hop["audit_events"]["serving"])
        ):
            yield hop["number"], hop["what"], {name: len(each) for name, each in hop["audit_events"].items()}


def test_every_hop_is_shown_with_the_reason_that_the_caller_saw(played: list[Hop], shown: dict[str, list[dict[str, Any]]]) -> None:
    for trace, hops in shown.items():
        seen = [(hop.status, hop.reason) for hop in played if hop.trace_id == trace]
        told = [(hop["status"], hop["reason"] or "ok") for hop in hops if hop["depth"] == 0]
        rest = iter(told)  # who waits for the log asks more often than the demonstration tells
        assert all(hop in rest for hop in seen), (trace, seen, told)
        assert [hop for hop in told if hop[1] != "ok"] == [hop for hop in seen if hop[1] != "ok"]


def test_both_ends_of_every_hop_logged_it(shown: dict[str, list[dict[str, Any]]]) -> None:
    assert {trace: list(missing(hops)) for trace, hops in shown.items()} == {trace: [] for trace in shown}


def test_every_refusal_says_what_to_change(played: list[Hop], shown: dict[str, list[dict[str, Any]]]) -> None:
    refused = [hop for hops in shown.values() for hop in hops if hop["reason"]]
    assert {hop["reason"] for hop in refused} == {hop.reason for hop in played} - {"ok"}
    assert [hop["what"] for hop in refused if not (hop["explanation"]["change"] and hop["explanation"]["found"])] == []


def test_calls_within_a_call_stand_under_it(shown: dict[str, list[dict[str, Any]]]) -> None:
    nested = {
        (hop["from"]["role"], hop["what"].rpartition("/")[2], hop["to"]["role"])
        for hops in shown.values()
        for hop in hops
        if hop["depth"]
    }
    assert {("authorization", "decisions", "consent"), ("datastation", "decisions", "consent")} <= nested
    assert ("datastation", "introspect", "authorization") in nested


def test_nothing_that_can_be_used_again_is_kept(recorded: Home, played: list[Hop]) -> None:
    """No compact token with a signature stands anywhere in the tape's files, in a page or in an export."""
    written = ""
    for name in ("tape.sqlite-wal", "tape.sqlite"):  # the first goes into the second when the last connection closes
        with contextlib.suppress(FileNotFoundError):
            written += (recorded.path / name).read_bytes().decode("utf-8", "replace")
    for suffix in ("", ".har", ".mmd"):
        written += httpx.get(f"{recorded.topology.console}/exchanges/{played[0].trace_id}{suffix}", timeout=30).text
    found = [each for each in re.findall(r"[\w-]{8,}\.[\w-]{8,}\.[\w-]{16,}", written) if decode(each)]
    assert found == []
    assert "PRIVATE KEY" not in written
    assert recorded.tape.path.stat().st_mode & 0o777 == 0o600


def test_a_handshake_without_a_certificate_is_listed(recorded: Home) -> None:
    context = ssl.create_default_context(cafile=recorded.ca_bundle)
    with httpx.Client(verify=context, trust_env=False) as caller, pytest.raises(httpx.TransportError):
        caller.get(f"{recorded.topology.network.addressing}/health")
    for _ in range(20):
        listed = ask(recorded, "/", reason="certificate_missing")["exchanges"]
        if listed:
            break
        time.sleep(0.2)
    (hop,) = ask(recorded, f"/exchanges/{listed[0]['trace']}")["hops"]
    assert hop["tls"]
    assert "--cert" in hop["remedy"]


def test_the_tail_tells_of_a_request_while_it_listens(recorded: Home) -> None:
    parts = cast(recorded.seed)

    async def read(lines: AsyncIterator[str]) -> dict[str, Any]:
        async for line in lines:
            if line.startswith("data: "):
                told = json.loads(line.removeprefix("data: "))
                if told["what"].endswith("/decisions"):
                    return dict(told)
        raise AssertionError("the tail ended")

    async def run() -> dict[str, Any]:
        system = care_system(recorded, parts.hospital.id)
        url = f"{recorded.topology.console}/live/events?party={parts.holder.name}"
        try:
            async with httpx.AsyncClient(timeout=30) as browser, browser.stream("GET", url) as answer:
                lines = answer.aiter_lines()
                await anext(lines)
                await Exchange(system, parts).run()
                return await asyncio.wait_for(read(lines), 20)
        finally:
            await system.close()

    told = asyncio.run(run())
    assert told["from"] == parts.holder.name
    assert told["reason"] is None
