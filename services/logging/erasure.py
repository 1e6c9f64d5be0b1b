"""Erasing what an event says, after its retention or by order of a court; its place in the tree stays, and so does the proof."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from services.logging import store

YEARS = 5  # from the moment that the line was written (Stcrt. 2019, 38007)
GONE = b""  # in the place of document and nonce: what they were cannot be found from the entry

_SAYING = ("organization", "agent", "purpose", "role", "trace_id", "request_id", "facets")
NOTHING = {"document": GONE, "nonce": GONE} | dict.fromkeys(_SAYING)


def latest(now: datetime) -> datetime:
    """Return the moment before which events may be erased."""
    try:
        return now.replace(year=now.year - YEARS)
    except ValueError:  # 29 February
        return now.replace(year=now.year - YEARS, day=28)


def kept_before(connection: sa.Connection, moment: str) -> list[int]:
    """Return the places of the events that were received before `moment` and still say something."""
    where = (store.events.c.received < moment, store.events.c.document != GONE)
    return list(connection.scalars(sa.select(store.events.c.seq).where(*where).order_by(store.events.c.seq)))


def kept_among(connection: sa.Connection, places: list[int]) -> list[int]:
    """Return those of `places` at which an event stands that still says something."""
    where = (store.events.c.seq.in_(places), store.events.c.document != GONE)
    return list(connection.scalars(sa.select(store.events.c.seq).where(*where).order_by(store.events.c.seq)))


def ranges(places: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending places as ranges, first and last included."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1] = found[-1][0], place
        else:
            found.append((place, place))
    return found


def written(found: list[tuple[int, int]]) -> str:
    """Return ranges as the event of the erasure names them."""
    return ",".join(f"{first}-{last}" for first, last in found)


def erase(connection: sa.Connection, found: list[tuple[int, int]], event: int) -> None:
    """Erase the events in these ranges; `event` is the place of the event that tells of it."""
    for first, last in found:
        place = sa.between(store.events.c.seq, first, last)
        connection.execute(store.events.update().where(place).values(**NOTHING))
        connection.execute(store.subjects.delete().where(sa.between(store.subjects.c.seq, first, last)))
        connection.execute(store.erasures.insert().values(first=first, last=last, event=event))
