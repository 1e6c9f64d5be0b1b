"""Search parameters as data, and the parsing of a search (FHIR R4 §3.1.1).

Supported: comma = OR, repetition = AND, `:contains` and `:exact` on string, `:identifier` on reference, prefixes on date,
`_include`, `_revinclude` (one step), `_count`, and `_cursor`, our own opaque place in the result. Anything else is refused.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from proeftuin.clock import instant
from proeftuin.fhir.schema import is_calendar_date
from proeftuin.identifiers import BSN_SYSTEM, is_bsn
from proeftuin.reasons import IDENTIFIER_IN_URL, PARAMETER_INVALID, PARAMETER_UNKNOWN, Refused

Kind = Literal["token", "reference", "date", "string", "uri"]
Pairs = list[tuple[str, str]]

DEFAULT_COUNT, MAXIMUM_COUNT = 50, 100
MAXIMUM_VALUES = 500  # asked for in one search, over all parameters
MODIFIERS: dict[Kind, frozenset[str]] = {"string": frozenset({"contains", "exact"}), "reference": frozenset({"identifier"})}
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
_FORMATS = frozenset({"json", "application/json", "application/fhir+json"})
_NINE_DIGITS = re.compile(r"(?<![\w-])\d{9}(?![\w-])")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_DATE = re.compile(
    r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(\d\d)(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d|60)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_LONGEST = 250  # characters in an index; PostgreSQL refuses entries above 2700 bytes


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter: `paths` lead to elements, lists on the way are walked; `targets` are the types a reference may name."""

    kind: Kind
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()


def _token(*paths: str) -> Parameter:
    return Parameter("token", paths)


def _reference(path: str, *targets: str) -> Parameter:
    return Parameter("reference", (path,), targets)


_SUBJECT = {"patient": _reference("subject", "Patient"), "subject": _reference("subject", "Patient", "Group")}
SEARCH_PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Organization": {
        "active": _token("active"),
        "identifier": _token("identifier"),
        "name": Parameter("string", ("name", "alias")),
        "partof": _reference("partOf", "Organization"),
        "type": _token("type"),
        "endpoint": _reference("endpoint", "Endpoint"),
    },
    "Endpoint": {
        "identifier": _token("identifier"),
        "organization": _reference("managingOrganization", "Organization"),
        "status": _token("status"),
        "connection-type": _token("connectionType"),
        "payload-type": _token("payloadType"),
    },
    "List": {
        "identifier": _token("identifier"),
        "status": _token("status"),
        "code": _token("code"),
        "date": Parameter("date", ("date",)),
        "patient": _reference("subject", "Patient"),
        "subject": _reference("subject", "Patient", "Group", "Device", "Location"),
        "source": _reference("source", "Practitioner", "PractitionerRole", "Patient", "Device"),
    },
    "Patient": {
        "identifier": _token("identifier"),
        "family": Parameter("string", ("name.family",)),
        "birthdate": Parameter("date", ("birthDate",)),
    },
    "Condition": _SUBJECT | {"clinical-status": _token("clinicalStatus"), "code": _token("code"), "category": _token("category")},
    "MedicationRequest": _SUBJECT | {"status": _token("status"), "intent": _token("intent")},
    "CarePlan": _SUBJECT | {"status": _token("status"), "category": _token("category")},
}
COMMON: dict[str, Parameter] = {"_id": _token("id"), "_lastUpdated": Parameter("date", ("meta.lastUpdated",))}


_SHAPES: dict[Kind, str] = {
    "token": "code, system|code, |code or system|", "reference": "id, or Type/id", "uri": "the whole uri",
    "string": "the begin of a text", "date": f"a date, after one of {', '.join(PREFIXES)} or none",
}  # fmt: skip
_MODIFIED = {"": "", "contains": ": a part of it", "exact": ": the whole of it", "identifier": " of who is referred to"}
_PAGING = {"_count": f"at most {MAXIMUM_COUNT}", "_cursor": "from the link next, unchanged", "_format": "json"}
_INCLUDES = {"_include": "Type:parameter", "_revinclude": "Type:parameter"}


def described(*resource_types: str, includes: bool = True) -> dict[str, str]:
    """Return every parameter that `parse` takes for these types, with its modifiers, and what a value looks like."""
    owners: dict[str, list[str]] = {}
    shapes: dict[str, str] = {}
    for resource_type in resource_types:
        for name, parameter in (COMMON | SEARCH_PARAMETERS[resource_type]).items():
            for modifier in ("", *sorted(MODIFIERS.get(parameter.kind, ()))):
                full = f"{name}:{modifier}" if modifier else name
                owners.setdefault(full, []).append(resource_type)
                shapes[full] = _SHAPES["token" if modifier == "identifier" else parameter.kind] + _MODIFIED[modifier]
    found = {
        name: shape if len(owners[name]) == len(resource_types) else f"{shape} ({', '.join(owners[name])})"
        for name, shape in shapes.items()
    }
    return found | _PAGING | (_INCLUDES if includes else {})


@dataclass(frozen=True, slots=True)
class Value:
    """One value asked for. Token: `system` None = any, "" = none; `value` None = any. Date: `prefix`, and [value, high)."""

    value: str | None
    system: str | None = None
    prefix: str = "eq"
    high: str | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition: any of `values` under the index name `parameter` (`name`, `name:exact`, `subject:identifier`)."""

    parameter: str
    kind: Kind
    values: tuple[Value, ...]
    contains: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search: all of `criteria`; `includes` and `revincludes` as (source type, parameter); `cursor` is an id to pass."""

    criteria: tuple[Criterion, ...] = ()
    includes: tuple[tuple[str, str], ...] = ()
    revincludes: tuple[tuple[str, str], ...] = ()
    count: int = DEFAULT_COUNT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the index: what a resource can be found by; `high` is the end (exclusive) of a date."""

    parameter: str
    value: str
    system: str = ""
    high: str | None = None


@dataclass(slots=True)
class _Parts:
    criteria: list[Criterion] = field(default_factory=list)
    includes: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {"_include": [], "_revinclude": []})
    single: dict[str, str] = field(default_factory=dict)


def parse(resource_type: str, pairs: Pairs, *, in_url: bool = False) -> Search:
    """Parse the decoded pairs of a query string (`in_url`) or form; raises Refused PARAMETER_UNKNOWN or PARAMETER_INVALID.

    With `in_url` anything that can be a BSN is refused first, with IDENTIFIER_IN_URL. No refusal repeats a value.
    """
    if in_url and any(carries_bsn(name) or carries_bsn(value) for name, value in pairs):
        raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
    known = COMMON | SEARCH_PARAMETERS.get(resource_type, {})
    parts = _Parts()
    for name, text in pairs:
        if name in ("_count", "_cursor", "_format"):
            if name in parts.single:
                raise Refused(PARAMETER_INVALID, f"{name} stands more than once")
            parts.single[name] = text
        elif name in parts.includes:
            parts.includes[name].append(_include(resource_type, name, text))
        else:
            parts.criteria.append(_criterion(resource_type, known, name, text))
    if sum(len(criterion.values) for criterion in parts.criteria) > MAXIMUM_VALUES:
        raise Refused(PARAMETER_INVALID, f"a search has at most {MAXIMUM_VALUES} values")
    if parts.single.get("_format", "json") not in _FORMATS:
        raise Refused(PARAMETER_INVALID, "_format: only JSON is given")
    includes, revincludes = (tuple(dict.fromkeys(found)) for found in parts.includes.values())
    count, cursor = _count(parts.single.get("_count")), read_cursor(parts.single.get("_cursor"))
    return Search(tuple(parts.criteria), includes, revincludes, count, cursor)


def carries_bsn(text: str) -> bool:
    """Tell whether a text names the BSN's system, or has 9 digits that pass the 11-proef and no system of another identifier."""
    if BSN_SYSTEM in text:
        return True
    if not _NINE_DIGITS.search(text):
        return False
    return any(
        not (token.partition("|")[0] and "|" in token) and any(map(is_bsn, _NINE_DIGITS.findall(token)))
        for token in _split(text, ",")
    )


def write_cursor(place: str) -> str:
    """Return an opaque cursor for a place in a result."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> str | None:
    """Return the place that a cursor stands for; raises Refused PARAMETER_INVALID when it is not one of ours."""
    if cursor is None:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        place = ""
    if not re.fullmatch(r"[A-Za-z0-9\-.:/]{1,200}", place):
        raise Refused(PARAMETER_INVALID, "_cursor: take it from the link 'next', unchanged")
    return place


def index(resource: dict[str, Any]) -> list[Entry]:
    """Return the index entries of a resource, each once."""
    found = (
        entry
        for name, parameter in (COMMON | SEARCH_PARAMETERS.get(resource["resourceType"], {})).items()
        for path in parameter.paths
        for value in _walk(resource, path.split("."))
        for entry in _entries(name, parameter.kind, value)
    )
    return list(dict.fromkeys(found))


def references(resource: dict[str, Any], name: str) -> list[str]:
    """Return the literal references (`Endpoint/1`) that a resource has under the search parameter `name`."""
    parameter = SEARCH_PARAMETERS[resource["resourceType"]][name]
    found = (value for path in parameter.paths for value in _walk(resource, path.split(".")))
    return [value["reference"] for value in found if isinstance(value, dict) and isinstance(value.get("reference"), str)]


def date_range(text: str) -> tuple[str, str]:
    """Return [start, end) of a FHIR date, dateTime or instant as UTC instants; without a zone it is UTC. Raises ValueError."""
    match = _DATE.fullmatch(text)
    if not match or not is_calendar_date(text):
        raise ValueError("not a date")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        start = datetime.fromisoformat(
            f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{min(int(second or 0), 59):02}"
            f".{(fraction or '0')[:3]:0<3}{'+00:00' if zone in (None, 'Z') else zone}"
        )
        if month is None:
            end = start.replace(year=start.year + 1)
        elif day is None:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            milliseconds = 86_400_000 if hour is None else 60_000 if second is None else 1000 if fraction is None else 1
            end = start + timedelta(milliseconds=milliseconds)
        return instant(start), instant(end)
    except (ValueError, OverflowError) as error:  # the first or last year that there is
        raise ValueError("not a date") from error


def fold(text: str) -> str:
    """Return a string as it is compared: without case and accents, one space between words."""
    text = _storable(text)
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(plain.casefold().split())[:_LONGEST]


def _key(text: str) -> str:
    text = _storable(text)
    return text if len(text) <= _LONGEST else "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _storable(text: str) -> str:
    return text.replace("\x00", "").encode(errors="replace").decode()  # JSON can hold what no database takes


def _walk(value: Any, path: list[str]) -> Iterator[Any]:  # noqa: ANN401 - JSON is any
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _walk(value[path[0]], path[1:])


def _entries(name: str, kind: Kind, value: Any) -> Iterator[Entry]:  # noqa: ANN401 - JSON is any
    if kind == "token":
        yield from _tokens(name, value)
    elif kind == "reference" and isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield Entry(name, _key(value["reference"]))
        if "identifier" in value:
            yield from _tokens(f"{name}:identifier", value["identifier"])
    elif kind == "string" and isinstance(value, str):
        yield Entry(name, fold(value))
        yield Entry(f"{name}:exact", _key(value))
    elif kind == "uri" and isinstance(value, str):
        yield Entry(name, _key(value))
    elif kind == "date" and isinstance(value, str):
        try:
            low, high = date_range(value)
        except ValueError:
            return
        yield Entry(name, low, "", high)


def _tokens(name: str, value: Any) -> Iterator[Entry]:  # noqa: ANN401 - JSON is any
    if isinstance(value, bool):
        yield Entry(name, str(value).lower())
    elif isinstance(value, str):
        yield Entry(name, _key(value))
    elif isinstance(value, dict):
        if "coding" in value:
            for coding in _walk(value, ["coding"]):
                yield from _tokens(name, coding)
        text = value.get("code", value.get("value"))  # Coding, or Identifier
        if isinstance(text, str):
            system = value.get("system")
            yield Entry(name, _key(text), _key(system) if isinstance(system, str) else "")


def _criterion(resource_type: str, known: dict[str, Parameter], name: str, text: str) -> Criterion:
    plain, _, modifier = name.partition(":")
    parameter = known.get(plain)
    if parameter is None:
        raise Refused(PARAMETER_UNKNOWN, f"{resource_type} can be searched by {', '.join(sorted(known))}")
    if (":" in name) and modifier not in MODIFIERS.get(parameter.kind, ()):
        raise Refused(PARAMETER_UNKNOWN, f"{plain} takes {_list(MODIFIERS.get(parameter.kind, ()))} as modifier")
    kind: Kind = "token" if modifier == "identifier" else "uri" if modifier == "exact" else parameter.kind
    values = tuple(value for part in _split(text, ",") for value in _values(plain, kind, parameter, part))
    index_name = plain if modifier == "contains" else name
    return Criterion(index_name, kind, values, modifier == "contains")


def _values(name: str, kind: Kind, parameter: Parameter, part: str) -> Iterator[Value]:
    if not part.strip() or part == "|":
        raise Refused(PARAMETER_INVALID, f"{name}: a value is empty")
    if kind == "token":
        *system, value = (_unescape(each) for each in _split(part, "|"))
        if len(system) > 1:
            raise Refused(PARAMETER_INVALID, f"{name}: a token is code, system|code, |code or system|")
        yield Value(_key(value) if value else None, _key(system[0]) if system else None)
    elif kind == "date":
        prefix, date = (part[:2], part[2:]) if part[:2] in PREFIXES else ("eq", part)
        try:
            low, high = date_range(date)
        except ValueError:
            raise Refused(PARAMETER_INVALID, f"{name}: a date, after one of {', '.join(PREFIXES)} or none") from None
        yield Value(low, None, prefix, high)
    elif kind == "reference":
        text = _unescape(part)
        for reference in [f"{target}/{text}" for target in parameter.targets] if _ID.fullmatch(text) else [text]:
            yield Value(_key(reference))
    else:
        text = _unescape(part)
        yield Value(fold(text) if kind == "string" else _key(text))


def _include(resource_type: str, name: str, text: str) -> tuple[str, str]:
    source, _, rest = text.partition(":")
    plain, _, target = rest.partition(":")
    parameter = SEARCH_PARAMETERS.get(source, {}).get(plain)
    leads = source == resource_type if name == "_include" else parameter is not None and resource_type in parameter.targets
    if not leads or parameter is None or parameter.kind != "reference" or (target and target not in parameter.targets):
        raise Refused(PARAMETER_INVALID, f"{name}: a type and its reference parameter, that lead from or to {resource_type}")
    return source, plain


def _count(text: str | None) -> int:
    if text is None:
        return DEFAULT_COUNT
    if not re.fullmatch("[0-9]{1,9}", text):
        raise Refused(PARAMETER_INVALID, "_count: a whole number")
    return min(int(text), MAXIMUM_COUNT)


def _split(text: str, separator: str) -> list[str]:
    r"""Split at a separator that has no backslash before it; `\\` is a backslash itself (FHIR R4 §3.1.1.4.5)."""
    parts = [""]
    for piece in re.findall(r"\\.|[^\\]|\\", text, re.DOTALL):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _unescape(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _list(words: Iterable[str]) -> str:
    return " or ".join(f":{word}" for word in sorted(words)) or "nothing"


def alternatives(text: str) -> list[str]:
    """Return the values that a parameter's text offers: separated by comma, unescaped (FHIR R4 §3.1.1.5.7)."""
    return [_unescape(part) for part in _split(text, ",")]
