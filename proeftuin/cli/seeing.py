"""Commands that show what went over the network: the web console, and one exchange in the terminal."""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from proeftuin.cli.command import HOME, HomeOption, console, explained, home_at


@explained
def web_console(home: HomeOption = HOME) -> None:
    """Serve the web console alone, beside a network that runs already (also in containers), until Ctrl-C."""
    from proeftuin.sandbox import host
    from proeftuin.sandbox.web import app as web

    sandbox = home_at(home)
    host.configure_logging()
    host.run([partial(web.listener, sandbox)], lambda: console.print(f"console: {sandbox.topology.console}", highlight=False))


@explained
def trace(
    trace_id: Annotated[str, typer.Argument(help="32 hexadecimal digits, as each refusal names them; or `last`.")] = "last",
    home: HomeOption = HOME,
    har: Annotated[Path | None, typer.Option("--har", help="Write the exchange to this file, as HAR 1.2.")] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a Mermaid sequence diagram.")] = False,
) -> None:
    """Show one exchange: each hop with its outcome, and of each refusal what to change; exit 1 when nobody knows it."""
    from proeftuin.reasons import Refused
    from proeftuin.sandbox.care_system import Stopped
    from proeftuin.sandbox.web.diagram import mermaid as as_mermaid
    from proeftuin.sandbox.web.har import archive

    sandbox = home_at(home)
    try:
        found = asyncio.run(_find(sandbox, trace_id))
    except Refused as refused:
        raise Stopped(f"the log cannot be read ({refused.detail}); `proeftuin up` starts the network") from refused
    if found is None:
        raise Stopped(
            f"neither tape nor log has an exchange {trace_id[:64]!r}; `proeftuin up` records, and the tape keeps the newest"
        )
    if har is not None:
        har.write_text(json.dumps(archive(found), indent=1) + "\n")
    if mermaid:
        sys.stdout.write(as_mermaid(found))
    elif har is None:
        _print(found)
        console.print(f"{sandbox.topology.console}/exchanges/{found.trace_id}", highlight=False)


async def _find(sandbox: Any, trace_id: str) -> Any:  # noqa: ANN401 - see home_at
    from proeftuin.sandbox.web.exchanges import exchange_of
    from proeftuin.sandbox.web.log_reader import LogReader
    from proeftuin.tape.store import Wanted

    newest = sandbox.tape.exchanges(Wanted(), 1) if trace_id == "last" else [{"trace": trace_id.lower()}]
    reader = LogReader(sandbox)
    try:
        return await exchange_of(sandbox, reader, newest[0]["trace"]) if newest else None
    finally:
        await reader.close()


def _print(exchange: Any) -> None:  # noqa: ANN401 - an Exchange; imported late
    from proeftuin.sandbox.web.explain import explain

    console.print(f"exchange {exchange.trace_id}: {len(exchange.hops)} hops, {len(exchange.refusals)} refused", highlight=False)
    for hop in exchange.hops:
        indent = "  " * hop.depth
        ends = f"{hop.source.party} ({hop.source.role}) -> {hop.target.party} ({hop.target.role})"
        sign, style = ("\N{BALLOT X}", "bold red") if hop.refused else ("\N{CHECK MARK}", "green")
        line = Text(printable(f"{hop.number:3} {indent}{ends}: {hop.what}  "))
        console.print(line.append(f"{sign} {hop.outcome}", style).append(f"  {hop.milliseconds:.0f} ms"), soft_wrap=True)
        explanation = explain(hop) or {"found": [], "change": []}
        told = [("found", text, "") for text in explanation["found"]]
        told += [("change", text, "yellow") for text in explanation["change"] if not hop.cause]
        told += [
            ("log", f"no event of the {end} end", "dim") for end in ("calling", "serving") if not getattr(hop, end)
        ]  # fmt: skip
        for kind, text, style in told:
            console.print(Text(printable(f"      {indent}{kind}: {text}"), style), soft_wrap=True)


def printable(text: str) -> str:
    """Return `text` without what a terminal would take as a command: a path may hold anything."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
