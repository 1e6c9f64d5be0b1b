"""Files that a killed process leaves either as they were or complete, and a lock between processes."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `path` with `content` at once: written aside, synced, renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask is
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_pair(folder: Path, name: str, version: str, certificate: bytes, key: bytes) -> tuple[Path, Path]:
    """Put `<name>.pem` and `<name>.key` in `folder`, in one step: no moment at which one is new and the other is old.

    Both are links through `.<name>`, itself a link to the folder of the present `version`: only that one is replaced.
    The version before stays, for who has just read the link; older ones go.
    """
    current = folder / f".{name}"
    present = os.readlink(current) if current.is_symlink() else None
    old = [path for path in folder.glob(f".{name}-*") if path.name != present]
    write(folder / f".{name}-{version}" / "certificate.pem", certificate)
    write(folder / f".{name}-{version}" / "certificate.key", key, 0o600)
    _link(current, f".{name}-{version}")
    for ending in ("pem", "key"):
        _link(folder / f"{name}.{ending}", f".{name}/certificate.{ending}")
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return folder / f"{name}.pem", folder / f"{name}.key"


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and os.readlink(path) == target:
        return
    aside = path.with_name(f".{secrets.token_hex(4)}.link")
    aside.symlink_to(target)
    aside.replace(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time in; the lock goes with the process that holds it."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
