"""The calling end of a call, whatever the other side does: answers of others than this network's, and none at all."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import problem
from proeftuin.access.requirement import UndeclaredRouteError, require
from proeftuin.access.route import check_declared, guarded
from proeftuin.audit import interactions, outbox
from proeftuin.audit.calling import About, Caller
from proeftuin.audit.events import READ, SEARCH
from proeftuin.audit.record import System
from proeftuin.clock import SystemClock
from proeftuin.identifiers import URA_SYSTEM
from proeftuin.reasons import CERTIFICATE_REVOKED
from proeftuin.storage.database import Database
from proeftuin.transport.client import Answer, Unreachable
from proeftuin.transport.tracing import CURRENT, Trace

pytestmark = pytest.mark.anyio
CLIENT, OTHER = "999910000", "999918138"
BASE = "https://other.example/fhir"


class Calls:
    """A caller whose calls end as the test says; `events` are those that it stored."""

    def __init__(self, path: Path) -> None:
        self.end: Answer | Exception = Answer(200, {}, b"{}")
        self.sent: Trace | None = None
        self.database = Database(f"sqlite:///{path / 'caller.sqlite'}")
        outbox.metadata.create_all(self.database.engine)
        here = System((URA_SYSTEM, "90000101"), "Ziekenhuis De Linde", "127.0.0.1")
        self.caller = Caller(self, here, "ura:90000101", self.database, SystemClock(), lambda: None)  # type: ignore[arg-type] # a client

    async def request(self, _method: str, _url: str, *, trace: Trace, **_: Any) -> Answer:
        self.sent = trace
        if isinstance(self.end, Exception):
            raise self.end
        return self.end

    async def events(self) -> list[dict[str, Any]]:
        found = [event for _, event in await self.database.read(outbox.oldest, 100)]
        await self.database.write(lambda connection: connection.execute(outbox.outbox.delete()))
        return found


@pytest.fixture
async def calls(tmp_path: Path) -> AsyncIterator[Calls]:
    made = Calls(tmp_path)
    before = CURRENT.set(Trace.new())
    yield made
    CURRENT.reset(before)
    await made.database.close()


def patients(events: list[dict[str, Any]]) -> list[str]:
    entities = [entity["what"] for event in events for entity in event["entity"] if "what" in entity]
    return [what["identifier"]["value"] for what in entities if what.get("type") == "Patient"]


@pytest.mark.parametrize(("status", "headers", "outcome", "reason"), [
    (200, {}, "0", None), (201, {}, "0", None), (302, {"Location": "/elsewhere"}, "8", "upstream"), (403, {}, "8", "upstream"),
    (403, {"X-Reason": "no_consent"}, "8", "no_consent"), (403, {"X-Reason": "<of others>"}, "8", "upstream"),
    (200, {"X-Reason": "no_consent"}, "8", "no_consent"), (502, {}, "8", "upstream"),
    (500, {"X-Reason": "internal", "X-Outcome": "12"}, "12", "internal"), (403, {"X-Outcome": "0"}, "8", "upstream"),
    (200, {"X-Reason": "purpose_not_allowed", "X-Outcome": "4"}, "4", "purpose_not_allowed"),
])  # fmt: skip
async def test_the_outcome_is_that_of_the_answer(
    calls: Calls, status: int, headers: Mapping[str, str], outcome: str, reason: str | None
) -> None:
    calls.end = Answer(status, headers, b"")
    await calls.caller.request("GET", f"{BASE}/Patient/1", about=About((CLIENT, OTHER)))
    events = await calls.events()
    assert [event["outcome"] for event in events] == [outcome] * 2
    assert [event.get("outcomeDesc", "").partition(":")[0] or None for event in events] == [reason] * 2
    assert patients(events) == [CLIENT, OTHER]


@pytest.mark.parametrize(("method", "path", "status", "headers", "count"), [
    ("GET", "/health", 200, {}, 0), ("GET", "/health", 503, {}, 0),
    ("GET", "/oauth2/x/jwks", 401, {"X-Reason": "certificate_revoked"}, 1),
    ("GET", "/oauth2/x/jwks", 404, {}, 1), ("POST", "/fhir/AuditEvent", 201, {}, 0), ("POST", "/fhir/AuditEvent", 422, {}, 1),
])  # fmt: skip
async def test_of_what_is_not_logged_a_refusal_is(
    calls: Calls, method: str, path: str, status: int, headers: dict[str, str], count: int
) -> None:
    calls.end = Answer(status, headers, b"")
    await calls.caller.request(method, f"https://other.example{path}")
    events = await calls.events()
    assert [event["subtype"][0]["code"] for event in events] == ["110132"] * count


async def test_a_call_without_an_answer_is_logged_where_somebody_waits_for_it(calls: Calls) -> None:
    calls.end = Unreachable("time")
    for exchange, count in ((CURRENT.get(), 1), (None, 0)):
        CURRENT.set(exchange)
        with pytest.raises(Unreachable):
            await calls.caller.request("GET", f"{BASE}/Patient?_id=1", about=About((CLIENT,)))
        with pytest.raises(Unreachable):
            await calls.caller.request("GET", "https://other.example/health")
        assert [event["outcomeDesc"] for event in await calls.events()] == ["upstream: there was no answer"] * count


async def test_a_refused_handshake_is_no_request_on_a_client(calls: Calls) -> None:
    calls.end = Unreachable("alert", CERTIFICATE_REVOKED)
    for exchange in (CURRENT.get(), None):
        CURRENT.set(exchange)
        with pytest.raises(Unreachable):
            await calls.caller.request("GET", f"{BASE}/Patient/1", about=About((CLIENT,)))
        events = await calls.events()
        assert [event["subtype"][0]["code"] for event in events] == ["110126"]
        assert patients(events) == []


async def test_an_answer_that_cannot_be_logged_is_not_given(calls: Calls) -> None:
    await calls.database.write(lambda connection: connection.exec_driver_sql("DROP TABLE audit_outbox"))
    with pytest.raises(sa.exc.OperationalError):
        await calls.caller.request("GET", f"{BASE}/Patient/1")
    calls.end = Answer(200, {}, b"")
    assert (await calls.caller.request("GET", "https://other.example/health")).status == 200


async def test_a_call_of_a_systems_own_accord_begins_a_trace(calls: Calls) -> None:
    CURRENT.set(None)
    await calls.caller.request("GET", f"{BASE}/Patient/1")
    (event,) = await calls.events()
    assert calls.sent is not None
    assert calls.sent.parent_id is None
    assert not any(each["url"].endswith("/parent-span-id") for each in event["extension"])


async def test_a_call_is_a_child_of_what_it_is_made_for(calls: Calls) -> None:
    own = CURRENT.get()
    assert own is not None
    await calls.caller.request("GET", f"{BASE}/Patient/1")
    assert calls.sent is not None
    assert (calls.sent.trace_id, calls.sent.parent_id) == (own.trace_id, own.span_id)
    (event,) = await calls.events()
    said = {extension["url"].rpartition("/")[2]: extension for extension in event["extension"]}
    assert said["traceparent"]["valueString"] == calls.sent.traceparent
    assert said["parent-span-id"]["valueString"] == own.span_id
    assert said["request-id"]["valueId"] == calls.sent.headers()["X-Request-Id"]


@pytest.mark.parametrize(("method", "path", "sent", "data"), [
    ("GET", "/Patient/1", {}, "Patient/1"), ("GET", "/Patient/1/_history/2", {}, "Patient/1/_history/2"),
    ("GET", "/AuditEvent/1/$validate", {}, "AuditEvent/1"),
    ("POST", "/Consent", {}, "Consent/7"), ("PUT", "/Consent/7", {}, "Consent/7"), ("GET", f"/Patient/{CLIENT}", {}, None),
    ("GET", "/Patient?identifier=x&_count=1", {}, "Patient?identifier&_count"),
    ("POST", "/Patient/_search", {"form": {"identifier": CLIENT}}, "Patient?identifier"),
])  # fmt: skip
async def test_the_data_is_named_and_no_value_that_may_be_a_bsn(
    calls: Calls, method: str, path: str, sent: dict[str, Any], data: str | None
) -> None:
    calls.end = Answer(201 if path == "/Consent" else 200, {"Location": f"{BASE}/Consent/7/_history/1"}, b"")
    await calls.caller.request(method, BASE + path, **sent)
    (event,) = await calls.events()
    named = [entity["what"].get("reference") for entity in event["entity"][1:] if "what" in entity]
    asked = [base64.b64decode(entity["query"]).decode() for entity in event["entity"] if "query" in entity]
    assert [each for each in named + asked if each] == ([data] if data else [])
    assert CLIENT not in json.dumps(event)


@pytest.mark.parametrize("bundle", [
    {"type": "transaction", "entry": "x"}, {"type": "transaction", "entry": ["x", 1, None, {}, {"request": 1, "resource": []}]},
    {"type": "transaction", "entry": [{"request": {"method": "PATCH", "url": "Patient/1"}}]},
    {"type": "transaction", "entry": [{"resource": {"resourceType": "Patient", "identifier": [1, {"value": CLIENT}]}}][:0]},
])  # fmt: skip
async def test_a_bundle_that_is_none_is_sent_and_logged_as_one(calls: Calls, bundle: dict[str, Any]) -> None:
    calls.end = Answer(400, {"X-Reason": "malformed"}, b"")
    await calls.caller.request("POST", BASE, content=bundle)
    assert [event["subtype"][0]["code"] for event in await calls.events()] == ["transaction"]


@pytest.mark.parametrize(("method", "url"), [("GET", "https://other.example/x"), ("PATCH", f"{BASE}/Patient/1"), ("GET", BASE)])
async def test_a_call_of_which_nothing_says_what_is_logged_is_not_made(calls: Calls, method: str, url: str) -> None:
    with pytest.raises(interactions.UndeclaredInteractionError):
        await calls.caller.request(method, url)
    assert calls.sent is None


def test_a_service_of_which_the_calling_end_would_log_something_else_does_not_start() -> None:
    for event, path in ((SEARCH, "/fhir/Patient/{id}"), (None, "/fhir/Patient/{id}"), (READ, "/health"), (READ, "/nowhere")):
        router = guarded(problem)

        @router.get(path)
        @require(event=event)
        async def route(admission: Admitted) -> Response:
            raise NotImplementedError

        with pytest.raises((UndeclaredRouteError, interactions.UndeclaredInteractionError)):
            check_declared([router])
