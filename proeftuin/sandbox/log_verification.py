"""Check the log of the sandbox from its database and key, as the auditor would, with the service stopped or running."""

import importlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from proeftuin import settings
from proeftuin.sandbox.home import Home


def verify(home: Home) -> Any:  # noqa: ANN401 - the report of the logging service, which the ground knows by name only
    """Return the report of the logging service's own check on the database that its settings name."""
    module = importlib.import_module("services.logging.verify")
    loaded = settings.load(home.settings_file(home.topology.instance("logging").name))
    engine = sa.create_engine(loaded.tenants[0].database)
    keys = loaded.tenants[0].folder / "keys"
    with engine.connect() as connection:
        cosigner = (keys / "cosigner").read_text() if (keys / "cosigner").exists() else None
        return module.verify(connection, (keys / "verifier").read_text(), (keys / "index.key").read_bytes(), cosigner)


def verify_archive(archive: Path, home: Home | None, key: Path | None, witness_key: Path | None) -> Any:  # noqa: ANN401 - as above
    """Return the report on an archive with these keys, or with the pinned ones of the sandbox `home`."""
    module = importlib.import_module("services.logging.archive_verification")
    if home is not None:
        loaded = settings.load(home.settings_file(home.topology.instance("logging").name))
        keys = loaded.tenants[0].folder / "keys"
        key = keys / "verifier"
        witness_key = witness_key or (keys / "cosigner" if (keys / "cosigner").exists() else None)
    return module.verify(archive, key.read_text() if key else "", witness_key.read_text() if witness_key else None)
