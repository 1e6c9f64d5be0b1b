"""Rows that belong together as one line: both ends of one request log it, and the client sees one use."""

from typing import Any

Row = dict[str, Any]


def lines(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the lines of `rows` (newest first) in their order: `{"rows": [places in `rows`], "ends", "agree"}`.

    Two rows are one line when one was logged by who asked and the other by who was asked, both name the same two organisations and
    the same request. `ends`: "both", "asking" or "asked" (the other end should have logged it and did not), or "one" where one end
    is all there is. `agree` is false when one end says that it was refused and the other that it was given.
    """
    partner: dict[int, int] = {}
    waiting: dict[tuple[Any, ...], int] = {}
    for place, row in enumerate(rows):
        key = _request(row)
        if key is None:
            continue
        other = waiting.pop((*key, _OTHER[row["end"]]), None)
        if other is None:
            waiting.setdefault((*key, row["end"]), place)  # a second of the same end stays a line of its own
        else:
            partner[other] = place
    taken = set(partner.values())
    return [_line(rows, place, partner.get(place)) for place in range(len(rows)) if place not in taken]


_OTHER = {"asking": "asked", "asked": "asking"}


def _request(row: Row) -> tuple[Any, ...] | None:
    """What both ends of one request have in common; None when the row cannot have another end."""
    organisations = (row["organisation"]["identifier"], row["asked_of"]["identifier"])
    if row["end"] not in _OTHER or not row["trace_id"] or not row["request_id"] or organisations[0] == organisations[1]:
        return None
    return row["trace_id"], row["request_id"], *organisations


def _line(rows: list[Row], first: int, second: int | None) -> dict[str, Any]:
    if second is None:
        row = rows[first]
        return {"rows": [first], "ends": "one" if _request(row) is None else row["end"], "agree": True}
    both = sorted((first, second), key=lambda place: rows[place]["end"] != "asked")  # the source knows best: it goes first
    agree = rows[first]["outcome"] == rows[second]["outcome"]
    return {"rows": both, "ends": "both", "agree": agree}
