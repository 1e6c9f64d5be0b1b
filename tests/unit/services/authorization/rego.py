"""Rego modules with one thing taken out, to see whether the cases beside them notice."""

import itertools
import re
from collections.abc import Iterator

# what gives a value, or stands inside one, is no condition
_NO_CONDITION = re.compile(r"\t(some |hint :=|path :=|day :=|value :=|before|\[|\"|#)|\t\t")


def mutants(text: str, *, leave: str = "") -> Iterator[tuple[str, str]]:
    """Yield (what, module): a `failed` clause that never holds, or one condition in the body of a clause gone.

    A clause with `leave` in it is left as it is.
    """
    for a, b in _clauses(text):
        clause = text[a:b]
        if leave and leave in clause:
            continue
        if clause.startswith("failed contains"):
            head, _, rest = clause.partition(" if ")
            never = f"{head} if {{\n\t1 == 2\n}}\n\n" + rest.partition("}\n\n")[2]
            yield clause.partition("\n")[0], text[:a] + never + text[b:]
        lines = clause.splitlines(keepends=True)
        body = [number for number, line in enumerate(lines) if line.startswith("\t") and not _NO_CONDITION.match(line)]
        for number in body if len(body) > 1 else []:
            rest = "".join(lines[:number] + lines[number + 1 :])
            yield f"{lines[0].strip()} without {lines[number].strip()}", text[:a] + rest + text[b:]


def _clauses(text: str) -> list[tuple[int, int]]:
    """Return where each clause stands, package and imports left out."""
    starts = [match.start() for match in re.finditer(r"^[a-z_]", text, re.MULTILINE)] + [len(text)]
    return [(a, b) for a, b in itertools.pairwise(starts) if not text[a:].startswith(("package", "import"))]
