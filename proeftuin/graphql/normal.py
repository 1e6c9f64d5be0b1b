"""A GraphQL request in one form, to be judged by: validated against the SDL, and freed of everything that a rewriting can change.

Fragments, inline fragments, aliases, variables, defaults, @include and @skip are resolved as an executor would resolve them
(GraphQL October 2021 §6.3.2 CollectFields), so that whoever judges the form judges what will be executed. Cheap limits come
before costly work.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    parse,
    type_from_ast,
    validate,
)
from graphql.execution.values import (
    VariableValues,
    get_argument_values,
    get_directive_values,
    get_variable_values,
)

from proeftuin.graphql import filters

PARSE, OPERATIONS, ROOTS, EMPTY, INTROSPECTION, VALIDATION, LIMIT = (
    "parse", "operations", "roots", "empty", "introspection", "validation", "limit",
)  # fmt: skip


class Unacceptable(Exception):  # noqa: N818 - an outcome, not an error of the program
    """A request cannot be judged, and so not be allowed: `kind` is one of the names above; `text` shows no variable's value."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a request may be. `fields`, `depth` and `cost` are of what is executed, the others of what was sent.

    `length` is in characters, of the document and of its variables as JSON.

    A field costs 1, times LIST for each list that it stands under.
    """

    length: int = 65_536
    tokens: int = 6_000
    aliases: int = 100
    depth: int = 12
    fields: int = 1_000
    cost: int = 50_000


LIST = 5  # records that a list is counted for
KEPT = 4096  # characters of a document whose reading is kept for the next time
DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Node:
    """One field of the request: `parent` and `returns` are type names; equal fields with equal arguments are one node."""

    parent: str
    field: str
    returns: str
    many: bool
    arguments: dict[str, Any]
    where: filters.Filter
    children: tuple["Node", ...]

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], "Node"]]:
        """Yield every node below this one with its path of field names, itself first with the empty path."""
        yield path, self
        for child in self.children:
            yield from child.walk((*path, child.field))


@dataclass(frozen=True, slots=True)
class Query:
    """A request in its one form: `kind` is query or mutation, `name` what its author called it, `root` its only root field."""

    kind: str
    name: str
    root: Node


def read(document: str, limits: Limits = DEFAULT) -> DocumentNode:
    """Parse; raises Unacceptable(PARSE, OPERATIONS or LIMIT)."""
    return _read_once(document, limits) if len(document) <= KEPT else _read(document, limits)


def _read(document: str, limits: Limits) -> DocumentNode:
    if len(document) > limits.length:
        raise Unacceptable(LIMIT, f"the document is longer than {limits.length} characters")
    try:
        parsed = parse(document, no_location=True, max_tokens=limits.tokens)
    except RecursionError as error:
        raise Unacceptable(LIMIT, "the document is nested too deeply") from error
    except GraphQLError as error:
        if "aborted" in error.message:
            raise Unacceptable(LIMIT, f"the document has more than {limits.tokens} tokens, or is nested too deeply") from error
        raise Unacceptable(PARSE, "the document is no GraphQL") from error
    if sum(isinstance(each, OperationDefinitionNode) for each in parsed.definitions) != 1:
        raise Unacceptable(OPERATIONS, "the document must have one operation")
    return parsed


@lru_cache(maxsize=128)  # a system sends the same text again and again, and validating is most of the work
def _read_once(document: str, limits: Limits) -> DocumentNode:
    return _read(document, limits)


@lru_cache(maxsize=128)
def _validate_once(schema: GraphQLSchema, document: str, limits: Limits) -> None:
    _validate(schema, read(document, limits))


def _validate(schema: GraphQLSchema, document: DocumentNode) -> None:
    errors = validate(schema, document, max_errors=3, hide_suggestions=True, allow_empty_selection_sets=False)
    if errors and "aborted" in errors[-1].message:  # graphql-core stops where comparing fields would take too long
        raise Unacceptable(LIMIT, "the document has too many fields to compare")
    if errors:
        raise Unacceptable(VALIDATION, f"the document does not fit the schema: {errors[0].message[:200]}")


def root_fields(document: DocumentNode) -> set[str]:
    """Return the names of all root fields that the operation mentions, whatever a directive does with them."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    (operation,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [operation.selection_set]
    while waiting:
        for each in waiting.pop().selections:
            if isinstance(each, FieldNode):
                found.add(each.name.value)
            elif isinstance(each, InlineFragmentNode):
                waiting.append(each.selection_set)
            elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
                seen.add(each.name.value)
                if each.name.value in fragments:
                    waiting.append(fragments[each.name.value].selection_set)
    return found - {"__typename"}


def normalise(
    schema: GraphQLSchema, document: str, variables: dict[str, Any] | None = None, limits: Limits = DEFAULT
) -> Query:  # fmt: skip
    """Return the one form of a request; raises Unacceptable with the first thing that is wrong."""
    parsed = read(document, limits)
    if any(name.startswith("__") for name in root_fields(parsed)):
        raise Unacceptable(INTROSPECTION, "introspection is not offered")
    try:
        if len(json.dumps(variables or {})) > limits.length:
            raise Unacceptable(LIMIT, f"the variables are longer than {limits.length} characters")
        if len(document) <= KEPT:
            _validate_once(schema, document, limits)
        else:
            _validate(schema, parsed)
        return _Reading(schema, parsed, variables or {}, limits).query()
    except RecursionError as error:
        raise Unacceptable(LIMIT, "the request is nested too deeply") from error


@dataclass(slots=True)
class _Reading:
    """One request while it is being read."""

    schema: GraphQLSchema
    document: DocumentNode
    inputs: dict[str, Any]
    limits: Limits
    fragments: dict[str, FragmentDefinitionNode] = field(init=False)
    variables: VariableValues = field(init=False)
    visited: int = 0
    aliased: int = 0
    cost: int = 0

    def query(self) -> Query:
        (operation,) = (each for each in self.document.definitions if isinstance(each, OperationDefinitionNode))
        self.fragments = {each.name.value: each for each in self.document.definitions if isinstance(each, FragmentDefinitionNode)}
        values = get_variable_values(self.schema, operation.variable_definitions or (), self.inputs, max_errors=1)
        if not isinstance(values, VariableValues):
            name = next(
                (
                    each.variable.name.value
                    for each in operation.variable_definitions or ()
                    if each.variable.name.value in str(values[0])
                ),
                "",
            )
            raise Unacceptable(VALIDATION, f"variable ${name} has no value of its type")
        self.variables = values
        kind = operation.operation.value
        start = {"query": self.schema.query_type, "mutation": self.schema.mutation_type}.get(kind)
        if start is None:
            raise Unacceptable(VALIDATION, f"a {kind} is not offered")
        roots = list(self._collect(start, [operation.selection_set]).values())
        if not roots:
            raise Unacceptable(EMPTY, "the operation asks nothing")
        if len(roots) > 1:
            raise Unacceptable(ROOTS, "the operation must have one root field")
        return Query(kind, operation.name.value if operation.name else "", self._node(start, roots[0], 1, 1))

    def _node(self, parent: GraphQLObjectType, fields: list[FieldNode], depth: int, weight: int) -> Node:
        definition: GraphQLField = parent.fields[fields[0].name.value]
        try:
            arguments = get_argument_values(definition, fields[0], self.variables)
        except GraphQLError as error:
            raise Unacceptable(VALIDATION, f"an argument of {fields[0].name.value} has no value of its type") from error
        if depth > self.limits.depth:
            raise Unacceptable(LIMIT, f"the request is deeper than {self.limits.depth} fields")
        self.cost += weight
        if self.cost > self.limits.cost:
            raise Unacceptable(LIMIT, f"the request costs more than {self.limits.cost}")
        where = filters.read(arguments.pop("where", None))
        returns = get_named_type(definition.type)
        many = is_list_type(get_nullable_type(definition.type))
        children: list[Node] = []
        if is_composite_type(returns):
            inner = [each.selection_set for each in fields if each.selection_set is not None]
            for concrete in self._concrete(returns):
                below = self._collect(concrete, inner).values()
                children += [self._node(concrete, each, depth + 1, weight * (LIST if many else 1)) for each in below]
        return Node(parent.name, fields[0].name.value, returns.name, many, arguments, where, _together(children))

    def _concrete(self, returns: GraphQLCompositeType) -> list[GraphQLObjectType]:
        if isinstance(returns, GraphQLObjectType):
            return [returns]
        return list(self.schema.get_possible_types(returns))

    def _collect(self, parent: GraphQLObjectType, selections: list[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Return the fields of `parent` by response key, as an executor collects them."""
        groups: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()

        def collect(selection: SelectionSetNode) -> None:
            for each in selection.selections:
                self.visited += 1
                if self.visited > self.limits.fields:
                    raise Unacceptable(LIMIT, f"the request has more than {self.limits.fields} fields")
                if not self._included(each):
                    continue
                if isinstance(each, FieldNode):
                    self._count_alias(each)
                    if each.name.value != "__typename":
                        groups.setdefault(each.alias.value if each.alias else each.name.value, []).append(each)
                elif isinstance(each, InlineFragmentNode):
                    if each.type_condition is None or self._applies(parent, type_from_ast(self.schema, each.type_condition)):
                        collect(each.selection_set)
                elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
                    seen.add(each.name.value)
                    fragment = self.fragments[each.name.value]
                    if self._applies(parent, type_from_ast(self.schema, fragment.type_condition)):
                        collect(fragment.selection_set)

        for selection in selections:
            collect(selection)
        return groups

    def _count_alias(self, node: FieldNode) -> None:
        self.aliased += node.alias is not None
        if self.aliased > self.limits.aliases:
            raise Unacceptable(LIMIT, f"the request has more than {self.limits.aliases} aliases")

    def _applies(self, parent: GraphQLObjectType, condition: Any) -> bool:  # noqa: ANN401 - a type of the schema, or None
        return condition is parent or (is_abstract_type(condition) and self.schema.is_sub_type(condition, parent))

    def _included(self, node: Any) -> bool:  # noqa: ANN401 - any selection
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not (skip and skip["if"]) and not (include and not include["if"])


def _together(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the nodes in one order; those that ask the same field of the same records become one, with what each asks below it."""
    found: dict[tuple[str, str, str], Node] = {}
    for node in nodes:
        key = (node.parent, node.field, json.dumps([node.arguments, node.where.key], sort_keys=True))
        same = found.get(key)
        found[key] = node if same is None else replace(same, children=_together((*same.children, *node.children)))
    return tuple(found[key] for key in sorted(found))
