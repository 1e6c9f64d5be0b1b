"""Running instances: all in one process, or forked after import, one process each."""

import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
import uvloop

from proeftuin import settings
from proeftuin.sandbox.topology import APPLICATIONS
from proeftuin.service import Service
from proeftuin.transport.server import Listener, serve

Make = Callable[[], Listener]  # called in the process that will serve it


def configure_logging(stream: str | None = None) -> None:
    """Write structured log lines (JSON, one a line) to the file `stream`, or to standard error."""
    target = open(stream, "a", buffering=1) if stream else sys.stderr  # noqa: SIM115 - open for the life of the process
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )


def listener(settings_file: Path) -> Listener:
    """Put one instance together from its settings file."""
    loaded = settings.load(settings_file)
    app = importlib.import_module(APPLICATIONS[loaded.service]).create_app(loaded)
    service: Service = app.state.service
    return service.listener(app)


def run(listeners: list[Make], started: Callable[[], None] | None = None) -> None:
    """Serve what `listeners` make in this process until SIGTERM; raises PortInUse."""

    async def main() -> None:
        await serve([make() for make in listeners], started=started)

    uvloop.run(main())


def run_forked(groups: list[list[Make]], started: Callable[[], None] | None = None) -> None:
    """Serve each group in a process of its own, forked after the imports; the children end with this process."""
    for service in APPLICATIONS.values():
        importlib.import_module(service)
    children: list[int] = []
    pipes: list[int] = []
    for group in groups:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _die_with_parent()
            code = 0
            try:
                run(group, partial(_tell, writer))
            except BaseException as error:  # noqa: BLE001 - the child has nobody above it but the parent
                os.write(2, f"{error}\n".encode())
                code = 1
            os._exit(code)
        os.close(writer)
        children.append(pid)
        pipes.append(reader)

    def stop(_signal: int, _frame: object) -> None:
        for pid in children:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    ready = [os.read(reader, 1) for reader in pipes]
    if all(ready):
        if started is not None:
            started()
    else:
        stop(0, None)
    for pid in children:
        os.waitpid(pid, 0)
    if not all(ready):
        raise ChildProcessError("an instance did not start; its reason stands above")


def _tell(writer: int) -> None:
    os.write(writer, b"1")


def _die_with_parent() -> None:
    """Ask Linux to end this child when its parent is killed; elsewhere only the ordinary signals do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def write_state(path: Path, pid: int, ready: bool) -> None:
    """Write down which process runs the network."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"pid": pid, "ready": ready}))
    part.replace(path)
