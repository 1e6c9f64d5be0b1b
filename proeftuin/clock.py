"""The clock of a service: injected, so that a test or the sandbox can move time."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the moment a decision is made at."""

    def now(self) -> datetime:
        """Return the present moment, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, timezone-aware, in UTC."""
        return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """Write a moment as a FHIR `instant` in UTC with milliseconds (FHIR R4 §2.24.0.1)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
