"""Secrets that a service makes for itself at its first start and keeps in files that only it can read."""

import os
from collections.abc import Callable
from pathlib import Path


def secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the content of `path` (mode 0600), made by `make` when it is not there; whole or absent, also after a kill."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # fails when another process was first, whose secret then holds
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_bytes()
