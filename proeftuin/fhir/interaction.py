"""What a FHIR REST request is, read from method, path and query alone (FHIR R4 §3.1.0): every interaction of R4, no other."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from proeftuin.fhir.search import alternatives

PRESENTATION = frozenset({"_format", "_pretty", "_count", "_cursor", "_summary", "_elements", "_total", "page", "_getpages"})
_TYPE, _ID = r"(?P<type>[A-Z][A-Za-z]{1,63})", r"(?P<id>[A-Za-z0-9\-.]{1,64})"
_FORMS: tuple[tuple[str, str, str], ...] = (  # methods, path, interaction
    ("GET HEAD", f"{_TYPE}/{_ID}", "read"),
    ("GET HEAD", rf"{_TYPE}/{_ID}/_history/(?P<version>[A-Za-z0-9\-.]{{1,64}})", "vread"),
    ("PUT", f"{_TYPE}/{_ID}", "update"),
    ("PUT", _TYPE, "update"),
    ("PATCH", f"{_TYPE}/{_ID}", "patch"),
    ("PATCH", _TYPE, "patch"),
    ("DELETE", f"{_TYPE}/{_ID}", "delete"),
    ("DELETE", _TYPE, "delete"),
    ("GET", f"{_TYPE}/{_ID}/_history", "history-instance"),
    ("GET", f"{_TYPE}/_history", "history-type"),
    ("GET", "_history", "history-system"),
    ("POST", _TYPE, "create"),
    ("GET HEAD", _TYPE, "search-type"),
    ("POST", f"{_TYPE}/_search", "search-type"),
    ("GET", "", "search-system"),
    ("POST", "_search", "search-system"),
    ("GET HEAD", "metadata", "capabilities"),
    ("POST", "", "transaction"),
    ("GET POST", r"(?P<operation>\$[a-z][A-Za-z0-9\-]{0,63})", "operation"),
    ("GET POST", rf"{_TYPE}/(?P<operation>\$[a-z][A-Za-z0-9\-]{{0,63}})", "operation"),
    ("GET POST", rf"{_TYPE}/{_ID}/(?P<operation>\$[a-z][A-Za-z0-9\-]{{0,63}})", "operation"),
)


class UnknownInteractionError(ValueError):
    """Method and path are no interaction of FHIR R4."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """A request: `parameters` are all-of lists of any-of values by name with modifier; `include` and `revinclude` stand apart."""

    name: str
    type: str | None
    id: str | None
    version: str | None
    operation: str | None
    parameters: dict[str, list[list[str]]]
    include: tuple[str, ...]
    revinclude: tuple[str, ...]


def read(method: str, path: str, query: str, form: str = "") -> Interaction:
    """Return what a request is; `path` is without the base, `form` the body of a _search. Raises UnknownInteractionError."""
    name, groups = _form(method, unquote(path).strip("/"))
    parameters: dict[str, list[list[str]]] = {}
    apart: dict[str, list[str]] = {"_include": [], "_revinclude": []}
    try:
        pairs = parse_qsl(f"{query}&{form}" if form else query, keep_blank_values=True, max_num_fields=200)
    except ValueError as error:
        raise UnknownInteractionError("the query has too many parameters") from error
    for key, value in pairs:
        bare = key.partition(":")[0]
        if bare in apart:
            apart[bare].append(value)
        elif key not in PRESENTATION:
            parameters.setdefault(key, []).append(alternatives(value))
    return Interaction(
        name, groups.get("type"), groups.get("id"), groups.get("version"), groups.get("operation"),
        parameters, tuple(sorted(apart["_include"])), tuple(sorted(apart["_revinclude"])),
    )  # fmt: skip


def _form(method: str, path: str) -> tuple[str, dict[str, str | None]]:
    for methods, pattern, name in _FORMS:
        found = re.fullmatch(pattern, path, re.ASCII)
        if found and method.upper() in methods.split():
            return name, found.groupdict()
    raise UnknownInteractionError(f"{method[:16]} on this path is no interaction of FHIR")
