"""Run a logging service that gives each event a commit of its own: what the batches of the real one are held against."""

import sys
from functools import partial
from pathlib import Path

from proeftuin.sandbox import host
from services.logging import app
from services.logging.sequencer import Sequencer

if __name__ == "__main__":
    vars(app)["Sequencer"] = partial(Sequencer, largest=1)  # the same, with one argument given
    host.configure_logging()
    host.run([partial(host.listener, Path(sys.argv[1]))])
