"""The command `proeftuin`: start the network, play the exchange, manage the sandbox CA, load records."""

import asyncio
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from proeftuin.sandbox.topology import BASE_PORT

PARTIES = Path(__file__).parent.parent / "parties.toml"
app = typer.Typer(help="A living Dutch care network on one machine.", no_args_is_help=True, pretty_exceptions_enable=False)
pki_app = typer.Typer(help="The sandbox CA: issue, revoke, rotate and show certificates.", no_args_is_help=True)
parties_app = typer.Typer(help="The identity seed, parties.toml.", no_args_is_help=True)
log_app = typer.Typer(help="The audit log.", no_args_is_help=True)
app.add_typer(pki_app, name="pki")
app.add_typer(parties_app, name="parties")
app.add_typer(log_app, name="log")
console = Console(soft_wrap=not sys.stdout.isatty())

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="PROEFTUIN_HOME", help="The sandbox folder: certificates, keys, databases.")
]
PartiesOption = Annotated[Path, typer.Option("--parties", help="The identity seed.")]
PortOption = Annotated[int, typer.Option("--base-port", envvar="PROEFTUIN_BASE_PORT", help="All ports count from here.")]
HOME = Path(".proeftuin")


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a person can mend into one clear line and exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever typer passes
        from proeftuin.parties import SeedError
        from proeftuin.pki.authority import PkiError
        from proeftuin.sandbox.care_system import Stopped
        from proeftuin.sandbox.running import NotRunning
        from proeftuin.transport.server import PortInUse

        try:
            command(*args, **kwargs)
        except (SeedError, PkiError, Stopped, NotRunning, PortInUse, ChildProcessError) as error:
            Console(stderr=True, soft_wrap=True).print(f"proeftuin: {error}", style="bold red", markup=False, highlight=False)
            raise typer.Exit(1) from error

    return run


def home_at(path: Path, *, needs: bool = True) -> Any:  # noqa: ANN401 - Home is imported late, for a quick --help
    """Return the sandbox folder; with `needs` it must have been prepared."""
    from proeftuin.sandbox.home import Home
    from proeftuin.sandbox.running import NotRunning

    home = Home(path.absolute())
    if needs and not (home.path / "network.json").is_file():
        raise NotRunning(f"there is no sandbox in {path}: run `proeftuin up` first, or name its folder with --home")
    return home


@app.command()
@explained
def prepare(
    home: HomeOption = HOME,
    parties: PartiesOption = PARTIES,
    base_port: PortOption = BASE_PORT,
    database_server: Annotated[
        str, typer.Option(envvar="PROEFTUIN_DATABASE_SERVER", help="URL of a PostgreSQL superuser; SQLite files when absent.")
    ] = "",
) -> None:
    """Make the sandbox folder: CA, certificates, settings of every instance. What is there and still good stays."""
    home_at(home, needs=False).prepare(parties, base_port, database_server)


@app.command()
@explained
def serve(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all of them when none is named.")] = None,
    home: HomeOption = HOME,
    processes: Annotated[bool, typer.Option("--processes", help="One process for each instance.")] = False,
) -> None:
    """Run instances in the foreground until SIGTERM (what `up` starts, and what each container runs)."""
    from proeftuin.sandbox import host, running

    sandbox = home_at(home, needs=not instances)
    names = instances or [instance.name for instance in sandbox.topology.instances]
    files = [sandbox.settings_file(name) for name in names]
    host.configure_logging()

    def started() -> None:
        if not instances:
            host.write_state(running.state_file(sandbox), os.getpid(), ready=True)

    if processes:
        host.run_forked([[path] for path in files], started)
    else:
        host.run(files, started)


@app.command()
@explained
def up(
    home: HomeOption = HOME,
    parties: PartiesOption = PARTIES,
    base_port: PortOption = BASE_PORT,
    detach: Annotated[bool, typer.Option("--detach", help="Return when the network answers; it stays up.")] = False,
    processes: Annotated[bool, typer.Option("--processes", help="One process for each instance, forked after import.")] = False,
    show: Annotated[bool, typer.Option("--demo/--no-demo", help="Play the exchange and its refusals.")] = True,
    stay: Annotated[bool, typer.Option("--stay/--stop", help="Stay up afterwards, or stop everything.")] = True,
    output: Annotated[Path | None, typer.Option("--json", help="Write the hops to this file.")] = None,
) -> None:
    """Start the network, fill it, play the exchange and its refusals, and stay up."""
    from proeftuin.sandbox import running, seeding

    began = time.perf_counter()
    sandbox = home_at(home, needs=False)
    ok = True
    if running.pid_of(sandbox) is None:
        with console.status("certificates and settings"):
            sandbox.prepare(parties, base_port)
        with console.status("starting the services"):
            running.start(sandbox, processes=processes)
        console.print(f"network up in {time.perf_counter() - began:.1f} s, log in {running.log_file(sandbox)}", highlight=False)
    else:
        console.print("the network runs already", highlight=False)
    try:
        with console.status("addresses, records and consents"):
            asyncio.run(seeding.seed(sandbox))
        if show:
            ok = _play(sandbox, output, began, with_refusals=True)
        if not stay:
            return
        if not detach:
            _explain(sandbox)
            _wait(sandbox)
    finally:
        if not (stay and detach):
            running.stop(sandbox)
            console.print("network down", highlight=False)
        if not ok:
            raise typer.Exit(1)


@app.command()
@explained
def demo(
    home: HomeOption = HOME,
    output: Annotated[Path | None, typer.Option("--json", help="Write the hops to this file.")] = None,
    refusals: Annotated[bool, typer.Option("--refusals/--no-refusals", help="The refusals too.")] = True,
    pki: Annotated[str, typer.Option("--pki", help="The command that manages the CA, where it is not in the folder.")] = "",
    seed: Annotated[bool, typer.Option("--seed/--no-seed", help="Fill the network first.")] = False,
) -> None:
    """Play the exchange and its refusals against the running network; exit 0 only when all went as expected."""
    from proeftuin.sandbox import seeding

    sandbox = home_at(home)
    if seed:
        asyncio.run(seeding.seed(sandbox))
    if not _play(sandbox, output, time.perf_counter(), with_refusals=refusals, pki=shlex.split(pki)):
        raise typer.Exit(1)


@app.command()
@explained
def status(home: HomeOption = HOME) -> None:
    """Show every instance, its address and its health."""
    from proeftuin.sandbox import running

    sandbox = home_at(home)
    worst = 0
    for instance, found in asyncio.run(running.health(sandbox)):
        worst |= found["status"] == "down"
        detail = found.get("detail", "")
        console.print(f"{found['status']:8}{instance.name:40}{instance.base_url}  {detail}", highlight=False, markup=False)
    raise typer.Exit(int(worst))


@app.command()
@explained
def down(home: HomeOption = HOME) -> None:
    """Stop the network; what it stored stays."""
    from proeftuin.sandbox import running

    console.print("network down" if running.stop(home_at(home, needs=False)) else "the network did not run", highlight=False)


@app.command()
@explained
def reset(home: HomeOption = HOME) -> None:
    """Stop the network and throw the sandbox folder away: certificates, keys, databases."""
    from proeftuin.sandbox import running

    sandbox = home_at(home, needs=False)
    running.stop(sandbox)
    sandbox.remove()
    console.print(f"{home} is gone; `proeftuin up` makes a new one", highlight=False)


@app.command()
@explained
def logs(
    home: HomeOption = HOME,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 50,
) -> None:
    """Print the log lines of the services (JSON, one a line)."""
    from proeftuin.sandbox import running

    path = running.log_file(home_at(home))
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file.readlines()[-lines:]:
            sys.stdout.write(line)
        while follow:
            line = file.readline()
            if line:
                sys.stdout.write(line)
                sys.stdout.flush()
            else:
                time.sleep(0.2)


@app.command()
@explained
def curl(home: HomeOption = HOME) -> None:
    """Print the exchange as curl commands that work as they stand (for sh)."""
    from proeftuin.sandbox.curl import script

    sys.stdout.write(script(home_at(home)))


@app.command()
@explained
def load(
    file: Annotated[Path, typer.Argument(help="A FHIR R4 Bundle as your care system exports it.", exists=True, dir_okay=False)],
    party: Annotated[str, typer.Option("--party", help="Whose records: the id in parties.toml.")],
    home: HomeOption = HOME,
) -> None:
    """Load a Bundle into a party's datastation and register it for localization; what is wrong is named by element."""
    from proeftuin.sandbox import seeding
    from proeftuin.sandbox.care_system import Stopped

    sandbox = home_at(home)

    async def run() -> list[str]:
        system = seeding.care_system(sandbox, party)
        try:
            await system.discover()
            return await seeding.load(sandbox, system, bundle)
        finally:
            await system.close()

    try:
        bundle = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Stopped(f"{file} is no JSON: {error}") from error
    if not isinstance(bundle, dict):
        raise Stopped(f"{file} is no FHIR Bundle")
    categories = asyncio.run(run())
    console.print(f"loaded, and registered: {', '.join(categories)}", highlight=False)


@parties_app.command("check")
@explained
def parties_check(file: Annotated[Path, typer.Argument(help="The identity seed.")] = PARTIES) -> None:
    """Name every misalignment of the identity seed; exit 1 when there is one."""
    from proeftuin import parties as seeds

    faults = seeds.check(seeds.load(file))
    for fault in faults:
        console.print(fault, highlight=False, markup=False)
    if faults:
        raise typer.Exit(1)
    console.print(f"{file.name} lines up", highlight=False)


@pki_app.command("issue")
@explained
def pki_issue(
    party: Annotated[str, typer.Argument(help="The id in parties.toml.")],
    home: HomeOption = HOME,
    name: Annotated[str, typer.Option(help="The name of the files.")] = "certificate",
    key: Annotated[str, typer.Option(help="p256 or rsa2048.")] = "p256",
    out: Annotated[Path | None, typer.Option(help="The folder; the party's own when absent.")] = None,
    days: Annotated[int, typer.Option(help="How long it is valid.")] = 90,
    until: Annotated[datetime | None, typer.Option(help="Its last moment (UTC) instead, also in the past.")] = None,
) -> None:
    """Issue a certificate of the party's kind: PEM chain, key, and PKCS#12 for your own client."""
    from proeftuin.pki.authority import PkiError
    from proeftuin.pki.export import export_pkcs12
    from proeftuin.sandbox.ca import validity
    from proeftuin.sandbox.home import PASSPHRASE

    if key not in ("p256", "rsa2048"):
        raise PkiError("--key is p256 or rsa2048")
    sandbox = home_at(home)
    not_before, not_after = validity(until.replace(tzinfo=UTC) if until else None)
    folder = out or sandbox.party_folder(party)
    issued = sandbox.authority.issue(
        sandbox.seed.party(party), folder=folder, name=name, key_type=key, days=days, not_before=not_before, not_after=not_after
    )
    export_pkcs12(issued.certificate, issued.key, folder / f"{name}.p12", PASSPHRASE, sandbox.ca_bundle)
    console.print(f"{issued.certificate}  serial {issued.serial:x}  until {issued.not_after:%Y-%m-%d}", highlight=False)


@pki_app.command("revoke")
@explained
def pki_revoke(
    serial: Annotated[str, typer.Argument(help="Hexadecimal, as `pki show` prints it.")], home: HomeOption = HOME
) -> None:
    """Put a certificate on the revocation list; it is refused at once, also on open connections."""
    home_at(home).authority.revoke(_serial(serial))


@pki_app.command("unrevoke")
@explained
def pki_unrevoke(serial: Annotated[str, typer.Argument(help="Hexadecimal.")], home: HomeOption = HOME) -> None:
    """Take a certificate off the revocation list."""
    home_at(home).authority.unrevoke(_serial(serial))


@pki_app.command("rotate")
@explained
def pki_rotate(
    party: Annotated[str, typer.Argument(help="The id in parties.toml.")],
    home: HomeOption = HOME,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the old one.")] = False,
) -> None:
    """Give a party a new certificate and key, and new ones for every instance in which it is hosted; no restart is needed."""
    sandbox = home_at(home)
    member = sandbox.seed.party(party)
    folders = [sandbox.party_folder(party)]
    for instance in sandbox.topology.instances:
        folder = sandbox.instance_folder(instance.name)
        if instance.operator == party:
            sandbox.authority.rotate(member, folder=folder, name="server", revoke=revoke)
        if party in instance.tenants:
            folders.append(folder / "tenants" / party)
    for folder in folders:
        issued = sandbox.authority.rotate(member, folder=folder, name="certificate", revoke=revoke)
        console.print(f"{issued.certificate}  serial {issued.serial:x}", highlight=False)


@pki_app.command("crl")
@explained
def pki_crl(home: HomeOption = HOME, days: Annotated[int, typer.Option(help="Until nextUpdate.")] = 30) -> None:
    """Publish the revocation lists anew."""
    home_at(home).authority.write_crls(days)


@pki_app.command("show")
@explained
def pki_show(home: HomeOption = HOME) -> None:
    """List every certificate: serial, party, kind, end, and whether it is revoked."""
    for entry in home_at(home).authority.index():
        revoked = f"revoked {entry.revoked:%Y-%m-%d %H:%M}" if entry.revoked else ""
        console.print(f"{entry.serial:040x}  {entry.party:30}{entry.kind:12}{entry.not_after:%Y-%m-%d}  {revoked}", highlight=False)


@log_app.command("verify")
@explained
def log_verify(home: HomeOption = HOME) -> None:
    """Recompute the whole log from its database: commitments, leaves, tiles, checkpoints; exit 1 at the first difference."""
    from proeftuin.sandbox.log_verification import verify

    report = verify(home_at(home))
    console.print(
        f"{report.events} events, {report.checkpoints} checkpoints: {report.fault or 'nothing was changed'}", highlight=False
    )
    if report.fault:
        raise typer.Exit(1)


def _serial(text: str) -> int:
    from proeftuin.pki.authority import PkiError

    try:
        return int(text, 16)
    except ValueError as error:
        raise PkiError("a serial is a hexadecimal number, as `proeftuin pki show` prints it") from error


def _play(sandbox: Any, output: Path | None, began: float, *, with_refusals: bool, pki: Sequence[str] = ()) -> bool:  # noqa: ANN401
    from proeftuin.sandbox.ca import Ca
    from proeftuin.sandbox.console import HopPrinter, summary, write_json
    from proeftuin.sandbox.demo import Demo
    from proeftuin.sandbox.hops import Hops

    hops = Hops(HopPrinter(console))
    try:
        ok = asyncio.run(Demo(sandbox, hops, Ca(sandbox, pki)).run(with_refusals=with_refusals))
    finally:
        if output is not None:
            write_json(output, hops)
    summary(console, hops, began)
    return ok


def _explain(sandbox: Any) -> None:  # noqa: ANN401 - see home_at
    from proeftuin.sandbox.curl import script

    console.print()
    for instance in sandbox.topology.instances:
        console.print(f"  {instance.name:40}{instance.base_url}", highlight=False)
    console.print(f"\ncertificates: {sandbox.path / 'parties'}/<party>/certificate.pem, .key, client.p12", highlight=False)
    console.print(
        f"CA: {sandbox.ca_bundle}\n\nthe exchange by hand, in a second terminal (also: proeftuin curl | sh):\n", highlight=False
    )
    sys.stdout.write(script(sandbox))
    console.print("\nCtrl-C stops the network; `proeftuin reset` throws its data away", highlight=False)


def _wait(sandbox: Any) -> None:  # noqa: ANN401 - see home_at
    from proeftuin.sandbox import running

    try:
        while running.pid_of(sandbox) is not None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print()


def main() -> None:
    """Run the command; the width of a terminal decides the look."""
    if shutil.get_terminal_size().columns < 100 and not sys.stdout.isatty():
        console.width = 200
    app()
