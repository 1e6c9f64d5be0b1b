"""The ring: bounded, private, and searched by what an engineer knows."""

import stat
from pathlib import Path

import pytest

from proeftuin.audit.record import System
from proeftuin.tape.store import Tape, Wanted
from proeftuin.transport.tracing import Trace
from tests.unit.tape.taping import entry


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    return Tape(tmp_path / "tape.sqlite")


def test_a_tape_that_is_not_there_is_empty(tape: Tape) -> None:
    assert tape.exchanges(Wanted()) == []
    assert tape.exchange("a" * 32) == []
    assert tape.last() == 0
    assert not tape.path.exists()


def test_only_its_owner_reads_it(tape: Tape) -> None:
    tape.append([entry()])
    for path in tape.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_the_oldest_entries_go_when_there_are_too_many(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape.sqlite", most_entries=5)
    traces = [Trace.new() for _ in range(12)]
    for trace in traces:
        tape.append([entry(trace=trace)])
    assert [each["trace"] for each in tape.exchanges(Wanted())] == [trace.trace_id for trace in traces[:-6:-1]]


def test_the_oldest_entries_go_when_they_are_too_large(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape.sqlite", most_bytes=50_000)
    for number in range(20):
        tape.append([entry(asked=b"x" * 10_000, content_type="text/plain", path=f"/{number}")])
    kept = [tape.exchange(each["trace"])[0]["request"]["path"] for each in tape.exchanges(Wanted())]
    assert kept == ["/19", "/18", "/17", "/16"]
    assert tape.path.stat().st_size < 200_000


def test_a_body_is_cut_off() -> None:
    made = entry(asked=b"y" * 100_000, content_type="text/plain")["request"]["body"]
    assert (made["size"], len(made["text"]), made["whole"]) == (100_000, 65_536, False)


SOUGHT = {
    "party, by a part of its name": (Wanted(party="avondROOD"), {"refused", "fine"}),
    "nobody": (Wanted(party="nobody"), set()),
    "a pattern is no pattern": (Wanted(party="%"), set()),
    "reason": (Wanted(reason="no_consent"), {"refused"}),
    "refused": (Wanted(refused=True), {"refused"}),
    "status": (Wanted(status=403), {"refused"}),
    "since": (Wanted(since=1_800_000_050), {"fine"}),
    "until": (Wanted(until=1_800_000_050), {"refused"}),
    "all of it": (Wanted(aside=True), {"refused", "fine", "health"}),
    "what the network does for itself is left out": (Wanted(), {"refused", "fine"}),
}


@pytest.mark.parametrize("sought", SOUGHT)
def test_exchanges_are_found_by(tape: Tape, sought: str) -> None:
    traces = {name: Trace.new() for name in ("refused", "fine", "health")}
    other = System(None, "IGJ", "https://localhost:8446")
    tape.append(
        [
            entry(trace=traces["refused"], status=403, reason="no_consent", started=1_800_000_000),
            entry(trace=traces["fine"], started=1_800_000_100),
            entry(trace=traces["health"], path="/health", caller=other, server=other, started=1_800_000_000),
        ]
    )
    wanted, expected = SOUGHT[sought]
    assert {each["trace"] for each in tape.exchanges(wanted)} == {traces[name].trace_id for name in expected}
    assert len(tape.after(0, wanted)) == len(expected)


def test_pages_follow_each_other(tape: Tape) -> None:
    tape.append([entry() for _ in range(10)])
    first = tape.exchanges(Wanted(), 4)
    second = tape.exchanges(Wanted(), 100, first[-1]["last"])
    assert len(first) == 4
    assert len(second) == 6
    assert not {each["trace"] for each in first} & {each["trace"] for each in second}
