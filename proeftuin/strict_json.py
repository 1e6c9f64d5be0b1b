"""JSON as a protocol wants it: an object, no duplicate members, no NaN and no infinity, not deeper than asked."""

import json
import math
from typing import Any

import msgspec


def parse_object(raw: bytes | str, *, depth: int | None = None) -> dict[str, Any]:
    """Return the JSON object in `raw`; raises ValueError when it is none, or nested deeper than `depth` levels."""
    try:
        value = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if depth is not None and deeper(value, depth):
        raise ValueError(f"nested deeper than {depth} levels")
    return value


def encode(value: Any) -> bytes:  # noqa: ANN401 - JSON is any
    """Return compact JSON in UTF-8; half of a surrogate pair, which no UTF-8 can hold, becomes a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a member twice")
    return found


def _no_constant(name: str) -> Any:  # noqa: ANN401 - it never returns
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def deeper(value: Any, depth: int) -> bool:  # noqa: ANN401 - JSON is any
    """Tell whether a value is nested deeper than `depth` levels, however deep it is."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        if not level:
            return False
        inner = [each for holder in level for each in (holder.values() if isinstance(holder, dict) else holder)]
        level = [each for each in inner if isinstance(each, dict | list)]
    return bool(level)
