"""An archive of a year proves itself with two keys; what was changed in it is found, and what is erased leaves it with the next."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proeftuin.transparency import cosignature
from proeftuin.transparency.checkpoint import verifier_line
from services.logging import archive, store
from services.logging.archive_verification import verify
from services.logging.verify import Report
from tests.unit.services.logging.logbook import CLIENT, HOME, OTHER, REGISTER, Logbook, event, ids, refused
from tests.unit.services.logging.test_sequencer import KEY as OTHER_KEY

pytestmark = pytest.mark.anyio
WITNESS = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
COSIGNER = cosignature.verifier_line("witness.example", WITNESS.public_key())
JSON_TYPE = {"Content-Type": "application/json"}


async def fill(logbook: Logbook) -> None:
    """Events of three years, in batches; the middle year has 300 of them."""
    for year, counts in ((2023, (3, 2)), (2024, (1, 255, 44)), (2025, (4,))):
        for month, count in enumerate(counts, 1):
            logbook.clock.moment = datetime(year, month, 15, tzinfo=UTC)
            await logbook.batch(*({"resource": event(HOME, CLIENT)} for _ in range(count)))


def witnessed(logbook: Logbook) -> None:
    """The newest checkpoint, cosigned."""

    def cosign(connection: sa.Connection) -> None:
        last = store.last_checkpoint(connection)
        assert last is not None
        store.cosign(connection, last[0], cosignature.sign(last[2], "witness.example", WITNESS, 1))

    logbook.database(cosign)


def archived(logbook: Logbook, part: Path, year: int = 2024) -> tuple[int, int, int]:
    found: tuple[int, int, int] = logbook.database(
        lambda connection: archive.fill(connection, part, year, "2026-01-01", witnessed=False)
    )
    return found


async def tell(logbook: Logbook, party: str = REGISTER, **over: Any) -> httpx.Response:
    body = {"file": "log-2024.archive", "sha256": "ab" * 32, "year": 2024, "first": 5, "last": 304, "size": 309} | over
    return await logbook.call("POST", "/retention/archive", party=party, headers=JSON_TYPE, json=body)


async def test_a_year_is_one_file_that_two_keys_verify(tmp_path: Path, database_url: str) -> None:
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await fill(logbook)
        witnessed(logbook)
        file = tmp_path / "a.archive"
        assert archived(logbook, file) == (5, 304, 309)
        assert file.stat().st_mode & 0o777 == 0o600
        assert verify(file, logbook.verifier, COSIGNER) == Report(300, 4)
        with closing(sqlite3.connect(file)) as content:
            years = {json.loads(entry)["received"][:4] for (entry,) in content.execute("SELECT entry FROM event")}
        assert years == {"2024"}
        logbook.clock.moment = datetime(2026, 1, 1, tzinfo=UTC)
        answer = await tell(logbook)
        assert answer.json() == {"event": 309}
        assert len(ids(await logbook.get("?date=ge2020-01-01&_count=500"))) == 309  # nothing left the log
        (told,) = (row for row in logbook.database(lambda c: store.search(c, store.Query({"type": ["110106"]})))[0])
        assert told.resource["subtype"][0]["code"] == "archive"


@pytest.mark.parametrize("year", [2023, 2025])
async def test_the_first_and_the_last_year_verify_too(logbook: Logbook, tmp_path: Path, year: int) -> None:
    await fill(logbook)
    archived(logbook, tmp_path / "a", year)
    assert verify(tmp_path / "a", logbook.verifier).fault is None
    assert "no cosignature" in (verify(tmp_path / "a", logbook.verifier, COSIGNER).fault or "")  # no witness saw it


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE event SET document = x'7b7d' WHERE seq = 100", "event 100 is not the one that was committed to"),
        ("UPDATE event SET nonce = x'00' WHERE seq = 100", "event 100 is not the one that was committed to"),
        ("UPDATE event SET document = x'', nonce = x'' WHERE seq = 100", "event 100 says nothing, and no erasure"),
        ("DELETE FROM event WHERE seq = 100", "event 100 is missing"),
        ("DELETE FROM event WHERE seq = 304", "event 304 is missing"),
        ("INSERT INTO event VALUES (305, x'00', x'01', x'00')", "event 305 is missing"),
        ("UPDATE event SET entry = (SELECT entry FROM event WHERE seq = 7), nonce = (SELECT nonce FROM event WHERE seq = 7),"
         " document = (SELECT document FROM event WHERE seq = 7) WHERE seq = 6", "checkpoint 261 signed another root"),
        ("DELETE FROM checkpoint WHERE size = 309", "the checkpoint that seals the archive is missing"),
        ("UPDATE checkpoint SET note = replace(note, '309', '310') WHERE size = 309", "checkpoint 309: "),
        ("UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 261) WHERE size = 305", "checkpoint 305 is of"),
        ("DELETE FROM node WHERE start = 4", "the subtree at 4 is missing"),
        ("UPDATE node SET hash = zeroblob(32) WHERE start = 0", "checkpoint 6 signed another root"),
        ("UPDATE node SET hash = zeroblob(32) WHERE start > 304", "checkpoint 309 signed another root"),
        ("UPDATE about SET value = '6' WHERE name = 'first'", "the subtree at 5 is missing"),
        ("UPDATE about SET value = '300' WHERE name = 'last'", "event 301 is missing"),
        ("UPDATE about SET value = 'x' WHERE name = 'format'", "this is no proeftuin-log-archive/1"),
        ("DROP TABLE node", "the file is no whole archive"),
    ],
)  # fmt: skip
async def test_the_first_difference_in_an_archive_is_named(logbook: Logbook, tmp_path: Path, change: str, fault: str) -> None:
    await fill(logbook)
    archived(logbook, tmp_path / "a")
    with closing(sqlite3.connect(tmp_path / "a")) as file:
        file.execute(change)
        file.commit()
    assert (verify(tmp_path / "a", logbook.verifier).fault or "").startswith(fault)


async def test_another_key_or_no_archive_at_all_is_refused(logbook: Logbook, tmp_path: Path) -> None:
    await fill(logbook)
    archived(logbook, tmp_path / "a")
    other = logbook.verifier.partition("+")[0]
    assert "no signature of this key" in (verify(tmp_path / "a", verifier_line(other, OTHER_KEY.public_key())).fault or "")
    (tmp_path / "b").write_bytes(b"no database")
    assert "no whole archive" in (verify(tmp_path / "b", logbook.verifier).fault or "")


async def test_what_was_erased_is_named_and_leaves_with_the_next_archive(logbook: Logbook, tmp_path: Path) -> None:
    await fill(logbook)
    archived(logbook, tmp_path / "a")
    await tell(logbook)
    sent = event(HOME, OTHER)
    await logbook.post(sent)
    order = {"order": "ECLI:NL:RBPT:2026:1", "index": [100, 101, 310]}
    answer = await logbook.call("POST", "/retention/erase", party=REGISTER, headers=JSON_TYPE, json=order)
    assert answer.json() == {"erased": 3, "event": 311, "archives": ["log-2024.archive"]}
    shutil.copy(tmp_path / "a", tmp_path / "old")
    archived(logbook, tmp_path / "a")  # takes up what is there, less what was erased
    assert verify(tmp_path / "a", logbook.verifier) == Report(300, 4)
    with closing(sqlite3.connect(tmp_path / "a")) as file:
        assert [row[0] for row in file.execute("SELECT seq FROM event WHERE document = x''")] == [100, 101]
        gone = sqlite3.connect(tmp_path / "old").execute("SELECT document FROM event WHERE seq = 100").fetchone()[0]
        assert gone not in (tmp_path / "a").read_bytes()
        file.execute("DELETE FROM told")
        file.commit()
    assert verify(tmp_path / "a", logbook.verifier).fault == "event 311, which tells of an erasure, is missing"


async def test_an_archive_of_what_was_erased_since_it_was_filled_is_not_told_of(tmp_path: Path, database_url: str) -> None:
    """Else nobody would know that a copy of what was erased is left."""
    logbook = Logbook(tmp_path, database_url)
    async with logbook.running(logbook.app):
        await fill(logbook)
        archived(logbook, tmp_path / "a")
        for place in (4, 305, 100):  # before the year, after it, in it
            assert (await tell(logbook)).status_code == 200
            order = {"order": "ECLI:NL:RBPT:2026:1", "index": [place]}
            await logbook.call("POST", "/retention/erase", party=REGISTER, headers=JSON_TYPE, json=order)
        await logbook.logged()
        await refused(logbook, await tell(logbook, file="other.archive"), 409, "conflict")
        assert logbook.database(lambda connection: store.archives_of(connection, [(100, 100)])) == ["log-2024.archive"]
        _, _, size = archived(logbook, tmp_path / "a")
        assert (await tell(logbook, size=size)).status_code == 200


async def test_an_erasure_that_its_event_does_not_tell_of_is_found(logbook: Logbook, tmp_path: Path) -> None:
    await fill(logbook)
    order = {"order": "ECLI:NL:RBPT:2026:1", "index": [100]}
    await logbook.call("POST", "/retention/erase", party=REGISTER, headers=JSON_TYPE, json=order)
    archived(logbook, tmp_path / "a")
    with closing(sqlite3.connect(tmp_path / "a")) as file:
        file.execute("UPDATE erasure SET last = 101")
        file.execute("UPDATE event SET document = x'' WHERE seq = 101")
        file.commit()
    assert verify(tmp_path / "a", logbook.verifier).fault == "event 309 does not tell of the erasure of 100 to 101"


async def test_what_was_broken_off_is_taken_up(logbook: Logbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(logbook)
    monkeypatch.setattr(archive, "PAGE", 50)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "_seal", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            archived(logbook, tmp_path / "a")
    with closing(sqlite3.connect(tmp_path / "a")) as file:
        file.execute("DELETE FROM event WHERE seq > 150")
        file.commit()
    assert verify(tmp_path / "a", logbook.verifier).fault is not None
    archived(logbook, tmp_path / "a")
    assert verify(tmp_path / "a", logbook.verifier) == Report(300, 4)
    with pytest.raises(FileExistsError, match="another log or year"):
        archived(logbook, tmp_path / "a", 2023)


async def test_the_keeper_makes_no_archive_that_the_witness_has_not_seen(logbook: Logbook, tmp_path: Path) -> None:
    await fill(logbook)
    with pytest.raises(archive.NothingToArchiveError, match="has not cosigned the end of the year"):
        logbook.database(lambda connection: archive.fill(connection, tmp_path / "a", 2024, ""))
    witnessed(logbook)
    logbook.database(lambda connection: archive.fill(connection, tmp_path / "a", 2024, ""))  # takes it up
    assert verify(tmp_path / "a", logbook.verifier, COSIGNER).fault is None


def test_a_year_of_which_there_is_nothing_is_told(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'log'}")
    store.metadata.create_all(engine)
    with engine.connect() as connection, pytest.raises(archive.NothingToArchiveError, match="no event was received in 1999"):
        archive.fill(connection, tmp_path / "a", 1999, "")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "over",
    [{"file": "../x"}, {"file": 7}, {"sha256": "x"}, {"year": "2024"}, {"year": 0}, {"first": -1}, {"first": 400}, {"size": 304},
     {"size": 310}, {"last": True}, {"more": 1}],
)  # fmt: skip
async def test_what_is_no_archive_is_not_recorded(logbook: Logbook, over: dict[str, Any]) -> None:
    await fill(logbook)
    await refused(logbook, await tell(logbook, **over), 400, "invalid_request")
    assert logbook.database(lambda connection: connection.execute(store.archives.select()).all()) == []


async def test_only_the_keeper_of_the_log_records_an_archive(logbook: Logbook) -> None:
    await fill(logbook)
    await refused(logbook, await tell(logbook, HOME), 403, "party_mismatch")


async def test_the_command_verifies_with_the_keys_alone(logbook: Logbook, tmp_path: Path) -> None:
    await fill(logbook)
    witnessed(logbook)
    archived(logbook, tmp_path / "a")
    (tmp_path / "key").write_text(logbook.verifier)
    (tmp_path / "witness").write_text(COSIGNER)
    command = [sys.executable, "-m", "proeftuin", "log", "verify", "--archive", str(tmp_path / "a"), "--key", str(tmp_path / "key"),
               "--witness-key", str(tmp_path / "witness")]  # fmt: skip
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False)
    done = await asyncio.to_thread(run)
    assert done.stdout == "300 events, 4 checkpoints: nothing was changed\n"
    (tmp_path / "witness").write_text(cosignature.verifier_line("witness.example", OTHER_KEY.public_key()))
    assert (await asyncio.to_thread(run)).returncode == 1
