"""The clock of a service: injected, so that a test or the sandbox can move time.

Grants, tokens, consents and statements on persons live by `now`, which the sandbox moves. Certificates, revocation lists and
proofs of possession (DPoP, client assertions) live by `real`: TLS and the callers make them with clocks that nobody moves.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Gives the moment a decision is made at."""

    def now(self) -> datetime:
        """Return the present moment, timezone-aware, in UTC."""
        ...

    def real(self) -> datetime:
        """Return the moment on clocks outside, by which certificates and proofs of possession are judged."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, timezone-aware, in UTC."""
        return datetime.now(UTC)

    real = now


class SandboxClock(SystemClock):
    """The machine's clock, moved by the number of seconds that `file` holds; without that file nothing is moved."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the moved moment; the file is looked at each time, and read when it changed."""
        try:
            stat = self._file.stat()
        except OSError:
            self._stamp, self._offset = None, timedelta()
        else:
            if (stamp := (stat.st_mtime_ns, stat.st_ino)) != self._stamp:
                self._stamp, self._offset = stamp, timedelta(seconds=offset_in(self._file))
        return self.real() + self._offset


LONGEST_MOVE = timedelta(days=3650)


def offset_in(file: Path) -> float:
    """Return by how many seconds the sandbox's time is moved."""
    with contextlib.suppress(OSError, ValueError):
        found = float(file.read_text())
        if abs(found) <= LONGEST_MOVE.total_seconds():
            return found
    return 0.0


def instant(moment: datetime) -> str:
    """Write a moment as a FHIR `instant` in UTC with milliseconds (FHIR R4 §2.24.0.1)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
