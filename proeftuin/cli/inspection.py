"""Commands on what the audit log says: check a client's overview, look through the log as an auditor."""

from pathlib import Path
from typing import Annotated

import typer

from proeftuin.cli.checks import log_app
from proeftuin.cli.command import HOME, HomeOption, console, explained, home_at


def _file(what: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(help=what, exists=True, dir_okay=False)
    return found


@log_app.command("verify-overview")
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
