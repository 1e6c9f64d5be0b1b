"""One hop of an exchange as a person or a test sees it: from, to, what, outcome, reason, milliseconds, and what was expected."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Hop:
    """A finished hop. `status` is the HTTP status (0: no HTTP answer), `reason` a code of the catalogue or "ok"."""

    name: str
    source: str
    target: str
    what: str
    status: int
    reason: str
    milliseconds: float
    expected: str
    trace_id: str = ""

    @property
    def ok(self) -> bool:
        """Whether the outcome is the expected one."""
        return self.reason == self.expected

    def as_json(self) -> dict[str, Any]:
        """Return the hop as the demo writes it: name, from, to, what, status, reason, milliseconds, expected, ok, trace_id."""
        content = asdict(self)
        content["from"], content["to"] = content.pop("source"), content.pop("target")
        return content | {"milliseconds": round(self.milliseconds, 2), "ok": self.ok}


@dataclass(slots=True)
class Hops:
    """The hops of a run, told to `watch` as they happen; `scenario` names those that follow."""

    watch: Callable[[Hop], None] = lambda _: None
    scenario: str = ""
    all: list[Hop] = field(default_factory=list)

    def add(self, hop: Hop) -> None:
        """Add a finished hop."""
        self.all.append(hop)
        self.watch(hop)

    @property
    def ok(self) -> bool:
        """Whether there are hops and every one ended as expected."""
        return bool(self.all) and all(hop.ok for hop in self.all)


def milliseconds_since(started: float) -> float:
    """Return the milliseconds since `started` (time.perf_counter)."""
    return (time.perf_counter() - started) * 1000
