"""Recording: around the application of an instance, so that every request is seen; written by a thread, beside the answers."""

import functools
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proeftuin.reasons import Reason
from proeftuin.tape.entry import Body, Taken, make, refused_handshake
from proeftuin.tape.store import Entry, Tape
from proeftuin.transport.tracing import Trace, from_headers

log = structlog.get_logger(__name__)
MOST_OF_BODY = 64 * 1024  # bytes
WAITING = 1000  # entries that may wait for the writer; what comes when it is full is not recorded
PAUSE = 0.0005  # seconds between two entries, in which those who answer get on: else they wait for the interpreter's 5 ms
GATHER = 0.25  # seconds, so that what belongs to one exchange is written together, and after it rather than during it


class Writer:
    """The thread of this process that writes to `tape`; a tape that fails, or is slow, fails nobody who gives it work."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._waiting: queue.Queue[Callable[[], Entry] | threading.Event] = queue.Queue(WAITING)
        self._missed = 0
        self._thread = threading.Thread(target=self._write, name="tape", daemon=True)
        self._thread.start()

    def put(self, later: Callable[[], Entry]) -> None:
        """Have `later` called in the thread, and what it returns written."""
        try:
            self._waiting.put_nowait(later)
        except queue.Full:
            self._missed += 1

    def flush(self) -> None:
        """Wait until everything that was put is written, or was not to be; five seconds at most."""
        done = threading.Event()
        try:
            self._waiting.put(done, timeout=1)
            done.wait(5)
        except queue.Full:
            log.warning("the tape is not complete")

    def _made(self, later: Callable[[], Entry] | threading.Event) -> list[Entry]:
        if isinstance(later, threading.Event):
            return []
        time.sleep(PAUSE)
        try:
            return [later()]
        except Exception as error:  # noqa: BLE001 - one that cannot be told does not take the others with it
            log.warning("not on the tape: it cannot be told", error=type(error).__name__)
            return []

    def _write(self) -> None:
        while True:
            waiting = [self._waiting.get()]
            if not isinstance(waiting[0], threading.Event):
                time.sleep(GATHER)
            while not self._waiting.empty():
                waiting.append(self._waiting.get_nowait())
            try:
                self._tape.append([entry for each in waiting for entry in self._made(each)])
            except Exception as error:  # noqa: BLE001 - whatever it was, the answers went out and go on
                log.warning("not on the tape", error=type(error).__name__, entries=len(waiting))
            if self._missed:
                log.warning("not on the tape: too much waited", entries=self._missed)
                self._missed = 0
            for each in waiting:
                if isinstance(each, threading.Event):
                    each.set()


@functools.cache
def writer(path: Path) -> Writer:
    """Return the one writer of this process for the tape at `path`: a process may run many instances."""
    return Writer(Tape(path))


class Recorder:
    """Has what one instance receives and answers written; `server` is the name in which the listener itself refuses (TLS)."""

    def __init__(self, writer: Writer, instance: str, service: str, server: str) -> None:
        self.writer = writer
        self._names = (instance, service)
        self._server = server

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return `app`, recorded."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began, started = time.time(), time.perf_counter()
            asked, answered = Body(), Body()
            status, headers = 0, []

            async def received() -> Message:
                message = await receive()
                asked.add(message.get("body", b""), MOST_OF_BODY)
                return message

            async def sent(message: Message) -> None:
                nonlocal status, headers
                if message["type"] == "http.response.start":
                    status, headers = message["status"], list(message.get("headers", ()))
                else:
                    answered.add(message.get("body", b""), MOST_OF_BODY)
                await send(message)

            try:
                await app(scope, received, sent)
            finally:
                taken = (began, (time.perf_counter() - started) * 1000, status, headers, asked, answered)
                self.writer.put(lambda: make(self._taken(scope, *taken)))

        return recorded

    def refused(self, reason: Reason, detail: str, trace: Trace) -> None:
        """Record a connection that TLS refused."""
        now = time.time()
        self.writer.put(lambda: refused_handshake(*self._names, self._server, reason, detail, trace, now))

    def _taken(self, scope: Scope, *rest: Any) -> Taken:  # noqa: ANN401 - the fields of Taken that follow
        record = scope.get("state", {}).get("record")
        trace = record.trace if record is not None else from_headers(Headers(scope=scope))
        return Taken(*self._names, scope, trace, record, *rest)
