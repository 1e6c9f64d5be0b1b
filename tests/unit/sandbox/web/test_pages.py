"""The pages: for this machine's browser alone, everything in them escaped, and what they say of a refusal."""

import json
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from proeftuin.audit.record import System
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.web import app as web
from proeftuin.sandbox.web.app import Section, create_app
from proeftuin.sandbox.web.explain import explain, token_rows
from proeftuin.sandbox.web.live import _stream
from proeftuin.tape.store import Wanted
from proeftuin.transport.tracing import Trace
from tests.conftest import ROOT
from tests.unit.sandbox.web.exchanges import exchange
from tests.unit.tape.taping import entry
from tests.unit.tape.test_redaction import segment, token

pytestmark = pytest.mark.anyio
HOSTILE = "\"'><script>alert(1)</script>"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A sandbox folder without a network: no party has a certificate in it, so that the log is not asked."""
    (tmp_path / "parties.toml").write_text((ROOT / "parties.toml").read_text())
    (tmp_path / "network.json").write_text(json.dumps({"base_port": 8440}))
    return Home(tmp_path)


@pytest.fixture
async def browser(home: Home) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(home))
    async with httpx.AsyncClient(transport=transport, base_url=home.topology.console) as client:
        yield client


class Tags(HTMLParser):
    """Every element of a page that could run something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or name == "style" or (value or "").lower().lstrip().startswith("javascript:"):
                self.found.append(f"{tag} {name}")
        if tag in ("script", "iframe", "object", "embed") and dict(attrs).get("src") != "/static/live.js":
            self.found.append(tag)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8520",
        "localhost",
        "localhost:8521",
        "localhost.evil.example:8520",
        "127.0.0.1.nip.io:8520",
        "",
    ],
)
async def test_another_host_is_refused(browser: httpx.AsyncClient, host: str) -> None:
    answer = await browser.get("/", headers={"host": host})
    assert (answer.status_code, answer.json()["reason"]) == (421, "unknown_host")


@pytest.mark.parametrize("host", ["localhost:8520", "127.0.0.1:8520", "[::1]:8520", "LOCALHOST:8520"])
async def test_this_machine_is_served(browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://localhost:8520", "http://localhost:8521", "http://127.0.0.1:8520"]
)
async def test_a_change_from_elsewhere_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch, origin: str | None) -> None:
    changed: list[str] = []

    def router(_home: Home) -> APIRouter:
        routes = APIRouter()

        @routes.post("/change")
        async def change() -> str:
            changed.append("it")
            return "changed"

        return routes

    monkeypatch.setattr(web, "SECTIONS", (*web.SECTIONS, Section("Change", "/change", router)))
    transport = httpx.ASGITransport(create_app(home))
    async with httpx.AsyncClient(transport=transport, base_url=home.topology.console) as client:
        refused = await client.post("/change", headers={} if origin is None else {"origin": origin})
        assert (refused.status_code, refused.json()["reason"], changed) == (403, "foreign_origin", [])
        assert (await client.post("/change", headers={"origin": home.topology.console})).status_code == 200
    assert changed == ["it"]


@pytest.mark.parametrize("path", ["/", "/live", "/static/console.css", "/static/live.js", "/none", "/exchanges/x", "/?status=x"])
async def test_every_answer_is_protected(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


async def test_it_says_that_it_is_a_sandbox(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/live", "/none"):
        assert "fictitious" in (await browser.get(path)).text


async def test_hostile_values_are_escaped_everywhere(home: Home, browser: httpx.AsyncClient) -> None:
    trace = Trace.new()
    hostile = System(("urn:x", HOSTILE), HOSTILE, HOSTILE)
    raw = token(
        {"aud": HOSTILE, HOSTILE: HOSTILE, "exp": HOSTILE, "cnf": HOSTILE, "extensions": {"ihe_iua": HOSTILE}}, segment(b"s" * 40)
    )
    home.tape.append(
        [
            entry(
                trace=trace, path=f"/{HOSTILE}", query=HOSTILE, status=422, reason=reason, detail=HOSTILE,
                caller=hostile, server=hostile, headers={"x-hostile": HOSTILE, "authorization": f"Bearer {raw}"},
                details={"decision": HOSTILE},
                asked=json.dumps({HOSTILE: HOSTILE}).encode(), answered=HOSTILE.encode(), service="authorization",
            )
            for reason in ("profile", "token_binding", "token_expired", "subject_mismatch", "role_not_allowed")
        ]
    )  # fmt: skip
    asked = (f"/?party={HOSTILE}&reason={HOSTILE}", f"/live?party={HOSTILE}", f"/{HOSTILE}", f"/open?trace={HOSTILE}")
    for path in ("/", "/live", f"/exchanges/{trace.trace_id}", *asked):
        answer = await browser.get(path)
        tags = Tags()
        tags.feed(answer.text)
        assert tags.found == [], path
        assert "<script>" not in answer.text
    assert "&lt;script&gt;" in (await browser.get(f"/exchanges/{trace.trace_id}")).text


ODD = {
    "no number": b'{"a": NaN}',
    "an endless number": b'{"a": 1e999, "b": -Infinity}',
    "half a character": b'{"a": "\\ud800", "\\udfff": 1}',
    "nested": b"[" * 5000,
    "many digits": b"9" * 20000,
    "no text": b"\xff\xfe",
    "nul": b'"\\u0000"',
}


@pytest.mark.parametrize("odd", ODD)
async def test_whatever_was_sent_can_be_shown(home: Home, browser: httpx.AsyncClient, odd: str) -> None:
    trace = Trace.new()
    raw = ".".join(map(segment, (b'{"alg":"ES256"}', ODD[odd], b"s" * 40)))
    sent = {"authorization": f"Bearer {raw}"}
    home.tape.append([entry(trace=trace, asked=ODD[odd], answered=ODD[odd], headers=sent, status=400, reason="malformed")])
    own = f"/exchanges/{trace.trace_id}"
    for path in ("/", "/live", own, f"{own}.har", f"{own}.mmd"):
        for accept in ("text/html", "application/json"):
            assert (await browser.get(path, headers={"accept": accept})).status_code == 200, path


async def test_an_exchange_is_found_and_shown(home: Home, browser: httpx.AsyncClient) -> None:
    trace = Trace.new()
    home.tape.append([entry(trace=trace, status=403, reason="no_consent", detail="no permit for Condition")])
    listed = (await browser.get("/?reason=no_consent", headers={"accept": "application/json"})).json()
    assert [each["trace"] for each in listed["exchanges"]] == [trace.trace_id]
    page = (await browser.get(f"/exchanges/{trace.trace_id}")).text
    assert "no permit for Condition" in page
    assert "ask the client, who decides" in page
    shown = (await browser.get(f"/exchanges/{trace.trace_id}", headers={"accept": "application/json"})).json()
    assert shown["hops"][0]["reason"] == "no_consent"
    assert (await browser.get(f"/exchanges/{trace.trace_id}.har")).json()["log"]["version"] == "1.2"
    assert (await browser.get(f"/exchanges/{trace.trace_id}.mmd")).text.startswith("sequenceDiagram")


@pytest.mark.parametrize(
    "path", ["/?trace=xyz", "/?status=abc", "/?since=yesterday", "/?before=x", "/live?status=-1", "/live/events?after=x"]
)
async def test_what_cannot_be_searched_for_is_told(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 400
    assert "<h1>" in answer.text


async def test_an_unknown_exchange_is_told(browser: httpx.AsyncClient) -> None:
    for name in ("a" * 32, "a" * 32 + ".har", "a" * 32 + ".mmd", "..%2f..%2fetc", "x"):
        assert (await browser.get(f"/exchanges/{name}")).status_code == 404


async def test_the_tail_tells_what_comes(home: Home) -> None:
    home.tape.append([entry()])
    stream = _stream(home, Wanted(refused=True), home.tape.last())
    assert (await anext(stream)).startswith("retry:")
    home.tape.append([entry(path="/fine"), entry(path="/refused", status=403, reason="no_consent")])
    told = await anext(stream)
    position, data = told.strip().split("\n")
    assert position == f"id: {home.tape.last()}"
    assert json.loads(data.removeprefix("data: "))["what"] == "POST /refused"


EXPLAINED: dict[str, tuple[dict[str, Any], str, str]] = {
    "token_binding": ({"cnf": {"x5t#S256": "AAA"}}, "it is bound to this certificate (cnf.x5t#S256)", "AAA"),
    "token_expired": ({"iat": 1_799_999_900, "exp": 1_799_999_990}, "it is in time (exp)", "10.0 seconds too late"),
    "token_audience": ({"aud": "https://elsewhere"}, "it is for this service (aud)", "datastation of Verpleeghuis Avondrood"),
    "insufficient_scope": ({"scope": "patient/Patient.rs"}, "it opens this (scope)", "scope that this request needs"),
    "subject_mismatch": (
        {"extensions": {"ihe_iua": {"person_id": "x"}}},
        "it may, here and now",
        "client whose data you want",
    ),
    "no_consent": ({}, "it may, here and now", "ask the client"),
}


@pytest.mark.parametrize("reason", EXPLAINED)
async def test_a_refusal_says_what_failed_and_what_to_change(reason: str) -> None:
    claims, failed, change = EXPLAINED[reason]
    made = entry(
        status=403, reason=reason, detail="detail", headers={"authorization": "Bearer " + token(claims, segment(b"s" * 40))}
    )
    explanation = explain(exchange([made]).hops[0])
    assert explanation is not None
    states = {each["check"]: each["state"] for each in explanation["checks"]}
    assert [check for check, state in states.items() if state == "failed"] == [failed]
    assert change in " ".join(explanation["change"])
    assert list(states.values()).index("failed") == len([state for state in states.values() if state == "passed"])


async def test_what_is_not_refused_is_not_explained() -> None:
    assert explain(exchange([entry()]).hops[0]) is None


async def test_the_token_is_explained() -> None:
    claims = {"exp": 1_700_000_000, "cnf": {"x5t#S256": "AAA"}, "aud": "https://here", "own": 1}
    made = entry(headers={"authorization": "Bearer " + token(claims, segment(b"s" * 40))})
    rows = {name: meaning for name, _, meaning in token_rows(made)}
    assert "had ended" in rows["exp"]
    assert "NOT bound" in rows["cnf"]
    assert rows["own"] == ""
