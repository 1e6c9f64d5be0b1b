"""Generate GraphQL requests that fit a schema: any fields, with filters."""

from typing import Any

from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLScalarType, GraphQLSchema, get_named_type
from hypothesis import strategies as st

_VALUES = {
    "UUID": ['"c37239b0-9e3d-4c00-88fd-01f37e590fc0"', '""', "null"],
    "String": ['"47990103"', '"9901"', "null"],
    "Date": ['"2026-01-01"', "null"],
    "DateTime": ['"2026-01-01T10:00:00Z"', "null"],
    "Int": ["1"], "Float": ["1.5"], "Boolean": ["true"],
}  # fmt: skip


@st.composite
def requests(draw: Any, schema: GraphQLSchema) -> str:
    """Return the text of a query with one root field, without variables."""
    assert schema.query_type is not None
    name = draw(st.sampled_from(sorted(schema.query_type.fields)))
    return f"query Q {{ {_field(draw, schema.query_type, name, 2)} }}"


@st.composite
def fields(draw: Any, start: GraphQLObjectType, filters: dict[tuple[str, str], str], depth: int) -> str:
    """Return a selection set of any fields of `start`; those in `filters` (type, field) get that argument."""
    names = list(start.fields)
    leaves = [each for each in names if not isinstance(get_named_type(start.fields[each].type), GraphQLObjectType)]
    chosen = draw(
        st.lists(
            st.sampled_from(leaves + [each for each in names if each not in leaves] if depth else leaves),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    written = []
    for name in chosen:
        inner = get_named_type(start.fields[name].type)
        below = draw(fields(inner, filters, depth - 1)) if isinstance(inner, GraphQLObjectType) else ""
        written.append(f"{name}{filters.get((start.name, name), '')} {below}")
    return f"{{ {' '.join(written)} }}"


def _field(draw: Any, parent: GraphQLObjectType, name: str, depth: int) -> str:
    definition = parent.fields[name]
    returns = get_named_type(definition.type)
    where = ""
    if "where" in definition.args and draw(st.booleans()):
        wanted = get_named_type(definition.args["where"].type)
        assert isinstance(wanted, GraphQLInputObjectType)
        where = f"(where: {_filter(draw, wanted, 2)})"
    if not isinstance(returns, GraphQLObjectType):
        return name + where
    leaves = sorted(each for each in returns.fields if not isinstance(get_named_type(returns.fields[each].type), GraphQLObjectType))
    names = leaves + sorted(returns.fields.keys() - set(leaves)) if depth else leaves
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    return f"{name}{where} {{ {' '.join(_field(draw, returns, each, depth - 1) for each in chosen)} }}"


def _filter(draw: Any, wanted: GraphQLInputObjectType, depth: int) -> str:
    names = sorted(each for each in wanted.fields if depth or each not in ("and", "or"))
    parts = []
    for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
        inner = get_named_type(wanted.fields[name].type)
        if isinstance(inner, GraphQLScalarType):
            value = draw(st.sampled_from(_VALUES[inner.name]))
            parts.append(f"{name}: {f'[{value}]' if name in ('in', 'nin') else value}")
        elif isinstance(inner, GraphQLInputObjectType) and depth > 0:
            written = _filter(draw, inner, depth - 1)
            parts.append(f"{name}: {f'[{written}]' if name in ('and', 'or') else written}")
    return f"{{{', '.join(parts)}}}"
