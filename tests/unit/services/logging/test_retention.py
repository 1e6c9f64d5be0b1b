"""Erasure: the content is gone from every table, the tree and its proofs stay, and the log tells that it happened."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.logging import erasure
from tests.unit.services.logging.logbook import CLIENT, HOME, OTHER, REGISTER, Logbook, check_row, event, ids, refused

pytestmark = pytest.mark.anyio
YEAR = 365.25 * 24 * 3600


async def erase(logbook: Logbook, party: str = REGISTER, **body: Any) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await logbook.call("POST", "/retention/erase", party=party, headers=headers, json=body)


async def aged(logbook: Logbook, years: float = 6) -> list[str]:
    """Three events of long ago, two about the client, and one of now."""
    sent = [event(HOME, CLIENT), event(HOME, OTHER), event(HOME, CLIENT)]
    logbook.clock.forward(seconds=-years * YEAR)
    for each in sent:
        assert (await logbook.post(each)).status_code == 201
    logbook.clock.forward(seconds=years * YEAR)
    return [each["id"] for each in sent]


def key(logbook: Logbook) -> bytes:
    return (logbook.secrets / "index.key").read_bytes()


def stored(logbook: Logbook) -> str:
    """Every value in every table of the log, as text."""

    def dump(connection: sa.Connection) -> str:
        tables = [name for name in sa.inspect(connection).get_table_names() if name not in ("checkpoint", "tile")]
        return "".join(str(connection.execute(sa.text(f'SELECT * FROM "{name}"')).all()) for name in tables)

    found: str = logbook.database(dump)
    return found


async def test_after_the_retention_the_content_is_gone_and_the_tree_verifies(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await _erased_and_verified(logbook)


async def _erased_and_verified(logbook: Logbook) -> None:
    sent = await aged(logbook)
    before = await logbook.checkpoint()
    moment = f"{logbook.clock.now().year - 5}-01-01"
    answer = await erase(logbook, before=moment)
    assert answer.json() == {"erased": 3, "event": 3, "archives": []}, answer.text
    report = logbook.report(key(logbook))
    assert (report.fault, report.events) == (None, 4)
    assert (await logbook.checkpoint()).size == before.size + 1
    for value in (CLIENT, OTHER, "900000011", "Vliet"):
        assert value not in stored(logbook)
    search = await logbook.get("?date=ge2020-01-01")
    assert not set(sent) & set(ids(search))
    overview = (await logbook.inspect()).json()
    assert overview["rows"] == []
    assert (await erase(logbook, before=moment)).json()["erased"] == 0


async def test_an_erasure_that_fails_is_not_told_of(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await aged(logbook)
        before = (await logbook.checkpoint()).size
        with monkeypatch.context() as patched:
            patched.setattr(erasure, "erase", lambda *_: 1 / 0)
            assert (await erase(logbook, before="2020-01-01")).status_code == 500
        assert (await logbook.checkpoint()).size == before
        assert CLIENT in stored(logbook)
        await logbook.post(event())  # the log goes on
        assert (await erase(logbook, before=f"{logbook.clock.now().year - 5}-01-01")).json()["erased"] == 3
        assert logbook.report(key(logbook)).ok


async def test_what_is_younger_than_five_years_stays(logbook: Logbook) -> None:
    sent = await aged(logbook, 4.9)
    now = logbook.clock.now()
    answer = await erase(logbook, before=now.date().isoformat())
    assert (answer.status_code, answer.headers["X-Reason"]) == (400, "parameter_invalid")
    assert "5 years" in answer.json()["detail"]
    assert (await erase(logbook, before=f"{now.year - 5}-{now:%m-%d}")).json()["erased"] == 0
    assert set(sent) <= set(ids(await logbook.get("?date=ge2020-01-01")))


async def test_a_court_may_order_one_event_gone(logbook: Logbook) -> None:
    await aged(logbook, 0)
    answer = await erase(logbook, order="ECLI:NL:RBPT:2026:1", index=[1, 99, -1])
    assert answer.json()["erased"] == 1
    assert logbook.report(key(logbook)).ok
    content = (await logbook.inspect()).json()
    assert len(content["rows"]) == 2
    signed = await logbook.checkpoint()
    for row in content["rows"]:
        check_row(row, signed)
    assert (await logbook.inspect(OTHER)).json()["rows"] == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE event SET document = x'', nonce = x'' WHERE seq = 2", "event 2 says nothing, and no erasure is known"),
        ("DELETE FROM erasure", "event 1 says nothing, and no erasure is known"),
        ("UPDATE erasure SET event = 0", "event 1 says nothing, and event 0 does not tell"),
        ("UPDATE erasure SET event = 99", "event 1 says nothing, and no erasure is known"),
        ("UPDATE erasure SET last = 2", "event 1 says nothing, and event 3 does not tell"),
        ("UPDATE event SET agent = 'x' WHERE seq = 1", "event 1 was erased, and something of it is left"),
        ("INSERT INTO subject (patient_token, seq) VALUES ('x', 1)", "event 1 was erased, and something of it is left"),
    ],
)
async def test_what_was_erased_otherwise_is_found(logbook: Logbook, change: str, fault: str) -> None:
    await aged(logbook, 0)
    await erase(logbook, order="ECLI:NL:RBPT:2026:1", index=[1])
    assert logbook.report(key(logbook)).ok
    logbook.sql(change)
    assert (logbook.report(key(logbook)).fault or "").startswith(fault)


async def test_the_sender_may_repeat_what_was_erased(logbook: Logbook) -> None:
    sent = event(HOME, CLIENT)
    await logbook.post(sent)
    await erase(logbook, order="ECLI:NL:RBPT:2026:1", index=[0])
    answer = await logbook.post(sent)
    assert (answer.status_code, answer.headers["Audit-Index"]) == (200, "0")
    assert CLIENT not in stored(logbook)


@pytest.mark.parametrize(
    "body",
    [{}, {"before": 7}, {"before": "long ago"}, {"before": "2020-01-01", "order": "x"}, {"order": "", "index": [1]},
     {"order": "x", "index": []}, {"order": "x", "index": ["1"]}, {"order": "x", "index": [True]},
     {"order": "x", "index": [1] * 501}],
)  # fmt: skip
async def test_what_is_no_order_erases_nothing(logbook: Logbook, body: dict[str, Any]) -> None:
    await aged(logbook)
    answer = await erase(logbook, **body)
    await refused(logbook, answer, 400, answer.headers["X-Reason"])
    assert CLIENT in stored(logbook)


async def test_only_the_keeper_of_the_log_erases(logbook: Logbook) -> None:
    await refused(logbook, await erase(logbook, HOME, before="2020-01-01"), 403, "party_mismatch")
