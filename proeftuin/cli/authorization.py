"""Commands of authorization: register OAuth clients, rotate signing keys, move the sandbox's time."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from proeftuin.cli.command import HOME, HomeOption, console, explained, home_at

client_app = typer.Typer(help="OAuth clients: the keys and redirect addresses that a party registered.", no_args_is_help=True)
keys_app = typer.Typer(help="The keys with which a party's authorization server signs.", no_args_is_help=True)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PartyArgument = Annotated[str, typer.Argument(help="The id in parties.toml.")]


@client_app.command("register")
@explained
def register(
    party: PartyArgument,
    home: HomeOption = HOME,
    jwks: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JWK Set with the public keys for private_key_jwt.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Where codes may be sent, to the letter; repeat for several.")
    ] = None,
) -> None:
    """Register the keys or the redirect addresses of a party; what is not named stays as it was."""
    from proeftuin.parties import SeedError

    try:
        keys = json.loads(jwks.read_text(encoding="utf-8")) if jwks else None
    except ValueError as error:
        raise SeedError(f"{jwks} is no JSON: {error}") from error
    if keys is not None and not (isinstance(keys, dict) and isinstance(keys.get("keys"), list)):
        raise SeedError(f"{jwks} is no JWK Set: an object with `keys`")
    if keys is not None and any("d" in each for each in keys["keys"]):
        raise SeedError(f"{jwks} holds a private key; register the public one only")
    for uri in redirect_uri or ():
        if not re.fullmatch(r"https?://[^\s#]+", uri):
            raise SeedError(f"{uri} is no absolute http(s) address without fragment (RFC 6749 §3.1.2)")
    document = home_at(home).register_client(party, jwks=keys, redirect_uris=redirect_uri)
    console.print_json(json.dumps(document))


@client_app.command("show")
@explained
def show(party: PartyArgument, home: HomeOption = HOME) -> None:
    """Show what a party registered."""
    console.print_json(json.dumps(home_at(home).register_client(party)))


@keys_app.command("rotate")
@explained
def rotate(party: PartyArgument, home: HomeOption = HOME) -> None:
    """Sign with a new key from now on; the old one verifies until nothing that it signed can live. No restart is needed."""
    from proeftuin.clock import SandboxClock
    from proeftuin.tokens.keys import SigningKeys

    sandbox = home_at(home)
    instance = sandbox.topology.instance("authorization", party)
    folder = sandbox.instance_folder(instance.name) / "tenants" / party / "keys" / "signing"
    console.print(f"kid {SigningKeys(folder, SandboxClock(sandbox.clock_file)).rotate()}", highlight=False)


@explained
def clock(
    home: HomeOption = HOME,
    forward: Annotated[str, typer.Option(help="By how much: 90s, 10m, 2h, 1d; it adds up.")] = "",
    reset: Annotated[bool, typer.Option("--reset", help="Back to the machine's own time.")] = False,
) -> None:
    """Move the time of the running network: tokens, grants, consents and statements expire; certificates keep real time."""
    from proeftuin.clock import LONGEST_MOVE, SandboxClock, instant, offset_in
    from proeftuin.parties import SeedError

    sandbox = home_at(home)
    file = sandbox.clock_file
    if reset:
        file.unlink(missing_ok=True)
    if forward:
        match = re.fullmatch(r"(\d{1,9})([smhd])", forward)
        moved = offset_in(file) + (int(match[1]) * _UNITS[match[2]] if match else 0)
        if not match or moved > LONGEST_MOVE.total_seconds():
            raise SeedError("--forward is a number with s, m, h or d, as in 10m, of ten years at most")
        file.parent.mkdir(exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(f"{moved:.0f}\n")
        part.replace(file)
    console.print(f"{instant(SandboxClock(file).now())}, {offset_in(file):.0f} seconds ahead", highlight=False)
