"""A network in pieces: each instance in a process of its own, to be killed and started again."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.home import Home
from proeftuin.transport.client import Client, Unreachable

ROOT = Path(__file__).parent.parent.parent
_SERVE = "import sys; from functools import partial; from pathlib import Path; from proeftuin.sandbox import host; "
_SERVE += "host.configure_logging(); host.run([partial(host.listener, Path(sys.argv[1]))])"


class Processes:
    """The instances of a sandbox that run, by name."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *instances: str) -> None:
        """Start one instance, or under a name of one's own several in one process."""
        command = [sys.executable, "-m", "proeftuin", "serve", *(instances or [name]), "--home", str(self._home.path)]
        with (self._home.path / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)

    def start_with(self, name: str, change: str) -> None:
        """Start one instance in which `change` (Python) was done before it begins."""
        code = f"{change}\n{_SERVE}"
        with (self._home.path / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-c", code, str(self._home.settings_file(name))]
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)

    def start_beside(self, name: str, beside: str, port: int) -> None:
        """Start a second process `beside` of an instance, on its databases and keys and at a port of its own."""
        settings = self._home.settings_file(name)
        copy = settings.with_name(f"{beside}.json")
        copy.write_text(json.dumps(json.loads(settings.read_text()) | {"port": port}))
        with (self._home.path / f"{beside}.log").open("ab") as log:
            self._running[beside] = subprocess.Popen([sys.executable, "-c", _SERVE, str(copy)], stdout=log, stderr=log, cwd=ROOT)

    def signal(self, name: str, signal: int) -> None:
        """Send a signal to one instance."""
        self._running[name].send_signal(signal)

    def kill(self, name: str) -> None:
        """End one instance as a power failure does."""
        process = self._running.pop(name)
        process.send_signal(SIGKILL)
        process.wait()

    def kill_all(self) -> None:
        """Leave nothing behind."""
        for name in list(self._running):
            self.kill(name)


def event(number: str, patient: str | None = None) -> dict[str, Any]:
    """Return a small AuditEvent, about a client when `patient` (a BSN) is given."""
    content: dict[str, Any] = {
        "resourceType": "AuditEvent", "id": number, "recorded": "2026-06-01T12:00:00.000Z", "outcome": "0",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": True, "who": {"display": "load"}}], "source": {"observer": {"display": "load"}},
    }  # fmt: skip
    if patient is not None:
        content["entity"] = [{"what": {"type": "Patient", "identifier": {"system": BSN_SYSTEM, "value": patient}}}]
    return content


def batch(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return events as the batch in which an outbox sends them."""
    entries = [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each, "request": {"method": "POST"}} for each in events]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


async def answers(client: Client, url: str) -> None:
    """Wait until an instance answers."""
    while True:
        try:
            await client.request("GET", url)
            return
        except Unreachable:
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; the test as a whole has the time limit."""
    while not await condition():  # noqa: ASYNC110 -- what is waited for happens in another process
        await asyncio.sleep(0.05)


def new_id() -> str:
    """Return an id that no event had before."""
    return str(uuid.uuid4())
