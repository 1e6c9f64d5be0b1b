"""The part of JSONPath (RFC 9535) that presentation exchange needs, and no more: `$`, `.name`, `['name']` and `[0]`.

No wildcard, descent, filter or function: what an unknown party's definition asks then costs no more than its own length.
"""

import re
from typing import Any

MAX_LENGTH = 256
ABSENT = object()
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_\-]*)|\['([^'\\\]]+)'\]|\[\"([^\"\\\]]+)\"\]|\[(0|[1-9][0-9]{0,5})\]")

Path = tuple[str | int, ...]


def parse(path: object) -> Path:
    """Return the steps of a path; raises ValueError when it is none of this subset."""
    if not isinstance(path, str) or len(path) > MAX_LENGTH or not path.startswith("$"):
        raise ValueError("a path begins with $")
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError("a path is made of .name, ['name'] and [0]")
        steps.append(int(match[4]) if match[4] is not None else match[1] or match[2] or match[3])
        position = match.end()
    return tuple(steps)


def find(document: Any, path: Path) -> Any:  # noqa: ANN401 - JSON is any
    """Return the value at a parsed path, or ABSENT."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(document, list) or step >= len(document):
                return ABSENT
        elif not isinstance(document, dict) or step not in document:
            return ABSENT
        document = document[step]
    return document
