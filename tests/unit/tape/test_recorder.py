"""The recorder sees every request, and never stands in the way of an answer."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from proeftuin.reasons import CERTIFICATE_EXPIRED
from proeftuin.settings import ServiceSettings
from proeftuin.tape.recorder import MOST_OF_BODY, Recorder, Writer
from proeftuin.tape.store import Tape, Wanted
from proeftuin.transport.trust import HandshakeRefusal
from services.pseudonymisation.app import create_app
from tests.harness import Harness

pytestmark = pytest.mark.anyio


def taped(tmp_path: Path, tape: Path) -> tuple[Harness, Any, ServiceSettings]:
    harness = Harness(tmp_path, "pseudonymisation", ["pseudoniemendienst"])
    settings = harness.settings.model_copy(update={"tape": tape})
    app = create_app(settings, harness.wiring)
    return harness, app, settings


async def test_admitted_refused_and_unmatched_requests_are_recorded(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape.sqlite")
    harness, app, _ = taped(tmp_path, tape.path)
    async with harness.running(app):
        harness._app = app.state.service.listener(app).app
        trace = "c" * 32
        headers = {"traceparent": f"00-{trace}-{'b' * 16}-01", "X-Request-Id": "request-1"}
        answers = [
            await harness.call("GET", "/health", party="ziekenhuis-de-linde", headers=headers),
            await harness.call("POST", "/evaluate", party="ziekenhuis-de-linde", headers=headers, json={"blinded_input": "x"}),
            await harness.call("GET", "/no/such/<script>", party="ziekenhuis-de-linde", headers=headers),
            await harness.call("GET", "/health", party=None, headers=headers),
        ]
        app.state.service._recorder.writer.flush()
    assert [answer.status_code for answer in answers] == [200, 401, 404, 401]
    entries = tape.exchange(trace)
    assert [entry["status"] for entry in entries] == [200, 401, 404, 401]
    assert [entry["reason"] for entry in entries] == [None, "token_missing", "not_found", "certificate_invalid"]
    assert {entry["request_id"] for entry in entries} == {"request-1"}
    assert {entry["parent_id"] for entry in entries} == {"b" * 16}
    assert entries[1]["request"]["body"] is None, "refused before the body was read"
    assert entries[1]["response"]["body"]["content"]["reason"] == "token_missing"
    assert entries[1]["certificate"]["identifiers"]["ura"] == "90000101"
    assert entries[1]["caller"]["name"] == "Ziekenhuis De Linde"


async def test_a_refused_handshake_is_recorded_under_the_trace_of_its_event(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape.sqlite")
    harness, app, _ = taped(tmp_path, tape.path)
    async with harness.running(app):
        app.state.service._refused_by_tls(HandshakeRefusal(CERTIFICATE_EXPIRED, "10 certificate has expired"))
        await app.state.service._handshakes.close()
        (event,) = await harness.logged()
        app.state.service._recorder.writer.flush()
    (found,) = tape.exchanges(Wanted(reason="certificate_expired"))
    (entry,) = tape.exchange(found["trace"])
    assert entry["tls"]
    assert entry["detail"] == "10 certificate has expired"
    assert found["trace"] in str(event["extension"])


async def test_a_tape_that_cannot_be_written_hurts_no_request(tmp_path: Path) -> None:
    (tmp_path / "tape.sqlite").mkdir()
    harness, app, _ = taped(tmp_path, tmp_path / "tape.sqlite")
    async with harness.running(app):
        harness._app = app.state.service.listener(app).app
        answer = await harness.call("GET", "/health", party="ziekenhuis-de-linde")
        app.state.service._recorder.writer.flush()
    assert answer.status_code == 200


async def test_nothing_is_recorded_where_settings_do_not_say_so(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "pseudonymisation", ["pseudoniemendienst"])
    app = create_app(harness.settings, harness.wiring)
    assert app.state.service.listener(app).app is app


async def test_streamed_bodies_are_recorded_and_passed_on_whole(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape.sqlite")
    recorder = Recorder(Writer(tape), "instance", "service", "server")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for _ in range(4):
            await send({"type": "http.response.body", "body": b"z" * 30_000, "more_body": True})
        await send({"type": "http.response.body", "body": str(size).encode()})

    async def pieces() -> Any:
        for _ in range(5):
            yield b"y" * 40_000

    async with httpx.AsyncClient(transport=httpx.ASGITransport(recorder.around(app)), base_url="https://here") as client:
        answer = await client.post("/", content=pieces(), headers={"content-type": "text/plain"})
    recorder.writer.flush()
    assert len(answer.content) == 120_006
    assert answer.text.endswith("200000")
    (found,) = tape.after(0, Wanted(aside=True))
    assert found["request"]["body"]["size"] == 200_000
    assert found["response"]["body"]["size"] == 120_006
    assert len(found["response"]["body"]["text"]) == MOST_OF_BODY


async def test_a_request_that_fails_in_the_application_is_recorded(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape.sqlite")
    recorder = Recorder(Writer(tape), "instance", "service", "server")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(recorder.around(app)), base_url="https://here") as client:
        with pytest.raises(RuntimeError, match="broken"):
            await client.get("/")
    recorder.writer.flush()
    (found,) = tape.after(0, Wanted(aside=True))
    assert found["status"] == 0
