"""The filters of constraint fields: the part of JSON Schema that definitions use. Patterns are RE2, which takes linear time."""

from dataclasses import dataclass
from typing import Any

import re2

from proeftuin.credentials.jsonpath import ABSENT

MAX_PATTERN = 512
MAX_VALUE = 4096
_KNOWN = {"type", "const", "enum", "pattern", "minLength", "maxLength", "$comment"}
_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "number": (int, float), "integer": int, "boolean": bool}


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; `pattern` has at most one group, which is what is captured."""

    type: str
    const: str | None
    enum: tuple[str, ...] | None
    pattern: Any | None
    min_length: int
    max_length: int

    def match(self, value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - JSON is any
        """Return whether `value` (of a list: one of its items) fits, and what is captured of it."""
        for each in value[:50] if isinstance(value, list) else [value]:
            fits, captured = self._one(each)
            if fits:
                return True, captured
        return False, ABSENT

    def _one(self, value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - JSON is any
        if not isinstance(value, _TYPES[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            return False, ABSENT
        if not isinstance(value, str):
            return True, value
        fits = (
            len(value) <= MAX_VALUE
            and self.min_length <= len(value) <= self.max_length
            and self.const in (None, value)
            and (self.enum is None or value in self.enum)
        )
        if not fits or self.pattern is None:
            return fits, value
        found = self.pattern.search(value)
        return found is not None, found and found.group(self.pattern.groups)  # group 0 is the whole match

    def __str__(self) -> str:
        """Return what is asked, in words."""
        if self.const is not None:
            return repr(self.const)
        if self.enum is not None:
            return f"one of {', '.join(map(repr, self.enum))}"
        return f"a match of {self.pattern.pattern!r}" if self.pattern is not None else f"a {self.type}"


def parse(document: object) -> Filter:
    """Read a filter; raises ValueError for a keyword, type or pattern that is not taken."""
    if not isinstance(document, dict):
        raise ValueError("a filter is an object")
    if unknown := document.keys() - _KNOWN:
        raise ValueError(f"a filter has {', '.join(sorted(_KNOWN))}, not {', '.join(sorted(map(str, unknown)))[:60]}")
    kind = document.get("type", "string")
    if kind not in _TYPES:
        raise ValueError(f"a filter's type is {', '.join(_TYPES)}")
    const, enum = document.get("const"), document.get("enum")
    if const is not None and not isinstance(const, str):
        raise ValueError("const is text")
    if enum is not None and not (isinstance(enum, list) and 0 < len(enum) <= 100 and all(isinstance(each, str) for each in enum)):
        raise ValueError("enum is a list of texts")
    lengths = [document.get("minLength", 0), document.get("maxLength", MAX_VALUE)]
    if not all(type(each) is int for each in lengths):
        raise ValueError("minLength and maxLength are numbers")
    pattern = None if "pattern" not in document else _pattern(document["pattern"])
    return Filter(kind, const, tuple(enum) if enum is not None else None, pattern, lengths[0], lengths[1])


def _pattern(source: object) -> Any:  # noqa: ANN401 - re2 gives its patterns no public type
    if not isinstance(source, str) or len(source) > MAX_PATTERN:
        raise ValueError(f"a pattern is text of at most {MAX_PATTERN} characters")
    options = re2.Options()
    options.max_mem, options.log_errors = 1 << 20, False
    try:
        compiled = re2.compile(source, options)
    except re2.error as error:
        raise ValueError("a pattern is RE2 (no look-around, no back reference), and not larger than 1 MiB compiled") from error
    if compiled.groups > 1:
        raise ValueError("a pattern has at most one capture group")
    return compiled
