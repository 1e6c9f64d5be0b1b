"""Commands that run the network: prepare, serve, up, demo, status, down, reset, logs, curl, load."""

import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from proeftuin.cli.command import HOME, PARTIES, HomeOption, PartiesOption, PortOption, console, explained, home_at
from proeftuin.sandbox.topology import BASE_PORT

app = typer.Typer(help="A living Dutch care network on one machine.", no_args_is_help=True, pretty_exceptions_enable=False)


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
    """Run instances in the foreground until SIGTERM (what `up` starts, with the console beside them; what each container runs)."""
    from proeftuin.sandbox import host, running
    from proeftuin.sandbox.web import app as web

    sandbox = home_at(home, needs=not instances)
    names = instances or [instance.name for instance in sandbox.topology.instances]
    listeners: list[host.Make] = [partial(host.listener, sandbox.settings_file(name)) for name in names]
    if not instances:
        listeners.append(partial(web.listener, sandbox))
    host.configure_logging()

    def started() -> None:
        if not instances:
            host.write_state(running.state_file(sandbox), os.getpid(), ready=True)

    if processes:
        host.run_forked([[each] for each in listeners], started)
    else:
        host.run(listeners, started)


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
    tape: Annotated[bool, typer.Option("--tape/--no-tape", help="Record the exchanges for the console.")] = True,
    output: Annotated[Path | None, typer.Option("--json", help="Write the hops to this file.")] = None,
) -> None:
    """Start the network, fill it, play the exchange and its refusals, and stay up."""
    from proeftuin.sandbox import running, seeding

    began = time.perf_counter()
    sandbox = home_at(home, needs=False)
    ok = keep = False
    starts = running.pid_of(sandbox) is None
    if starts:
        with console.status("certificates and settings"):
            sandbox.prepare(parties, base_port, tape=tape)
        with console.status("starting the services"):
            running.start(sandbox, processes=processes)
        console.print(f"console {sandbox.topology.console}", highlight=False)
        console.print(f"network up in {time.perf_counter() - began:.1f} s, log in {running.log_file(sandbox)}", highlight=False)
    else:
        console.print("the network runs already", highlight=False)
    try:
        with console.status("addresses, records and consents"):
            asyncio.run(seeding.seed(sandbox))
        ok = not show or _play(sandbox, output, began, with_refusals=True)
        keep = stay and detach and (ok or not starts)  # what ends badly leaves nothing behind that it started
        if stay and not detach:
            _explain(sandbox)
            _wait(sandbox)
    finally:
        if not keep and (starts or not (stay and detach)):
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
    entries = len(bundle.get("entry") or ())
    if not entries:
        console.print(f"nothing loaded: {file} is a Bundle without an entry", highlight=False)
    else:
        console.print(f"{entries} loaded, registered for localization: {', '.join(categories) or 'nothing'}", highlight=False)


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
    console.print(f"what they say to each other, in a browser: {sandbox.topology.console}", highlight=False)
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
