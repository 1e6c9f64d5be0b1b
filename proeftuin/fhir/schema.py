"""The profiles as validators: JSON Schema (draft-07) from `profiles/`, with FHIR's own rules of JSON added on loading.

A file says which elements there are; what FHIR R4 §2.6.2 says of every element is added here: `id` and `extension`, `_element`
beside each primitive, at most one of `element[x]`, no empty object or array, and nothing that is not named. Two things that
R4 allows are refused: modifierExtension (a receiver which does not know it must not process the resource; nl-gf has it 0..0),
and a required primitive, or a null in a list, that has only an extension.

Each profile has two validators of the same schema: a compiled one that answers yes or no in microseconds, and a thorough one that
finds and places every fault of what the first does not accept.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
import jsonschema_rs
from jsonschema.protocols import Validator

Schema = dict[str, Any]

CANONICAL = "http://minvws.github.io/generiekefuncties-docs/StructureDefinition/"
R4_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_FOLDER = resources.files("proeftuin.fhir") / "profiles"
_RESOURCE = {"id": "id", "meta": "Meta", "implicitRules": "uri", "language": "code"}
_DOMAIN_RESOURCE = {"text": "Narrative"}
_EXCLUDED: Schema = {"not": {}}


def name_of(profile: str) -> str | None:
    """Return the file name of a profile given by canonical (with or without |version) or by name; None when it is not known."""
    name = profile.partition("|")[0].removeprefix(CANONICAL).removeprefix(R4_CANONICAL)
    return name if name in names() else None


@cache
def names() -> frozenset[str]:
    """Return the names of the resource types and profiles that can be validated."""
    files = {item.name.removesuffix(".json") for item in _FOLDER.iterdir() if item.name.endswith(".json")}
    return frozenset(files - {"datatypes"})


@cache
def base_of(name: str) -> str:
    """Return the resource type that the profile constrains (or is)."""
    return str(_load(name).get("profile", name))


@cache
def compiled(name: str) -> jsonschema_rs.Draft7Validator:
    """Return the fast check of a profile."""
    return jsonschema_rs.Draft7Validator(_schema(name), formats=_FORMATS, validate_formats=True)


@cache
def thorough(name: str) -> Validator:
    """Return the validator that finds every fault."""
    checker = jsonschema.FormatChecker(formats=())
    for kind, check in _FORMATS.items():
        checker.checks(kind)(lambda value, check=check: not isinstance(value, str) or check(value))
    validator: Validator = _Thorough(_schema(name), format_checker=checker)
    return validator


def _schema(name: str) -> Schema:
    """Return the whole JSON Schema of a profile: its definitions, its type and, for a profile, its constraints on that type."""
    own, base = _load(name), base_of(name)
    definitions: Schema = {kind: _with_rules(each) for kind, each in _definitions().items()}
    definitions[base] = _with_rules(_resource(_load(base)))
    constraints = [] if name == base else [{key: own[key] for key in ("required", "properties") if key in own}]
    return {
        "$schema": own["$schema"],
        "definitions": definitions,
        "allOf": [{"$ref": f"#/definitions/{base}"}, *constraints],
    }


def type_name(own: Schema) -> str:
    """Return the name of the datatype with this definition."""
    return next((name for name, definition in _definitions().items() if definition == own), "value")


def is_calendar_date(value: str) -> bool:
    """Tell whether the day in a FHIR date, dateTime or instant exists; a year or month alone always does."""
    if len(value) < 10:
        return True
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        return False
    return True


_FORMATS: dict[str, Callable[[str], bool]] = {"fhir-date": is_calendar_date, "fhir-base64": _is_base64}


def _load(name: str) -> Schema:
    content: Schema = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return content


@cache
def _definitions() -> dict[str, Schema]:
    definitions: dict[str, Schema] = _load("datatypes")["definitions"]
    return definitions


def _resource(own: Schema) -> Schema:
    """Add the elements of Resource or DomainResource, and the name of the type."""
    inherited = _RESOURCE if own["base"] == "Resource" else _RESOURCE | _DOMAIN_RESOURCE
    properties: Schema = {"resourceType": {"const": own["title"]}} | {key: _ref(kind) for key, kind in inherited.items()}
    if own["base"] == "DomainResource":
        properties["contained"] = {"type": "array", "items": _ref("Resource")}
    return own | {"required": ["resourceType", *own.get("required", [])], "properties": properties | own["properties"]}


def _with_rules(own: Schema) -> Schema:
    """Add the rules that hold for every element to a schema and to all schemas in it."""
    if own.get("type") == "array":
        return own | {"minItems": 1, "items": _with_rules(own["items"])}
    if "properties" not in own or "additionalProperties" in own:
        return own
    result: Schema = {"type": "object", "required": own.get("required", []), "additionalProperties": False, "minProperties": 1}
    properties = dict(own["properties"])
    for element, choice in own.get("choice", {}).items():
        keys = [element + kind[0].upper() + kind[1:] for kind in choice["types"]]
        properties |= {key: _ref(kind) for key, kind in zip(keys, choice["types"], strict=True)}
        later = {key: {"properties": dict.fromkeys(keys[at + 1 :], _EXCLUDED)} for at, key in enumerate(keys[:-1])}
        result["dependencies"] = result.get("dependencies", {}) | later
        if choice["min"]:
            needed = {"title": element, "anyOf": [{"required": [key]} for key in keys]}
            result["allOf"] = [*result.get("allOf", []), needed]
    siblings = {f"_{key}": each for key, own in properties.items() if (each := _sibling(key, own))}
    if own.get("base") != "Resource":  # Bundle has no extensions of its own
        properties.setdefault("extension", {"type": "array", "items": _ref("Extension")})
    properties.setdefault("id", _ref("string"))
    return result | {"properties": {key: _with_rules(each) for key, each in properties.items()} | siblings}


def _sibling(key: str, own: Schema) -> Schema | None:
    if own.get("type") == "array":
        one = _sibling(key, own["items"])
        return one and {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "null"}, one]}}
    primitive = "enum" in own or _primitive(own)
    return _ref("Element") if primitive and key not in ("id", "resourceType") else None


def _primitive(own: Schema) -> Schema | None:
    definition: Schema = _definitions().get(own.get("$ref", "").rpartition("/")[2], {"type": "object"})
    return None if definition["type"] == "object" else definition


def _ref(kind: str) -> Schema:
    return {"$ref": f"#/definitions/{kind}"}


def _pattern(_: Validator, pattern: str, instance: object, __: Schema) -> Iterator[jsonschema.ValidationError]:
    # as JSON Schema (ECMA 262) reads it: `$` is the very end, not also before a last newline
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError("pattern")


_Thorough = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # its stub leaves the result untyped
    jsonschema.Draft7Validator, {"pattern": _pattern}
)
