"""ITI-20: what is stored, what is recognised as a repeat, what is refused, and that one sender harms no other."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from services.logging import sequencer
from tests.harness import BASE
from tests.unit.services.logging.logbook import CLIENT, HOME, HOSPITAL, WRITE, Logbook, event, refused

pytestmark = pytest.mark.anyio


def entry(resource: object, full_url: str | None = None) -> dict[str, object]:
    return {"resource": resource, "request": {"method": "POST", "url": "AuditEvent"}} | ({"fullUrl": full_url} if full_url else {})


def statuses(answer: object) -> list[str]:
    return [each["response"]["status"][:3] for each in answer.json()["entry"]]  # type: ignore[attr-defined] # an httpx.Response


async def test_an_event_is_stored_once_and_the_log_tells_where(logbook: Logbook) -> None:
    sent = event()
    first, again = await logbook.post(sent), await logbook.post(sent)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Audit-Index"] == again.headers["Audit-Index"] == "0"
    assert first.headers["Location"] == f"{BASE}/fhir/AuditEvent/{sent['id']}"
    assert first.json() == sent
    assert (await logbook.post(event())).headers["Audit-Index"] == "1"
    assert await logbook.logged() == []  # the log does not log its own intake
    assert logbook.report().events == 2


async def test_two_parties_may_use_the_same_id(logbook: Logbook) -> None:
    answers = [await logbook.post(event(party, id="1"), party) for party in (HOME, HOSPITAL)]
    assert [answer.status_code for answer in answers] == [201, 201]


async def test_an_event_without_an_id_gets_one(logbook: Logbook) -> None:
    answer = await logbook.post(event(id=None))
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(answer.json()["id"])
    uuid.UUID(answer.json()["id"])


async def test_an_idempotency_key_makes_a_repeat_without_id_harmless(logbook: Logbook) -> None:
    sent = event(id=None)
    for key in ("span-1", "with spaces / and more", "x" * 200):
        answers = [await logbook.post(sent, headers={"Idempotency-Key": key}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 200]
        assert answers[0].headers["Audit-Index"] == answers[1].headers["Audit-Index"]
    assert (await logbook.checkpoint()).size == 3


async def test_long_ids_that_begin_alike_are_two_events(logbook: Logbook) -> None:
    for end in "ab":
        assert (await logbook.post(event(id="x" * 63 + end))).status_code == 201
    assert (await logbook.checkpoint()).size == 2


async def test_another_event_under_a_known_id_is_not_taken_for_a_repeat(logbook: Logbook) -> None:
    sent = event()
    await logbook.post(sent)
    await refused(logbook, await logbook.post(sent | {"outcome": "8"}), 409, "conflict")
    answer = await logbook.batch(entry(sent), entry(sent | {"action": "D"}))
    assert statuses(answer) == ["200", "409"]
    assert (await logbook.checkpoint()).size == 1


async def test_a_batch_answers_for_each_entry(logbook: Logbook) -> None:
    good, key = event(id=None), str(uuid.uuid4())
    answer = await logbook.batch(
        entry(good, f"urn:uuid:{key}"),
        entry(event(recorded=None)),
        entry({"resourceType": "Patient"}),
        {"request": {"method": "POST", "url": "AuditEvent"}},
        "nonsense",
        {"resource": event(), "request": {"method": "DELETE", "url": "AuditEvent/1"}},
        entry(event(id=None), "https://elsewhere.example/AuditEvent/1"),
        entry(good, f"urn:uuid:{key}"),
    )
    assert statuses(answer) == ["201", "400", "400", "400", "400", "400", "201", "200"]
    entries = answer.json()["entry"]
    assert entries[0]["response"]["location"] == f"AuditEvent/{key}"
    assert "AuditEvent.recorded" in json.dumps(entries[1])
    assert {entries[index]["response"]["etag"] for index in (0, 7)} == {'W/"0"'}
    repeat = await logbook.batch(entry(good, f"urn:uuid:{key}"))
    assert statuses(repeat) == ["200"]
    assert (await logbook.checkpoint()).size == 2
    assert await logbook.logged() == []


async def test_an_empty_batch_is_answered_by_an_empty_one(logbook: Logbook) -> None:
    assert (await logbook.batch()).json() == {"resourceType": "Bundle", "type": "batch-response"}


@pytest.mark.parametrize(
    "odd",
    [
        {"type": {"display": "x"}, "meta": {"profile": ["https://elsewhere.example/unknown"]}},
        {"source": {"observer": {"display": "x"}}},
        {"agent": [{"requestor": False, "who": {"display": "x"}}]},
        {"source": {"observer": {"identifier": {"value": "x\x00" * 500}}}},
        {"agent": [{"requestor": True, "who": {"identifier": {"value": "\x00" * 500}}}]},
        {"type": {"code": "x" * 500}, "subtype": [{"code": "\x00" * 100}]},
        {"extension": [{"url": "https://elsewhere.example/trace-id", "valueString": "\x00" * 100}]},
    ],
)
async def test_what_is_r4_is_never_refused(tmp_path: Path, database_url: str, odd: dict[str, Any]) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        assert (await logbook.post(event(**odd))).status_code == 201
        assert (await logbook.post(event(HOME, CLIENT))).status_code == 201
        assert len((await logbook.inspect()).json()["rows"]) == 1
    assert logbook.report((logbook.secrets / "index.key").read_bytes()).ok


async def test_what_is_no_audit_event_is_refused(logbook: Logbook) -> None:
    async def attempt(content: object, status: int, reason: str) -> None:
        await refused(logbook, await logbook.post(content), status, reason)

    await attempt(b"{", 400, "malformed")
    await attempt(b"[]", 400, "malformed")
    await attempt(b'{"a": 1, "a": 2}', 400, "malformed")
    await attempt(b" " * (1 << 20) + b"{}", 413, "too_large")
    await attempt({"resourceType": "Patient"}, 400, "malformed")
    await attempt(event(agent=None), 422, "profile")
    await attempt(event(recorded="0001-01-01T00:00:00+14:00"), 400, "malformed")
    await attempt(event(outcomeDesc="\ud800"), 400, "malformed")
    await refused(logbook, await logbook.post(event(), headers={"Content-Type": "text/plain"}), 415, "content_type")
    assert (await logbook.checkpoint()).size == 0


async def test_what_is_no_batch_is_refused(logbook: Logbook) -> None:
    wrong: list[dict[str, Any]] = [{"type": "transaction"}, {"resourceType": "List"}, {"entry": {}}, {"entry": [{}] * 501}]
    for over in wrong:
        await refused(logbook, await logbook.batch(**over), 400, "malformed")


async def test_an_event_that_cannot_be_stored_takes_no_other_with_it(logbook: Logbook) -> None:
    """Both arrive in one turn of the event loop, from different senders."""
    bad = [event(HOSPITAL, recorded="9999-12-31T23:59:59-14:00"), event(HOSPITAL, outcomeDesc="\ud800")]
    answers = await asyncio.gather(
        logbook.post(bad[0], HOSPITAL), logbook.post(event()), logbook.post(bad[1], HOSPITAL), logbook.batch(entry(event()))
    )
    assert [answer.status_code for answer in answers] == [400, 201, 400, 200]
    assert statuses(answers[3]) == ["201"]
    assert statuses(await logbook.batch(*(entry(each) for each in bad), entry(event()))) == ["400", "400", "201"]


async def test_when_too_much_waits_nothing_is_taken(logbook: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "WAITING", 1)
    answer = await logbook.batch(entry(event()), entry(event()))
    assert int(answer.headers["Retry-After"]) > 0
    await refused(logbook, answer, 503, "overloaded")
    assert (await logbook.checkpoint()).size == 0
    assert (await logbook.post(event())).status_code == 201


@pytest.mark.parametrize("path", ["/fhir", "/fhir/AuditEvent"])
async def test_only_a_party_with_the_scope_delivers(logbook: Logbook, path: str) -> None:
    async def attempt(status: int, reason: str, token: str | None, party: str | None = HOME) -> None:
        answer = await logbook.call("POST", path, party=party, token=token, json=event())
        await refused(logbook, answer, status, reason)

    await attempt(401, "certificate_invalid", None, None)
    await attempt(401, "token_missing", None)
    await attempt(401, "token_malformed", "nonsense")
    await attempt(403, "insufficient_scope", logbook.token(HOME, "system/AuditEvent.rs"))
    await attempt(401, "token_binding", logbook.token(HOME, WRITE), HOSPITAL)
    await attempt(401, "token_audience", logbook.token(HOME, WRITE, audience="https://elsewhere.example"))
    await attempt(403, "party_mismatch", logbook.token(HOME, WRITE, bound_to=HOSPITAL), HOSPITAL)
    expired = logbook.token(HOME, WRITE, lifetime=60)
    logbook.clock.forward(hours=1)
    await attempt(401, "token_expired", expired)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_nothing_is_ever_changed_or_deleted(logbook: Logbook, method: str) -> None:
    sent = event()
    await logbook.post(sent)
    answer = await logbook.call(method, f"/fhir/AuditEvent/{sent['id']}", party=HOME, token=logbook.token(HOME, WRITE), json=sent)
    assert (answer.status_code, answer.headers["X-Reason"]) == (405, "method_not_allowed")
