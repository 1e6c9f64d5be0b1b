"""Commands that check: the identity seed, and the audit log."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from proeftuin.cli.command import HOME, PARTIES, HomeOption, console, explained, home_at

parties_app = typer.Typer(help="The identity seed, parties.toml.", no_args_is_help=True)
log_app = typer.Typer(help="The audit log.", no_args_is_help=True)


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


@log_app.command("verify")
@explained
def log_verify(
    home: HomeOption = HOME,
    archive: Annotated[Path | None, typer.Option(help="Check this archive instead.", exists=True, dir_okay=False)] = None,
    key: Annotated[Path | None, typer.Option(help="The key line of the log; the sandbox's own when absent.")] = None,
    witness_key: Annotated[Path | None, typer.Option(help="The key line of the witness; the sandbox's own when absent.")] = None,
) -> None:
    """Recompute the whole log from its database: commitments, leaves, tiles, checkpoints; exit 1 at the first difference."""
    from proeftuin.sandbox.log_verification import verify, verify_archive

    if archive is None:
        report = verify(home_at(home))
    else:
        own = None if key else home_at(home)
        report = verify_archive(archive, own, key, witness_key)
    console.print(
        f"{report.events} events, {report.checkpoints} checkpoints: {report.fault or 'nothing was changed'}", highlight=False
    )
    if report.fault:
        raise typer.Exit(1)


@log_app.command("archive")
@explained
def log_archive(
    year: Annotated[int, typer.Option(help="Of what was logged in this year, which is over.", min=1, max=9999)],
    file: Annotated[Path | None, typer.Option(help="The file to make or replace; log-<year>.archive when absent.")] = None,
    home: HomeOption = HOME,
) -> None:
    """Make an archive of a year, as the keeper of the log; it proves itself, nothing is deleted, and it is an event of the log."""
    from proeftuin.sandbox.log_archive import archive

    made = asyncio.run(archive(home_at(home), year, file or Path(f"log-{year}.archive")))
    console.print(
        f"{made['file']}: events {made['first']} to {made['last']}, SHA-256 {made['sha256']}; event {made['event']} tells of it",
        highlight=False,
    )


@log_app.command("conformance")
@explained
def log_conformance(
    party: Annotated[str, typer.Option(help="Whose events, by the id in parties.toml.")],
    home: HomeOption = HOME,
    since: Annotated[str, typer.Option(help="From this date or instant on.")] = "2000-01-01",
) -> None:
    """Judge a party's own events: how many, by kind, are what they claim (BALP) and complete (NEN 7513); exit 1 unless all are."""
    from proeftuin.sandbox import log_conformance as judging
    from proeftuin.sandbox import seeding

    sandbox = home_at(home)

    async def run() -> dict[str, judging.Kind]:
        system = seeding.care_system(sandbox, party)
        try:
            return await judging.summary(judging.own_events(system, since))
        finally:
            await system.close()

    kinds = asyncio.run(run())
    for name, kind in kinds.items():
        console.print(f"{kind.holding:5} of {kind.events:5}  {name}", highlight=False, markup=False)
        for fault, count in kind.faults.most_common(3):
            console.print(f"{'':16}{count:5} x {fault}", highlight=False, markup=False)
    faulty = sum(kind.events - kind.holding for kind in kinds.values())
    total = sum(kind.events for kind in kinds.values())
    console.print(f"{total} events of {party}: {total - faulty} are what they claim and complete", highlight=False, markup=False)
    if faulty:
        raise typer.Exit(1)


@log_app.command("erase")
@explained
def log_erase(
    home: HomeOption = HOME,
    before: Annotated[str, typer.Option(help="Erase what was logged before this date: at least five years ago.")] = "",
    order: Annotated[str, typer.Option(help="The reference of a court's order, for single events.")] = "",
    index: Annotated[list[int] | None, typer.Option(help="The place of an event (Audit-Index), with --order.")] = None,
) -> None:
    """Erase what events say, as the keeper of the log; their places and the proofs stay, and the erasure is an event itself."""
    from proeftuin.sandbox import seeding
    from proeftuin.sandbox.topology import NATIONAL, only

    sandbox = home_at(home)
    asked: dict[str, object] = {"order": order, "index": index or []} if order or index else {"before": before}

    async def run() -> dict[str, object]:
        system = seeding.care_system(sandbox, only(sandbox.seed, NATIONAL["logging"]))
        url = f"{sandbox.topology.network.logging}/retention/erase"
        try:
            answer: dict[str, object] = await system.get("erase", "logging", "POST", url, content=asked)
            return answer
        finally:
            await system.close()

    found = asyncio.run(run())
    console.print(f"{found['erased']} events erased; event {found['event']} tells of it", highlight=False)
    for name in found["archives"]:  # type: ignore[attr-defined] # the answer of our own service
        console.print(f"{name} still has them: make it anew (proeftuin log archive) and destroy every copy", highlight=False)
