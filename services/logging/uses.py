"""The uses that patterns look at, from the columns by which events are found: no document is opened."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.clock import instant
from services.logging import store
from services.logging.patterns import Use

MOST = 200_000  # events that one question may look at
_VIEWED = {"read", "vread", "search-type", "history-type", "history-instance"}
_BROUGHT = {"create", "update", "patch", "delete", "transaction"}  # bringing in is no use
_CONSEQUENCES = {"AuthZ-Consent", "ITI-102"}  # a holder that asks consent, or its own server, on account of another's request
_NO_USE = _BROUGHT | _CONSEQUENCES
_EMERGENCY = {"ETREAT", "BTG"}
_TOKEN = 64  # characters of what stands for a BSN: the user was a client
_COLUMNS = (
    "seq", "event_id", "recorded", "observer", "organization", "agent", "role", "subtype", "outcome", "purpose", "trace_id",
    "request_id",
)  # fmt: skip


class TooManyError(ValueError):
    """The question looks at more events than MOST."""


@dataclass(frozen=True, slots=True)
class Within:
    """Whose events are looked at, and from when to when: those of one `source` and `observer`, of one `organization`, or all."""

    since: datetime
    until: datetime
    source: str | None = None
    observer: str | None = None
    organization: str | None = None


def load(connection: sa.Connection, within: Within) -> list[Any]:
    """Return the events of persons within a period, as rows for `merged`; raises TooManyError rather than leave one out."""
    rows = list(connection.execute(statement(within)).all())
    if len(rows) > MOST:
        raise TooManyError
    return rows


def statement(within: Within) -> sa.Select[Any]:
    """Return the statement that finds the events, and one more than may be looked at."""
    columns = store.events.c
    found = (
        sa.select(*(columns[name] for name in _COLUMNS), store.subjects.c.patient_token)
        .join(store.subjects, store.ABOUT)
        .where(columns.recorded >= instant(within.since), columns.recorded < instant(within.until), columns.agent.is_not(None))
        .limit(MOST + 1)
    )
    for name in ("source", "observer", "organization"):
        value = getattr(within, name)
        if value is not None:
            found = found.where(columns[name] == value)
    return found


def merged(rows: Iterable[Any]) -> Iterator[Use]:
    """Yield one use for each request: what both ends say of it together. A row has _COLUMNS and `patient_token`.

    The caller chooses the number of a request: what one end logs twice under one number are two requests.
    """
    requests: dict[tuple[Any, ...], list[Any]] = {}
    told: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        if not _is_use(row):
            continue
        request = (row.trace_id, row.request_id) if row.trace_id and row.request_id else (row.seq,)
        key = (*request, row.organization, row.agent, row.patient_token, _what(row))
        told[*key, row.observer] += 1
        requests.setdefault((*key, told[*key, row.observer]), []).append(row)
    for ends in requests.values():
        first = min(ends, key=lambda row: (row.recorded, row.seq))
        purpose = next((row.purpose for row in ends if row.purpose), None)
        yield Use(
            at=datetime.fromisoformat(first.recorded),
            organization=first.organization,
            agent=first.agent,
            client=first.patient_token,
            what=_what(first),
            events=tuple(sorted((row.seq, row.event_id) for row in ends)),
            purpose=purpose,
            emergency=any(row.purpose in _EMERGENCY for row in ends),
            role=next((row.role for row in ends if row.role), None),
        )


def _is_use(row: Any) -> bool:  # noqa: ANN401 - a row of the table
    """Whether a professional asked: no system (its number is the organisation's own), no client, nobody who brought data in."""
    if row.organization is None or row.agent == row.organization.rpartition("|")[2] or len(row.agent) == _TOKEN:
        return False
    return row.subtype not in _NO_USE


def _what(row: Any) -> str:  # noqa: ANN401 - a row of the table
    if (row.outcome or "0") != "0":
        return "refused"
    return "viewed" if row.subtype in _VIEWED else "requested"
