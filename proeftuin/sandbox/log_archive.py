"""Archive a year of the sandbox's log as its keeper: from its database into one file, told of in the log, then under its name."""

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

from proeftuin import settings
from proeftuin.clock import SystemClock, instant
from proeftuin.sandbox import seeding
from proeftuin.sandbox.care_system import Stopped
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.topology import NATIONAL, only
from proeftuin.storage.database import Database


async def archive(home: Home, year: int, file: Path) -> dict[str, Any]:
    """Make the archive of `year` at `file`, replacing an older one, and return what the log was told of it; raises Stopped.

    What is not complete has another name (`.part`): an attempt that was broken off is taken up where it ended.
    """
    module = importlib.import_module("services.logging.archive")
    if year >= SystemClock().now().year:
        raise Stopped(f"{year} is not over")
    part = file.with_name(f".{file.name}.part")
    loaded = settings.load(home.settings_file(home.topology.instance("logging").name))
    database = Database(loaded.tenants[0].database)
    try:
        with database.snapshot() as connection:
            first, last, size = module.fill(connection, part, year, instant(SystemClock().now()))
    except module.NothingToArchiveError as error:
        raise Stopped(str(error)) from error
    finally:
        await database.close()
    made = {"file": file.name, "sha256": digest(part), "year": year, "first": first, "last": last, "size": size}
    system = seeding.care_system(home, only(home.seed, NATIONAL["logging"]))
    try:
        url = f"{home.topology.network.logging}/retention/archive"
        told: dict[str, Any] = await system.get("archive", "logging", "POST", url, content=made)
    finally:
        await system.close()
    durable(part)
    part.replace(file)
    durable(file.parent)
    return made | told


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def durable(path: Path) -> None:
    """Have what was written to a file or folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
