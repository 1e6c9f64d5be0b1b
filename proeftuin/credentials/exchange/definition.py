"""A presentation definition (DIF PEX v2 §5): which credentials a verifier wants, and what must stand in them."""

import re
from dataclasses import dataclass
from typing import Any

from proeftuin.credentials import jsonpath
from proeftuin.credentials.exchange import filters
from proeftuin.credentials.exchange.filters import Filter
from proeftuin.reasons import DEFINITION_INVALID, Refused
from proeftuin.tokens.access_token import OWN_CLAIMS

RESERVED = OWN_CLAIMS | {"username"}  # they would take the place of a claim of the token, or of introspection
MAX_DESCRIPTORS = 20
_MAX_FIELDS = 30
_MAX_PATHS = 5
_PINNED = re.compile(r"\^did:(?:x509:0:sha256:[A-Za-z0-9_\-]{43}::|web:[A-Za-z0-9%.\\\-]{1,200}:)[^|]*")
_UNSUPPORTED = {"statuses", "subject_is_issuer", "is_holder", "same_subject"}


@dataclass(frozen=True, slots=True)
class Field:
    """A constraint field: the first of `paths` that is there is looked at; with an `id` its value becomes a claim."""

    id: str | None
    paths: tuple[str, ...]
    parsed: tuple[jsonpath.Path, ...]
    filter: Filter | None
    optional: bool


@dataclass(frozen=True, slots=True)
class InputDescriptor:
    """One credential that is asked for; `formats` empty: any."""

    id: str
    groups: frozenset[str]
    fields: tuple[Field, ...]
    formats: frozenset[str]


@dataclass(frozen=True, slots=True)
class SubmissionRequirement:
    """How many of a group of descriptors are asked for: all of them, or from `least` to `most`; or of nested requirements."""

    name: str
    all: bool
    group: str | None
    nested: tuple["SubmissionRequirement", ...]
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class PresentationDefinition:
    """A definition that was read; `raw` is what a holder is given."""

    id: str
    descriptors: tuple[InputDescriptor, ...]
    requirements: tuple[SubmissionRequirement, ...]
    raw: dict[str, Any]

    @property
    def field_ids(self) -> list[str]:
        """The ids of all fields, in order."""
        return [field.id for descriptor in self.descriptors for field in descriptor.fields if field.id]

    @property
    def certain_ids(self) -> frozenset[str]:
        """The ids of fields that have a value whenever the definition is met."""
        fields = [field for descriptor in self.descriptors for field in descriptor.fields if not self.requirements]
        return frozenset(field.id for field in fields if field.id and not field.optional)


def read(document: object) -> PresentationDefinition:
    """Read a definition; raises Refused(DEFINITION_INVALID), which names the place."""
    place = "definition"
    try:
        if not isinstance(document, dict):
            raise ValueError("it is an object")
        found = _list(document, "input_descriptors", MAX_DESCRIPTORS)
        descriptors = []
        for number, each in enumerate(found):
            place = f"input_descriptors[{number}]"
            descriptors.append(_descriptor(each, document.get("format")))
        place = "definition"
        ids = [each.id for each in descriptors]
        if not ids or len(set(ids)) != len(ids):
            raise ValueError("input descriptors have ids of their own")
        requirements = tuple(_requirement(each, 0) for each in _list(document, "submission_requirements", 20))
        groups = {group for each in descriptors for group in each.groups}
        if lacking := {each.group for each in _flat(requirements) if each.group} - groups:
            raise ValueError(f"submission_requirements ask from group {', '.join(sorted(map(str, lacking)))[:60]}, which is empty")
        return PresentationDefinition(_text(document, "id"), tuple(descriptors), requirements, document)
    except ValueError as error:
        raise Refused(DEFINITION_INVALID, f"{place}: {error}") from error


def check_for_verifier(
    definition: PresentationDefinition, self_attested: frozenset[str], bound: frozenset[str] = frozenset()
) -> None:
    """Raise Refused(DEFINITION_INVALID) when a verifier should not use it.

    Its field ids become claims, so none may be reserved or stand twice. Each descriptor pins its issuer with a filter on
    `$.issuer`, else anybody's credential would do; or with the id of a field in `bound`, to which another presentation binds it.
    Only one that asks for a type in `self_attested`, on the holder's own word, need not.
    """
    ids = definition.field_ids
    if reserved := RESERVED & set(ids):
        raise Refused(DEFINITION_INVALID, f"field id {', '.join(sorted(reserved))} would overwrite a claim of the token")
    if doubled := {each for each in ids if ids.count(each) > 1}:
        raise Refused(DEFINITION_INVALID, f"field id {', '.join(sorted(doubled))} stands twice")
    for descriptor in definition.descriptors:
        own_word = any(_asks_type(field, self_attested) for field in descriptor.fields)
        if not own_word and not any(_pins_issuer(field, bound) for field in descriptor.fields):
            raise Refused(DEFINITION_INVALID, f"input descriptor {descriptor.id} pins no issuer: anybody's credential would do")


def _asks_type(field: Field, types: frozenset[str]) -> bool:
    required = field.parsed == (("type",),) and not field.optional
    return required and field.filter is not None and field.filter.const in types


def _pins_issuer(field: Field, bound: frozenset[str]) -> bool:
    """A text, a list of them, or an anchored pattern without alternatives that names one CA (did:x509) or host (did:web)."""
    if field.parsed != (("issuer",),) or field.optional:
        return False
    if field.id in bound:
        return True
    condition = field.filter
    if condition is None:
        return False
    source = condition.pattern.pattern if condition.pattern is not None else ""
    return condition.const is not None or condition.enum is not None or _PINNED.fullmatch(source) is not None


def _descriptor(document: object, inherited: object) -> InputDescriptor:
    if not isinstance(document, dict):
        raise ValueError("it is an object")
    constraints = document.get("constraints", {})
    if not isinstance(constraints, dict):
        raise ValueError("constraints is an object")
    if unsupported := _UNSUPPORTED & constraints.keys():
        raise ValueError(f"{', '.join(sorted(unsupported))} is not supported")
    formats = document.get("format", inherited)
    if formats is not None and not isinstance(formats, dict):
        raise ValueError("format is an object")
    groups = _list(document, "group", 10)
    if not all(isinstance(each, str) for each in groups):
        raise ValueError("group is a list of names")
    fields = tuple(_field(each) for each in _list(constraints, "fields", _MAX_FIELDS))
    return InputDescriptor(_text(document, "id"), frozenset(groups), fields, frozenset(formats or ()))


def _field(document: object) -> Field:
    if not isinstance(document, dict):
        raise ValueError("a field is an object")
    paths = _list(document, "path", _MAX_PATHS)
    if not paths:
        raise ValueError("a field has a path")
    parsed = tuple(jsonpath.parse(each) for each in paths)
    field_id = document.get("id")
    if field_id is not None and (not isinstance(field_id, str) or not 0 < len(field_id) <= 64):
        raise ValueError("a field's id is text of 1 to 64 characters")
    optional = document.get("optional", False)
    if not isinstance(optional, bool):
        raise ValueError("optional is true or false")
    condition = filters.parse(document["filter"]) if "filter" in document else None
    return Field(field_id, tuple(paths), parsed, condition, optional)


def _requirement(document: object, depth: int) -> SubmissionRequirement:
    if not isinstance(document, dict) or depth > 3:
        raise ValueError("submission_requirements are objects, at most four deep")
    rule, group = document.get("rule"), document.get("from")
    nested = tuple(_requirement(each, depth + 1) for each in _list(document, "from_nested", 20))
    if rule not in ("all", "pick") or (group is None) == (not nested) or not isinstance(group, str | None):
        raise ValueError("a submission requirement has rule all or pick, and from or from_nested")
    default = 1 if rule == "pick" and not {"count", "min", "max"} & document.keys() else None
    count = document.get("count", default)
    least = document.get("min", 0 if count is None else count)
    most = document.get("max", MAX_DESCRIPTORS if count is None else count)
    if type(least) is not int or type(most) is not int or not 0 <= least <= most:
        raise ValueError("count, min and max are numbers, min not more than max")
    return SubmissionRequirement(str(document.get("name", "")), rule == "all", group, nested, least, most)


def _flat(requirements: tuple[SubmissionRequirement, ...]) -> list[SubmissionRequirement]:
    return [each for one in requirements for each in (one, *_flat(one.nested))]


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        raise ValueError(f"{name} is text of 1 to 128 characters")
    return value


def _list(document: dict[str, Any], name: str, longest: int) -> list[Any]:
    value = document.get(name, [])
    if not isinstance(value, list) or len(value) > longest:
        raise ValueError(f"{name} is a list of at most {longest}")
    return value
