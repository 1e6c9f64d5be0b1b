"""Validate a resource against FHIR R4 or a Dutch profile: every fault at once, each located by FHIRPath."""

from collections.abc import Iterator
from typing import Any

from jsonschema import ValidationError

from proeftuin.fhir import schema
from proeftuin.fhir.invariants import INVARIANTS
from proeftuin.fhir.outcome import Issue
from proeftuin.reasons import PROFILE
from proeftuin.strict_json import deeper

_TYPES = {"object": "an object", "array": "a list", "string": "a string", "number": "a number", "integer": "a whole number",
          "boolean": "true or false"}  # fmt: skip
DEEPEST = 100  # levels
Fault = tuple[str, str, str]  # issue-type code, FHIRPath, what must hold


def validate(resource: Any, profile: str | None = None) -> list[Issue]:  # noqa: ANN401 - what a caller sent may be any JSON
    """Return the faults of a resource, none when it conforms; never raises, and no issue repeats a value that was sent.

    `profile` is a canonical or a name (`nl-gf-endpoint`); without it the resource is held against R4 only. meta.profile is a
    claim of the sender and is not looked at. Resources in a Bundle and contained ones are held against R4, as far as we know
    their type. An element that R4 does not define is a fault.
    """
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str):
        return [_issue("structure", "", "a resource is an object with a resourceType")]
    name = schema.name_of(profile or kind)
    if name is None:
        known = ", ".join(sorted(schema.names()))
        return [_issue("not-supported", "", f"the {'profile' if profile else 'resource type'} is none of {known}")]
    if schema.base_of(name) != kind:
        return [_issue("structure", "", f"{name} is a profile on {schema.base_of(name)}, not on this resource type")]
    if deeper(resource, DEEPEST):  # the compiled check has no end of its own
        return [_issue("too-long", kind, f"is nested deeper than {DEEPEST} levels")]
    try:
        return [_issue(*fault) for fault in dict.fromkeys(_faults(resource, name))]
    except RecursionError:
        return [_issue("too-long", kind, "is nested too deep")]


def _issue(code: str, expression: str, text: str) -> Issue:
    return Issue("error", code, f"{expression}: {text}" if expression else text, expression or None, PROFILE.code)


def _faults(resource: dict[str, Any], name: str) -> Iterator[Fault]:
    base = schema.base_of(name)
    if not _conforms(resource, name):
        for error in schema.thorough(name).iter_errors(resource):
            yield from _located(error, base)
    for each in dict.fromkeys((base, name)):
        for invariant in INVARIANTS.get(each, ()):
            yield from (("invariant", expression, text) for expression, text in invariant(resource))
    for path, nested in _nested(resource, base):
        kind = nested.get("resourceType")
        if isinstance(kind, str) and kind in schema.names() and schema.base_of(kind) == kind:
            yield from ((code, path + expression.removeprefix(kind), text) for code, expression, text in _faults(nested, kind))


def _conforms(resource: dict[str, Any], name: str) -> bool:
    try:
        return schema.compiled(name).is_valid(resource)
    except ValueError:  # a character that is no Unicode
        return False


def _nested(resource: dict[str, Any], base: str) -> Iterator[tuple[str, dict[str, Any]]]:
    element, member = ("entry", ".resource") if base == "Bundle" else ("contained", "")
    items = resource.get(element)
    for index, item in enumerate(items if isinstance(items, list) else []):
        nested = item.get("resource") if member and isinstance(item, dict) else item
        if isinstance(nested, dict):
            yield f"{base}.{element}[{index}]{member}", nested


def _located(error: ValidationError, base: str) -> Iterator[Fault]:
    path = base + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    own: Any = error.schema
    instance: Any = error.instance
    if error.validator == "required":
        for element in own["required"]:
            if element not in instance:
                yield "required", f"{path}.{element}", "is required"
    elif error.validator == "additionalProperties":
        for element in instance:
            if element not in own["properties"]:
                yield "structure", f"{path}.{element}" if element.isidentifier() else path, "holds what R4 does not define"
    elif error.validator == "anyOf" and "title" in own:
        yield "required", f"{path}.{own['title']}", "is required, in one of its types"
    else:
        code, text = _text(str(error.validator), own)
        yield code, path, text


def _text(keyword: str, own: dict[str, Any]) -> tuple[str, str]:
    match keyword:
        case "type":
            return "structure", f"must be {_TYPES[own['type']]}"
        case "enum" | "const":
            return "code-invalid", f"must be {' or '.join(own.get('enum') or [own['const']])}"
        case "pattern" | "format" | "minimum" | "maximum" | "maxLength":
            return "value", f"is not a valid {schema.type_name(own)}"
        case "not":  # excluded by the profile, or a second type of one element[x]
            return "structure", "may not stand here"
        case "minItems" | "minProperties":
            return "structure", "is empty: leave it out"
        case _:
            return "structure", "has the wrong form"
