"""Commands on what the audit log says: check a client's overview, look through the log as an auditor."""

from pathlib import Path
from typing import Annotated, Any

import typer

from proeftuin.cli.command import HOME, HomeOption, console, explained, home_at


def register(app: typer.Typer) -> None:
    """Put the commands of this file under `app`."""
    app.command("verify-overview")(verify_overview)
    app.command("audit")(audit)


def _file(what: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=what, exists=True, dir_okay=False)
    return found


@explained
def verify_overview(
    file: Annotated[Path, typer.Argument(help="The overview: JSON, PDF, page or CSV.", exists=True, dir_okay=False)],
    proof: Annotated[Path | None, _file("The JSON of the same moment, for a CSV.")] = None,
    log_key: Annotated[Path | None, _file("The key line of the log, kept from before; else the sandbox's own.")] = None,
    witness_key: Annotated[Path | None, _file("The key line of the witness; else the sandbox's own.")] = None,
    home: HomeOption = HOME,
) -> None:
    """Check a client's overview against the keys of log and witness, without asking any service; exit 1 when it does not hold."""
    from datetime import UTC, datetime

    from proeftuin.overview import checking

    keys = (
        log_key.read_text(encoding="utf-8") if log_key else _log_key(home),
        witness_key.read_text(encoding="utf-8") if witness_key else _witness_key(home),
    )
    try:
        found = checking.check(checking.open_file(file.read_bytes(), proof.read_bytes() if proof else None), keys)
    except ValueError as error:
        console.print(f"{file.name} does not hold: {error}", highlight=False, markup=False, style="bold red")
        raise typer.Exit(1) from error
    seen = "no witness has seen it yet"
    if found.cosigned is not None:
        seen = f"witnessed {datetime.fromtimestamp(found.cosigned, UTC):%Y-%m-%d %H:%M:%S} UTC"
    console.print(f"{found.rows} rows hold in a log of {found.size} events, {seen}", highlight=False)
    if found.withheld:
        console.print(f"of {found.withheld} only the place is proven: they are about others too", highlight=False)


@explained
def audit(
    party: Annotated[str, typer.Option(help="Whose events: the id in parties.toml.")],
    patterns: Annotated[bool, typer.Option("--patterns", help="What deserves a look, with the reason.")] = False,
    since: Annotated[str, typer.Option("--from", help="From this date; the last week.")] = "",
    until: Annotated[str, typer.Option("--to", help="To and with this date; now.")] = "",
    professional: Annotated[str, typer.Option(help="The UZI number of who asked.")] = "",
    purpose: Annotated[str, typer.Option(help="A purpose of use, such as TREAT.")] = "",
    denied: Annotated[bool, typer.Option("--denied", help="What was refused.")] = False,
    emergency: Annotated[bool, typer.Option("--emergency", help="What was opened with the emergency procedure.")] = False,
    officer: Annotated[str, typer.Option(help="Who looks: the party's own privacy officer.")] = "privacy officer",
    legal_basis: Annotated[str, typer.Option(help="Look as the supervisor, on this law: wkkgz-24, awb-5-17, wabvpz-15e.")] = "",
    case: Annotated[str, typer.Option(help="The supervisor's case.")] = "",
    home: HomeOption = HOME,
) -> None:
    """Look through the log as a party's privacy officer, or as the supervisor; every question is logged itself."""
    import asyncio
    from datetime import UTC, datetime, timedelta

    from proeftuin.sandbox import auditing

    ground = {"legal_basis": legal_basis, "case": case} if legal_basis else {"officer": officer}
    if patterns:
        question = [("from", since), ("to", until)]
    else:
        first = since or f"{datetime.now(UTC) - timedelta(days=7):%Y-%m-%d}"
        question = [("date", f"ge{first}"), ("date", until and f"le{until}"), ("agent.identifier", professional)]
        question += [("purpose", purpose), ("denied", "true" * denied), ("emergency", "true" * emergency)]
    asked = [(name, value) for name, value in question if value]
    found = asyncio.run(auditing.ask(home_at(home), party, asked, ground, patterns=patterns))
    for each in found:
        _show_finding(each) if patterns else _show_event(each)
    console.print(f"{len(found)} {'findings' if patterns else 'events'}", highlight=False)


def _show_finding(found: dict[str, Any]) -> None:
    places = ", ".join(str(event["index"]) for event in found["events"][:12])
    more = f" and {len(found['events']) - 12} more" if len(found["events"]) > 12 else ""
    for line in (
        f"{found['title']} ({found['pattern']})",
        f"  who       {found['agent']} of {found['organization'].rpartition('|')[2]}",
        f"  when      {found['since']} to {found['until']}",
        f"  how many  {found['count']}, on {found['clients']} clients",
        f"  events    {places}{more}",
        f"  means     {found['means']}",
        f"  innocent  {found['innocent']}\n",
    ):
        console.print(line, highlight=False, markup=False)


def _show_event(event: dict[str, Any]) -> None:
    from proeftuin.overview.reading import professional, read

    said = read(event)
    who = (professional(event) or ("", ""))[1]
    asked, of = said["organisation"]["name"] or "?", said["asked_of"]["name"] or "?"
    what = f"{said['what']} {' '.join(said['categories'])}".strip()
    told = f"{said['when']}  {asked} {who} -> {of}: {what}, {said['purpose'] or 'no purpose'}"
    console.print(told + (f", {said['reason']}" if said["reason"] else ""), highlight=False, markup=False)


def _keys_of(home: Path, service: str) -> tuple[Path, str]:
    """The folder of the keys of a national service of the sandbox, and its address without https://."""
    sandbox = home_at(home)
    instance = sandbox.topology.instance(service)
    folder: Path = sandbox.instance_folder(instance.name) / "tenants" / instance.operator / "keys"
    return folder, instance.base_url.removeprefix("https://")


def _log_key(home: Path) -> str:
    folder, _ = _keys_of(home, "logging")
    return (folder / "verifier").read_text(encoding="utf-8")


def _witness_key(home: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from proeftuin.transparency.cosignature import verifier_line

    folder, address = _keys_of(home, "witness")
    key = Ed25519PrivateKey.from_private_bytes((folder / "cosigner.key").read_bytes())
    return verifier_line(f"{address}/witness", key.public_key())
