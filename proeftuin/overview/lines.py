"""Rows that belong together as one line: both ends of one request log it, a Bundle by entry, and the client sees one use."""

from collections import Counter
from datetime import timedelta
from typing import Any

from proeftuin.overview.reading import moment

Row = dict[str, Any]
NEAR = timedelta(minutes=1)  # between what is told of one request: its caller chooses the number, and could use it again
_STEPS = {"ITI-102", "AuthZ-Consent", "evaluate", "110122", "110137"}  # what a system does on account of another request
_TOKEN = "ITI-71"  # noqa: S105 - the code of a token request: a step, unless it was refused


def lines(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the lines of `rows` (newest first): `{"rows": [places in `rows`], "ends", "agree", "times", "step"}`.

    Rows are one line when they name the same request of the same organisation at the same address within a minute, each delivered
    by the very end that logged it. The rows of who was asked come first. `ends`: "both", "asking" or "asked" (the other end does
    not tell it of this client), or "one" where one end is all there is. `agree`: all say given, or all refused. `times`: how often
    one end tells the same. `step`: only what a system does on account of another request.
    """
    groups: dict[tuple[Any, ...], list[list[int]]] = {}
    made: list[list[int]] = []
    for place, row in enumerate(rows):
        known = groups.setdefault(_request(row) or (place,), [])
        near = next((group for group in known if abs(moment(rows[group[0]]["when"]) - moment(row["when"])) <= NEAR), None)
        if near is None:
            known.append(near := [])
            made.append(near)
        near.append(place)
    return [_line(rows, group) for group in made]


def _request(row: Row) -> tuple[Any, ...] | None:
    """What the ends of one request have in common; None when the row cannot have another end."""
    own = {"asking": row["organisation"], "asked": row["asked_of"]}.get(row["end"])
    if own is None or row["delivered_by"].partition(":")[2] != own["identifier"] or not row["trace_id"] or not row["request_id"]:
        return None
    return row["trace_id"], row["request_id"], row["organisation"]["identifier"], row["asked_at"]


def _line(rows: list[Row], group: list[int]) -> dict[str, Any]:
    told = [rows[place] for place in group]
    ends = {row["end"] for row in told}
    alone = all(_request(row) is None or row["organisation"]["identifier"] == row["asked_of"]["identifier"] for row in told)
    same = Counter((row["end"], row["what"], tuple(row["categories"])) for row in told)
    return {
        "rows": sorted(group, key=lambda place: rows[place]["end"] != "asked"),
        "ends": "both" if len(ends) > 1 else "one" if alone else told[0]["end"],
        "agree": len({row["outcome"] for row in told}) == 1,
        "times": max(same.values()),
        "step": all(row["event"] in _STEPS or (row["event"] == _TOKEN and row["outcome"] == "given") for row in told),
    }
