"""The running network seen from the command line: start it in the background, wait for it, look at it, stop it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from proeftuin.sandbox.topology import Instance
from proeftuin.transport.client import Unreachable

START_TIMEOUT = 60.0  # seconds


class NotRunning(Exception):  # noqa: N818 - told to a person, with the way out
    """The network does not run, or did not start; the message says what to do."""


def state_file(home: Home) -> Path:
    """Return where it stands which process runs the network."""
    return home.path / "network.state"


def log_file(home: Home) -> Path:
    """Return where the network writes its log lines."""
    return home.path / "network.log"


def pid_of(home: Home) -> int | None:
    """Return the process that runs the network, None when there is none (a state left by a kill does not count)."""
    try:
        pid = int(json.loads(state_file(home).read_text())["pid"])
        os.kill(pid, 0)
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"proeftuin" not in command.read_bytes():
            return None  # the number was given to another program meanwhile
    except (OSError, ValueError, KeyError):
        return None
    return pid


def start(home: Home, *, processes: bool) -> None:
    """Start the network in the background and wait until every instance answers; raises NotRunning with the reason."""
    if pid_of(home) is not None:
        return
    state_file(home).unlink(missing_ok=True)
    before = log_file(home).stat().st_size if log_file(home).exists() else 0
    command = [sys.executable, "-m", "proeftuin", "serve", "--home", str(home.path), *(["--processes"] if processes else [])]
    with log_file(home).open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own command
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log_file(home).read_bytes()[before:].decode("utf-8", "replace").strip().splitlines()
            raise NotRunning("the network did not start: " + (lines[-1] if lines else f"exit {process.returncode}"))
        if state_file(home).exists() and json.loads(state_file(home).read_text())["ready"]:
            return
        time.sleep(0.02)
    process.terminate()
    raise NotRunning(f"the network did not start within {START_TIMEOUT:.0f} seconds; see {log_file(home)}")


def stop(home: Home, patience: float = 15.0) -> bool:
    """Stop the network and wait for its end; returns whether it ran."""
    pid = pid_of(home)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while pid_of(home) is not None and time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):  # it is another shell's child
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)
    if pid_of(home) is not None:
        os.kill(pid, signal.SIGKILL)
    state_file(home).unlink(missing_ok=True)
    return True


async def health(home: Home) -> list[tuple[Instance, dict[str, Any]]]:
    """Ask every instance how it is, with the certificate of the register; one that does not answer is down."""
    topology = home.topology
    system = care_system(home, topology.instance("addressing").operator)

    async def ask(instance: Instance) -> tuple[Instance, dict[str, Any]]:
        try:
            answer = await system.client.request("GET", f"{instance.base_url}/health")
            found: dict[str, Any] = answer.json()
        except (Unreachable, ValueError) as error:
            found = {"status": "down", "detail": str(error)}
        return instance, found

    try:
        return list(await asyncio.gather(*(ask(instance) for instance in topology.instances)))
    finally:
        await system.close()
