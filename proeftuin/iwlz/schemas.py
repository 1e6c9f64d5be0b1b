"""The SDL of the iWlz registers and messages, as iStandaarden publishes them, ready to judge and to execute with."""

import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from graphql import GraphQLError, GraphQLObjectType, GraphQLScalarType, GraphQLSchema, build_schema

FOLDER = Path(__file__).parent
INDICATIE, BEMIDDELING, LEVERING, BERICHTEN = "indicatieregister", "bemiddelingsregister", "leveringsregister", "berichten"
NAMES = (INDICATIE, BEMIDDELING, LEVERING, BERICHTEN)
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@cache
def schema(name: str) -> GraphQLSchema:
    """Return the schema with this name, its scalars strict; raises KeyError for another name."""
    if name not in NAMES:
        raise KeyError(name)
    built = build_schema((FOLDER / f"{name}.graphql").read_text(encoding="utf-8"))
    for scalar, parse in (("UUID", _uuid), ("Date", _date), ("DateTime", _moment)):
        found = built.type_map.get(scalar)
        if isinstance(found, GraphQLScalarType):
            found.coerce_input_value = parse
    return built


def schema_of(root: str) -> str | None:
    """Return the name of the schema that offers the root field `root`; no two of them offer the same one."""
    for name in NAMES:
        for each in (schema(name).query_type, schema(name).mutation_type):
            if isinstance(each, GraphQLObjectType) and root in each.fields:
                return name
    return None


def _uuid(value: Any) -> str:  # noqa: ANN401 - whatever the caller sent
    if isinstance(value, str) and (value == "" or _UUID.fullmatch(value)):  # an empty one names nothing, and a policy says so
        return str(UUID(value)) if value else value
    raise GraphQLError("a UUID is written as 8-4-4-4-12 hexadecimal digits")


def _date(value: Any) -> str:  # noqa: ANN401 - whatever the caller sent
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise GraphQLError("a Date is written as 2026-07-01")


def _moment(value: Any) -> str:  # noqa: ANN401 - whatever the caller sent
    try:
        if isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None:
            return value
    except ValueError:
        pass
    raise GraphQLError("a DateTime has a zone, as in 2026-07-01T12:00:00Z")
