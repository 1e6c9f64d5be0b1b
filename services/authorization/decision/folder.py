"""A folder of policies: rules in Rego, data in TOML beside them; read again when a file changes, and named by content."""

import hashlib
import json
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from regopy import Interpreter, RegoError

log = structlog.get_logger(__name__)
Prepare = Callable[[dict[str, Any], dict[str, str]], dict[str, Any]]
"""From the TOML documents (by stem) and the Rego modules (by file name) to the data that the rules read; raises what is wrong."""


@dataclass(frozen=True, slots=True)
class Version:
    """Which policies decided: `name` is what their author calls them, `sha256` is over the name and content of every file."""

    name: str
    sha256: str

    def as_json(self) -> dict[str, str]:
        """Return the version as it stands in each decision and audit event."""
        return {"version": self.name, "sha256": self.sha256}


class Unevaluable(Exception):  # noqa: N818 - whoever asks denies
    """The rules gave no answer: a fault in them, and never a reason to allow."""


class Loaded:
    """One version of the policies, compiled; `documents` are the TOML files by stem. Raises RegoError, ValueError or KeyError."""

    def __init__(self, contents: tuple[tuple[str, bytes], ...], prepare: Prepare) -> None:
        digest = hashlib.sha256()
        for name, content in contents:
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        texts = {name: content.decode() for name, content in contents}
        self.documents = {Path(name).stem: tomllib.loads(text) for name, text in texts.items() if name.endswith(".toml")}
        self.version = Version(str(self.documents["profiles"]["version"]), digest.hexdigest())
        self._interpreter = Interpreter()
        self._rules: dict[str, Any] = {}
        modules = {name: text for name, text in texts.items() if name.endswith(".rego")}
        for name, text in modules.items():
            self._interpreter.add_module(name, text)
        self.data = prepare(self.documents, modules)
        self._interpreter.add_data(self.data)
        for text in modules.values():
            package = next(line.removeprefix("package ").strip() for line in text.splitlines() if line.startswith("package "))
            for rule in {line.split()[0] for line in text.splitlines() if " contains " in line}:
                self._rules[f"{package}.{rule}"] = self._interpreter.build(f"data.{package}.{rule}")

    def evaluate(self, package: str, rule: str, facts: dict[str, Any], *, optional: bool = False) -> list[Any]:
        """Return what the set `rule` of `package` contains for these facts; an `optional` one that there is not, nothing.

        Raises Unevaluable.
        """
        compiled = self._rules.get(f"{package}.{rule}")
        if compiled is None:
            if optional:
                return []
            raise Unevaluable(f"there is no {package}.{rule}")
        try:
            self._interpreter.set_input(facts)
            found: list[Any] = json.loads(str(self._interpreter.query_bundle(compiled)))["expressions"][0]
        except (RegoError, ValueError, KeyError, IndexError) as error:
            raise Unevaluable(f"{package}.{rule} has no value for this request") from error
        return found


@lru_cache(maxsize=8)  # the instances of one process share what they have in common; a decision never waits in between
def _load(contents: tuple[tuple[str, bytes], ...], prepare: Prepare) -> Loaded:
    return Loaded(contents, prepare)


@dataclass(slots=True)
class Policies:
    """The newest version in `folder` that loads: one that does not load leaves the one before it in force, and says so."""

    folder: Path
    prepare: Prepare
    pause: float = 1.0  # seconds between two looks at the folder
    loaded: Loaded = field(init=False)
    fault: str | None = field(init=False, default=None)
    _stamp: object = field(init=False)
    _looked: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        """Load; the first version must load."""
        self._stamp = self._now()
        self.loaded = _load(_contents(self.folder), self.prepare)

    def current(self) -> Loaded:
        """Return what is in force, after looking whether the folder changed (at most once in `pause` seconds)."""
        moment = time.monotonic()
        if moment - self._looked < self.pause:
            return self.loaded
        self._looked, stamp = moment, self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self.loaded, self.fault = _load(_contents(self.folder), self.prepare), None
                log.info("policies loaded", **self.loaded.version.as_json())
            except (RegoError, ValueError, KeyError, TypeError, OSError, StopIteration) as error:
                self.fault = f"{type(error).__name__}: {str(error)[:300]}"
                log.error("policies not loaded, those before stay in force", fault=self.fault)
        return self.loaded

    def health(self) -> dict[str, Any]:
        """Return the component of /health: a folder that does not load is a warning, with what is wrong."""
        version = self.current().version.as_json()
        return {"status": "up" if self.fault is None else "warning", **version} | ({"fault": self.fault} if self.fault else {})

    def _now(self) -> object:
        return [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in _files(self.folder)]


def _contents(folder: Path) -> tuple[tuple[str, bytes], ...]:
    return tuple((path.name, path.read_bytes()) for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {".rego", ".toml"})
