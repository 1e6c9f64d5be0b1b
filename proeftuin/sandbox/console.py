"""What a person sees: each hop as it happens, in a table that grows; plain lines where there is no terminal."""

import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proeftuin.reasons import CATALOGUE
from proeftuin.sandbox.hops import Hop, Hops

WIDTHS = (20, 24, 24, 44, 6, 24, 9)
HEADINGS = ("scenario", "from", "to", "what", "status", "outcome", "ms")


class HopPrinter:
    """Prints hops to `console`; on a terminal aligned and coloured, elsewhere one line a hop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = ""
        self._headed = False

    def __call__(self, hop: Hop) -> None:
        """Print one hop."""
        if not self._console.is_terminal:
            mark = "ok" if hop.ok else "UNEXPECTED"
            self._console.print(
                f"{mark} {hop.name}: {hop.source} -> {hop.target}: {hop.what}: "
                f"{hop.status or 'tls'} {hop.reason} {hop.milliseconds:.1f} ms",
                soft_wrap=True, highlight=False, markup=False,
            )  # fmt: skip
            return
        table = Table(box=None, show_header=not self._headed, padding=(0, 1), pad_edge=False)
        for heading, width in zip(HEADINGS, WIDTHS, strict=True):
            table.add_column(
                heading, width=width, no_wrap=True, overflow="ellipsis", justify="right" if heading == "ms" else "left"
            )
        self._headed = True
        name = hop.name if hop.name != self._shown else ""
        self._shown = hop.name
        table.add_row(
            Text(name, "bold"), hop.source, hop.target, hop.what, str(hop.status or "tls"), outcome(hop), f"{hop.milliseconds:.1f}"
        )
        self._console.print(table)


def outcome(hop: Hop) -> Text:
    """Return the outcome with its colour: green as expected (a refusal too), red when it is not."""
    sign = "\N{CHECK MARK}" if hop.ok else "\N{BALLOT X}"
    style = "green" if hop.ok and hop.reason == "ok" else "yellow" if hop.ok else "bold red"
    text = f"{sign} {hop.reason}" + ("" if hop.ok else f" (expected {hop.expected})")
    return Text(text, style)


def summary(console: Console, hops: Hops, started: float) -> None:
    """Print what was seen: how many hops, which refusals with which remedy, and what was not as expected."""
    refusals = {hop.reason: hop for hop in hops.all if hop.reason != "ok" and hop.ok}
    wrong = [hop for hop in hops.all if not hop.ok]
    console.print()
    console.print(
        f"{len(hops.all)} hops in {time.perf_counter() - started:.1f} s, {len(refusals)} kinds of refusal, "
        f"{len(wrong)} not as expected",
        style="bold red" if wrong else "bold green",
    )
    for reason in refusals:
        remedy = CATALOGUE[reason].remedy if reason in CATALOGUE else ""
        console.print(f"  {reason}: {remedy}", highlight=False, markup=False)
    for hop in wrong:
        console.print(f"  NOT AS EXPECTED {hop.as_json()}", highlight=False, markup=False, style="red")


def write_json(path: Path, hops: Hops) -> None:
    """Write the hops as a JSON list: name, from, to, what, status, reason, milliseconds, expected, ok, trace_id."""
    path.write_text(json.dumps([hop.as_json() for hop in hops.all], indent=1) + "\n")
