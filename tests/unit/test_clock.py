"""The sandbox's clock: moved by a file, read at each look, and never without one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proeftuin.cli import app
from proeftuin.clock import SandboxClock, SystemClock


def ahead(clock: SandboxClock) -> float:
    """Return by how many seconds the clock is ahead, to the nearest ten: the test itself takes time."""
    return round((clock.now() - datetime.now(UTC)) / timedelta(seconds=10)) * 10


def test_it_is_moved_by_its_file_and_back_again(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock = SandboxClock(file)
    assert ahead(clock) == 0
    for text, seconds in (("600", 600), ("-300\n", -300), ("soon", 0), ("nan", 0), ("1e300", 0), ("", 0), ("86400", 86400)):
        file.unlink(missing_ok=True)
        file.write_text(text)
        assert ahead(clock) == seconds, text
    assert abs(clock.real() - datetime.now(UTC)) < timedelta(seconds=5)
    file.unlink()
    assert ahead(clock) == 0
    assert abs(SystemClock().now() - SystemClock().real()) < timedelta(seconds=5)


def test_the_command_moves_it_and_says_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text("{}")
    run = CliRunner()
    for arguments, seconds in (
        (["--forward", "10m"], 600),
        (["--forward", "90s"], 690),
        ([], 690),
        (["--reset"], 0),
        (["--forward", "1d"], 86400),
    ):
        result = run.invoke(app, ["clock", "--home", str(tmp_path), *arguments])
        assert result.exit_code == 0, result.output
        assert ahead(SandboxClock(tmp_path / "shared" / "clock")) == seconds


@pytest.mark.parametrize("words", ["10", "m", "-10m", "10w", "9999d", "999999999d", "1.5h"])
def test_the_command_refuses_what_is_no_time(tmp_path: Path, words: str) -> None:
    (tmp_path / "network.json").write_text("{}")
    assert CliRunner().invoke(app, ["clock", "--home", str(tmp_path), "--forward", words]).exit_code == 1
    assert not (tmp_path / "shared" / "clock").exists()
