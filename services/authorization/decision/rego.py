"""The Rego engine, in a process of its own (rego_process.py): one for each process of ours, shared by its instances.

In one process with another C++ library the engine leaks: docs/decisions/0012-policies-in-rego.md. An engine that died, hangs or has
grown is replaced; one that gave no answer is asked once more, and then whoever asks denies.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)
PROGRAM = Path(__file__).with_name("rego_process.py")
EVALUATION, LOADING = 5, 30  # seconds until an engine that does not answer is ended
BOUND = 512 * 2**20  # bytes in use at which it is replaced, in case it leaks after all; four versions of our policies take 200 MB


class Unevaluable(Exception):  # noqa: N818 - whoever asks denies
    """The rules gave no answer: a fault in them or in the engine, and never a reason to allow."""


class RegoError(ValueError):
    """The engine refused what it was asked, in its words: policies that do not compile, or a rule without a value."""


class PolicySet:
    """Modules in Rego, the data that they read, and the rules that are asked (`package.rule`); `key` is over all of it."""

    def __init__(self, modules: dict[str, str], data: dict[str, Any], rules: list[str]) -> None:
        content = {"modules": modules, "data": data, "rules": rules}
        self.key = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self.loading = _line({"load": content, "key": self.key}, LOADING)


class Process:
    """One process of the engine; it ends when this one does. Raises OSError when it does not start or answer."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:  # a session of its own, because Ctrl-C is not for it; its output would only repeat the errors of a load
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", str(PROGRAM)], stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True
            )
        self.pid = self._process.pid

    def ask(self, line: bytes, within: int) -> dict[str, Any]:
        """Return the answer to one request of rego_process.py."""
        try:
            self._socket.settimeout(within)
            self._socket.sendall(line)
            answer = b""
            while not answer.endswith(b"\n"):
                part = self._socket.recv(2**16)
                if not part:
                    raise ConnectionError("it ended")
                answer += part
        except BaseException:
            self._socket.close()  # or the next question would get the answer to this one
            raise
        found: dict[str, Any] = json.loads(answer)
        return found

    def end(self) -> int:
        """End it; returns its exit code, negative for a signal."""
        self._socket.close()
        self._process.kill()
        return int(self._process.wait())


class Engine:
    """What this process asks its Rego engine; started at the first question, also after a fork."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self.process: Process | None = None
        self._lock = threading.Lock()

    def load(self, policies: PolicySet) -> None:
        """Compile a set of policies; raises RegoError when it does not compile, Unevaluable when the engine gives no answer."""
        self._ask(policies, policies.loading, LOADING)

    def evaluate(self, policies: PolicySet, rule: str, facts: dict[str, Any]) -> Any:  # noqa: ANN401 - what the rule says
        """Return the value of a rule of a set that was loaded; raises Unevaluable."""
        try:
            return self._ask(policies, _line({"key": policies.key, "rule": rule, "facts": facts}, EVALUATION), EVALUATION)
        except RegoError as error:
            raise Unevaluable(f"{rule} has no value for this request") from error

    def _ask(self, policies: PolicySet, line: bytes, within: int) -> Any:  # noqa: ANN401 - see evaluate
        with self._lock:
            for _ in range(2):
                try:
                    self.process = self.process or Process()
                    answer = self.process.ask(line, within)
                    if "unknown" in answer:
                        self.process.ask(policies.loading, LOADING)
                        answer = self.process.ask(line, within)
                except OSError as error:
                    self._replace(repr(error))
                    continue
                if answer["rss"] > BOUND:
                    self._replace(f"it has grown to {answer['rss']} bytes")
                if "value" not in answer:
                    raise RegoError(answer.get("fault", "these policies are not loaded"))
                return answer["value"]
        raise Unevaluable("the rego engine gave no answer")

    def _replace(self, fault: str) -> None:
        code = self.process.end() if self.process else None
        self.process = None
        log.error("the rego engine is replaced", fault=fault, exit_code=code)


def _line(request: dict[str, Any], within: int) -> bytes:
    return json.dumps(request | {"within": within}).encode() + b"\n"


ENGINE = Engine()
