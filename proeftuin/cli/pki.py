"""Commands of the sandbox CA: issue, revoke, unrevoke, rotate, crl, show."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from proeftuin.cli.command import HOME, HomeOption, console, explained, home_at

app = typer.Typer(help="The sandbox CA: issue, revoke, rotate and show certificates.", no_args_is_help=True)


@app.command("issue")
@explained
def issue(
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


@app.command("revoke")
@explained
def revoke(serial: Annotated[str, typer.Argument(help="Hexadecimal, as `pki show` prints it.")], home: HomeOption = HOME) -> None:
    """Put a certificate on the revocation list; it is refused at once, also on open connections."""
    home_at(home).authority.revoke(_serial(serial))


@app.command("unrevoke")
@explained
def unrevoke(serial: Annotated[str, typer.Argument(help="Hexadecimal.")], home: HomeOption = HOME) -> None:
    """Take a certificate off the revocation list."""
    home_at(home).authority.unrevoke(_serial(serial))


@app.command("rotate")
@explained
def rotate(
    party: Annotated[str, typer.Argument(help="The id in parties.toml.")],
    home: HomeOption = HOME,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the old one.")] = False,
) -> None:
    """Give a party a new certificate and key, and new ones for every instance in which it is hosted; no restart is needed."""
    sandbox = home_at(home)
    member = sandbox.seed.party(party)
    folders = [sandbox.party_folder(party)]
    before = sandbox.certificate_jwk(party)
    for instance in sandbox.topology.instances:
        folder = sandbox.instance_folder(instance.name)
        if instance.operator == party:
            sandbox.authority.rotate(member, folder=folder, name="server", revoke=revoke)
        if party in instance.tenants:
            folders.append(folder / "tenants" / party)
    for folder in folders:
        issued = sandbox.authority.rotate(member, folder=folder, name="certificate", revoke=revoke)
        console.print(f"{issued.certificate}  serial {issued.serial:x}", highlight=False)
    sandbox.replace_client_key(party, before)


@app.command("crl")
@explained
def crl(home: HomeOption = HOME, days: Annotated[int, typer.Option(help="Until nextUpdate.")] = 30) -> None:
    """Publish the revocation lists anew."""
    home_at(home).authority.write_crls(days)


@app.command("show")
@explained
def show(home: HomeOption = HOME) -> None:
    """List every certificate: serial, party, kind, end, and whether it is revoked."""
    for entry in home_at(home).authority.index():
        revoked = f"revoked {entry.revoked:%Y-%m-%d %H:%M}" if entry.revoked else ""
        console.print(f"{entry.serial:040x}  {entry.party:30}{entry.kind:12}{entry.not_after:%Y-%m-%d}  {revoked}", highlight=False)


def _serial(text: str) -> int:
    from proeftuin.pki.authority import PkiError

    try:
        return int(text, 16)
    except ValueError as error:
        raise PkiError("a serial is a hexadecimal number, as `proeftuin pki show` prints it") from error
