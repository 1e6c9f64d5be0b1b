"""Lines of the overview: what is one request is one line, and nothing else is drawn into it."""

from typing import Any

import pytest

from proeftuin.overview.lines import lines

ASKER, SOURCE, VENDOR = ({"name": name, "identifier": name} for name in ("asker", "source", "vendor"))


def row(end: str | None, **over: Any) -> dict[str, Any]:
    """A row of one end; the asking one sees the vendor who runs the services of the source."""
    made: dict[str, Any] = {
        "end": end, "organisation": ASKER, "asked_of": VENDOR if end == "asking" else SOURCE, "asked_at": "https://host:1",
        "delivered_by": "ura:asker" if end == "asking" else "ura:source", "trace_id": "t", "request_id": "r", "event": "read",
        "when": "2026-03-01T10:00:00.000Z", "what": "viewed", "outcome": "given", "categories": ["Condition"],
    }  # fmt: skip
    return made | over


ASKED, ASKING = row("asked"), row("asking")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([ASKING, ASKED], [([1, 0], "both")]),
        ([ASKED], [([0], "asked")]),
        ([ASKING], [([0], "asking")]),
        ([row(None)], [([0], "one")]),
        ([ASKED, row("asking", request_id="other")], [([0], "asked"), ([1], "asking")]),
        ([ASKED, row("asking", trace_id="other")], [([0], "asked"), ([1], "asking")]),
        ([ASKED, row("asking", asked_at="https://host:2")], [([0], "asked"), ([1], "asking")]),
        ([ASKED, row("asking", delivered_by="ura:thief")], [([0], "asked"), ([1], "one")]),  # it says that it is the asker
        ([row("asked", delivered_by="ura:thief"), ASKING], [([0], "one"), ([1], "asking")]),
        ([ASKED, row("asking", organisation=SOURCE, delivered_by="ura:source")], [([0], "asked"), ([1], "asking")]),
        ([ASKED, row("asking", when="2026-03-01T10:01:00.000Z")], [([0, 1], "both")]),
        ([ASKED, row("asking", when="2026-03-01T10:01:00.001Z")], [([0], "asked"), ([1], "asking")]),  # the number used again
        ([row("asked", request_id=None), row("asking", request_id=None)], [([0], "one"), ([1], "one")]),
        ([row("asked", organisation=SOURCE)], [([0], "one")]),  # within one organisation
    ],
)  # fmt: skip
def test_what_is_one_line(rows: list[dict[str, Any]], told: list[tuple[list[int], str]]) -> None:
    assert [(line["rows"], line["ends"]) for line in lines(rows)] == told


def test_a_bundle_is_one_line_and_what_is_told_again_is_counted() -> None:
    other = row("asked", categories=["Patient"])
    (line,) = lines([ASKED, ASKED, other, ASKING, ASKING])
    assert (line["times"], len(line["rows"])) == (2, 5)


def test_ends_that_contradict_each_other_are_told() -> None:
    (line,) = lines([ASKED, row("asking", outcome="refused")])
    assert line["agree"] is False


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        ([row("asked", event="ITI-102")], True), ([row("asked", event="AuthZ-Consent", outcome="refused")], True),
        ([row("asked", event="ITI-71")], True), ([row("asked", event="ITI-71", outcome="refused")], False),
        ([row("asked", event="read")], False), ([row("asked", event="ITI-71"), row("asking", event="read")], False),
    ],
)  # fmt: skip
def test_what_a_system_does_on_account_of_a_request_is_a_step(rows: list[dict[str, Any]], step: bool) -> None:
    (line,) = lines(rows)
    assert line["step"] is step


def test_every_row_stands_in_one_line() -> None:
    rows = [ASKED, ASKING, row("asked", trace_id="2"), row(None), ASKED, row("asking", trace_id="2")]
    assert sorted(place for line in lines(rows) for place in line["rows"]) == list(range(len(rows)))
