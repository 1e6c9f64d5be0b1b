"""Looking at an exchange while the network is down."""

from pathlib import Path

from typer.testing import CliRunner

from proeftuin.cli import app
from proeftuin.sandbox.home import Home


def test_trace_says_in_a_line_that_the_log_cannot_be_read(tmp_path: Path) -> None:
    Home(tmp_path).prepare(Path(__file__).parents[3] / "parties.toml", 9940)
    told = CliRunner().invoke(app, ["trace", "ab" * 16, "--home", str(tmp_path)])
    assert told.exit_code == 1
    assert "the log cannot be read" in told.output
    assert "`proeftuin up` starts the network" in told.output
    assert "Traceback" not in told.output
