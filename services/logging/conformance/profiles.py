"""The BALP profiles as data: balp.toml, read into the elements that each profile constrains."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

CANONICAL = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
Code = tuple[str | None, str]  # system and code; without a system it is the value itself
_REPEATING = {"agent", "detail", "entity", "extension", "policy", "subtype"}  # of all else R4 has one at most
_KEYWORDS = re.compile(r"closed|=|@\w+|only|same|form|\d+\.\.(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Element:
    """What a profile asks at one path, such as `agent[client].network`; what it does not ask is None.

    `minimum` and `maximum` count within one parent. A slice has the members whose element `on` ("this": they themselves) has
    one of the codes `among`.
    """

    path: str
    minimum: int = 0
    maximum: int | None = None
    closed: bool = False
    on: str | None = None
    among: frozenset[Code] = frozenset()
    codes: frozenset[Code] | None = None
    only: str | None = None
    same: str | None = None
    form: str | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """The path in steps, each with its slice."""
        return tuple(self.path.split("."))

    @property
    def rules(self) -> Iterator[str]:
        """The names of the single things that can be violated here."""
        if self.minimum:
            yield "min"
        if self.maximum == 0 or (self.maximum is not None and self.steps[-1].partition("[")[0] in _REPEATING):
            yield "max"
        if self.closed:
            yield "closed"
        for name in ("codes", "only", "same", "form"):
            if getattr(self, name) is not None:
                yield name


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: its id, its elements by path, and the slices that each path has."""

    id: str
    elements: dict[str, Element]
    slices: dict[str, tuple[Element, ...]]

    @property
    def url(self) -> str:
        """The canonical, as events claim it in meta.profile."""
        return CANONICAL + self.id


@cache
def profiles() -> dict[str, Profile]:
    """Return every profile by its id."""
    content = tomllib.loads((resources.files(__package__) / "balp.toml").read_text("utf-8"))
    read = _Reader(content["systems"])
    tables = content["part"] | content["profile"]
    return {name: _profile(name, read.elements(tables, name)) for name in content["profile"]}


def of_url(canonical: str) -> Profile | None:
    """Return the profile that a canonical (with or without |version) names."""
    url = canonical.partition("|")[0]
    return profiles().get(url.removeprefix(CANONICAL)) if url.startswith(CANONICAL) else None


@cache
def known_codes() -> dict[Code, str]:
    """Return each code that stands in the data, with its short form: what may be shown of an event without telling of anyone."""
    content = tomllib.loads((resources.files(__package__) / "balp.toml").read_text("utf-8"))
    aliases = {system: alias for alias, system in content["systems"].items()}
    found = {code for profile in profiles().values() for each in profile.elements.values() for code in (each.codes or each.among)}
    return {(system, code): f"{aliases[system]}#{code}" if system else code for system, code in found}


def _profile(name: str, elements: dict[str, Element]) -> Profile:
    slices: dict[str, tuple[Element, ...]] = {}
    for path, element in elements.items():
        if element.on is not None:
            sliced = path.rpartition("[")[0]
            slices[sliced] = (*slices.get(sliced, ()), element)
    for path, element in elements.items():
        for at, step in enumerate(element.steps):
            if "[" in step and (whole := ".".join(element.steps[: at + 1])) not in elements:
                raise KeyError(f"{name}: {path} stands in {whole}, which is no slice")
    return Profile(name, elements, slices)


@dataclass(frozen=True, slots=True)
class _Reader:
    systems: dict[str, str]

    def elements(self, tables: dict[str, dict[str, str | list[str]]], name: str) -> dict[str, Element]:
        """Return the elements of a table after those of the tables that it uses."""
        found: dict[str, Element] = {}
        for used in tables[name].get("uses", ()):
            found |= self.elements(tables, used)
        for path, text in tables[name].items():
            if isinstance(text, str):
                found[path] = self._element(path, text)
        return found

    def _element(self, path: str, text: str) -> Element:
        element = Element(path)
        words = text.split()
        while words:
            word, arguments = words.pop(0), list[str]()
            while words and not _KEYWORDS.fullmatch(words[0]):
                arguments.append(words.pop(0))
            element = self._with(element, word, arguments)
        return element

    def _with(self, element: Element, word: str, arguments: list[str]) -> Element:
        if word == "closed":
            return replace(element, closed=True)
        if word == "=":
            return replace(element, codes=frozenset(self._codes(arguments)))
        if word.startswith("@"):
            return replace(element, on=word[1:], among=frozenset(self._codes(arguments)))
        if word in ("only", "same", "form"):
            (argument,) = arguments
            return {
                "only": replace(element, only=argument), "same": replace(element, same=argument),
                "form": replace(element, form=argument),
            }[word]  # fmt: skip
        low, _, high = word.partition("..")
        return replace(element, minimum=int(low), maximum=None if high == "*" else int(high))

    def _codes(self, words: list[str]) -> Iterator[Code]:
        for word in words:
            alias, mark, codes = word.partition("#")
            if mark:
                yield from ((self.systems[alias], code) for code in codes.split("|"))
            else:
                yield None, word
