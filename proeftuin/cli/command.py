"""What every command shares: its options, the sandbox folder, and one clear line for what a person can mend."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

PARTIES = Path(__file__).parent.parent.parent / "parties.toml"
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
