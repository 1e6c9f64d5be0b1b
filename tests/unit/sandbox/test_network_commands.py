"""The commands that run the network: what they leave running, and what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proeftuin.cli import network
from proeftuin.sandbox import running, seeding
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.home import Home


@pytest.mark.parametrize(
    ("arguments", "ran", "fault", "code", "runs"),
    [
        (["--detach"], False, None, 0, True),
        (["--detach"], False, "seed", 1, False),
        (["--detach"], False, "demo", 1, False),
        (["--detach", "--no-demo"], False, "seed", 1, False),
        (["--detach"], True, None, 0, True),
        (["--detach"], True, "seed", 1, True),  # it did not start it
        (["--detach"], True, "demo", 1, True),
        (["--stop"], False, None, 0, False),
        (["--stop"], True, "demo", 1, False),
        (["--stop", "--detach"], False, "seed", 1, False),
    ],
)
def test_what_ends_badly_leaves_nothing_running_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], ran: bool, fault: str | None, code: int, runs: bool
) -> None:
    up = {1} if ran else set()

    async def seed(_home: Home) -> None:
        if fault == "seed":
            raise Stopped("the network cannot be filled")

    monkeypatch.setattr(running, "pid_of", lambda _home: next(iter(up), None))
    monkeypatch.setattr(running, "start", lambda _home, *, processes: up.add(1))
    monkeypatch.setattr(running, "stop", lambda _home: up.clear())
    monkeypatch.setattr(seeding, "seed", seed)
    monkeypatch.setattr(Home, "prepare", lambda home, *_, **__: (home.path / "x").mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(Home, "topology", type("Topology", (), {"console": "http://localhost:1"}))
    monkeypatch.setattr(network, "_play", lambda *_, **__: fault != "demo")
    done = CliRunner().invoke(network.app, ["up", "--home", str(tmp_path), *arguments])
    assert (done.exit_code, bool(up)) == (code, runs), done.output


@pytest.mark.parametrize(
    ("bundle", "told"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, "nothing loaded: "),
        ({"resourceType": "Bundle", "type": "collection", "entry": []}, "nothing loaded: "),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{}]}, "1 loaded, registered for localization: nothing"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{}, {}]}, "2 loaded, registered for localization: Condition"),
    ],
)
def test_load_says_how_much_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: dict[str, Any], told: str) -> None:
    class System:
        async def discover(self) -> None: ...

        async def close(self) -> None: ...

    async def load(_home: Home, _system: Any, sent: dict[str, Any]) -> list[str]:
        return ["Condition"] if len(sent.get("entry", [])) > 1 else []

    (tmp_path / "network.json").write_text("{}")
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    monkeypatch.setattr(seeding, "care_system", lambda *_: System())
    monkeypatch.setattr(seeding, "load", load)
    done = CliRunner().invoke(network.app, ["load", str(tmp_path / "bundle.json"), "--party", "x", "--home", str(tmp_path)])
    assert done.exit_code == 0
    assert done.output.startswith(told)


def test_the_ports_are_moved_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """README: PROEFTUIN_BASE_PORT=9440 make sandbox."""
    asked: list[int] = []
    monkeypatch.setattr(Home, "prepare", lambda _home, _parties, base_port, *_, **__: asked.append(base_port))
    done = CliRunner().invoke(network.app, ["prepare", "--home", str(tmp_path)], env={"PROEFTUIN_BASE_PORT": "9440"})
    assert (done.exit_code, asked) == (0, [9440])
