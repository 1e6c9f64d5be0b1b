"""The command `proeftuin`: start the network, play the exchange, manage the sandbox CA, load records."""

import shutil
import sys

from proeftuin.cli import authorization, checks, inspection, network, pki, seeing
from proeftuin.cli.command import console

app = network.app
app.command("console")(seeing.web_console)
app.command("trace")(seeing.trace)
app.add_typer(pki.app, name="pki")
app.command("clock")(authorization.clock)
app.add_typer(authorization.client_app, name="client")
app.add_typer(authorization.keys_app, name="keys")
app.add_typer(checks.parties_app, name="parties")
inspection.register(checks.log_app)
app.add_typer(checks.log_app, name="log")


def main() -> None:
    """Run the command; the width of a terminal decides the look."""
    if shutil.get_terminal_size().columns < 100 and not sys.stdout.isatty():
        console.width = 200
    app()
