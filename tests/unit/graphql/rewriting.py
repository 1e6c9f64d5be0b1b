"""Say a GraphQL request in another way that asks the same: what no decision may depend on."""

import random
from typing import Any

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    ConstListValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    NamedTypeNode,
    NameNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    ast_from_value,
    get_named_type,
    parse,
    parse_type,
    print_ast,
    type_from_ast,
    value_from_ast_untyped,
)


class Rewriting:
    """One rewriting of one document; `rng` chooses. Give it the source without variables; `variables` belong to the result."""

    def __init__(self, schema: GraphQLSchema, source: str, rng: random.Random) -> None:
        self.schema, self.rng = schema, rng
        self.variables: dict[str, Any] = {}
        self.definitions: list[VariableDefinitionNode] = []
        self.fragments: list[FragmentDefinitionNode] = []
        self.count = 0
        (operation,) = parse(source, no_location=True).definitions
        assert isinstance(operation, OperationDefinitionNode)
        start = {"query": schema.query_type, "mutation": schema.mutation_type}[operation.operation.value]
        assert start is not None
        selection = self._selection(operation.selection_set, start, root=True)
        written = OperationDefinitionNode(
            operation=operation.operation, name=operation.name, variable_definitions=tuple(self.definitions),
            directives=(), selection_set=selection,
        )  # fmt: skip
        whole = [written, *self.fragments]
        rng.shuffle(whole)
        text = print_ast(DocumentNode(definitions=tuple(whole)))
        self.source = text.replace("\n", rng.choice(["\n", " \n\n# a remark\n", "\n\t", "\r\n"]))

    def _fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def _maybe(self, chance: float = 0.4) -> bool:
        return self.rng.random() < chance

    def _switch(self, name: str, *, on: bool) -> DirectiveNode:
        value: Any = BooleanValueNode(value=on)
        if self._maybe():
            variable = self._fresh()
            self.variables[variable] = on
            self.definitions.append(_definition(variable, "Boolean!"))
            value = VariableNode(name=NameNode(value=variable))
        return DirectiveNode(name=NameNode(value=name), arguments=(ArgumentNode(name=NameNode(value="if"), value=value),))

    def _on(self) -> tuple[DirectiveNode, ...]:
        """Directives that leave a selection where it is."""
        return tuple(self._switch(name, on=on) for name, on in (("include", True), ("skip", False)) if self._maybe(0.15))

    def _selection(self, selection: SelectionSetNode, parent: GraphQLObjectType, *, root: bool = False) -> SelectionSetNode:
        nodes: list[SelectionNode] = []
        for each in selection.selections:
            assert isinstance(each, FieldNode)
            nodes.append(self._field(each, parent))
            if not root and self._maybe(0.15):
                nodes.append(self._field(each, parent, alias=True))
        if not root:
            if self._maybe(0.3):
                nodes.append(FieldNode(name=NameNode(value="__typename"), arguments=(), directives=()))
            if self._maybe(0.3):
                nodes.append(self._unasked(parent))
        if not root or self._maybe():
            self.rng.shuffle(nodes)
        return SelectionSetNode(selections=tuple(self._wrapped(nodes, parent)))

    def _unasked(self, parent: GraphQLObjectType) -> FieldNode:
        """Return any field of the type, skipped."""
        leaves = [name for name, each in parent.fields.items() if not isinstance(get_named_type(each.type), GraphQLObjectType)]
        directive = self._switch("include", on=False) if self._maybe() else self._switch("skip", on=True)
        return FieldNode(
            name=NameNode(value=self.rng.choice(leaves)), alias=NameNode(value=self._fresh()), arguments=(), directives=(directive,)
        )

    def _wrapped(self, nodes: list[SelectionNode], parent: GraphQLObjectType) -> list[SelectionNode]:
        if len(nodes) < 1 or not self._maybe(0.5):
            return nodes
        cut = self.rng.randint(0, len(nodes) - 1)
        inner = SelectionSetNode(selections=tuple(self._wrapped(nodes[cut:], parent)))
        condition = NamedTypeNode(name=NameNode(value=parent.name))
        if self._maybe(0.5):
            name = self._fresh()
            self.fragments.append(
                FragmentDefinitionNode(
                    name=NameNode(value=name), type_condition=condition, selection_set=inner, directives=(), variable_definitions=()
                )
            )
            spread = FragmentSpreadNode(name=NameNode(value=name), directives=self._on())
            return [*nodes[:cut], spread, spread] if self._maybe(0.2) else [*nodes[:cut], spread]
        return [
            *nodes[:cut],
            InlineFragmentNode(type_condition=condition if self._maybe() else None, selection_set=inner, directives=self._on()),
        ]

    def _field(self, node: FieldNode, parent: GraphQLObjectType, *, alias: bool = False) -> FieldNode:
        if node.name.value == "__typename":
            return node
        definition = parent.fields[node.name.value]
        returns = get_named_type(definition.type)
        inner = None
        if node.selection_set is not None:
            assert isinstance(returns, GraphQLObjectType)
            inner = self._selection(node.selection_set, returns)
        arguments = []
        for each in node.arguments or ():
            value: Any = self._value(each.value, each.name.value)
            if self._maybe(0.5):
                name, written = self._fresh(), str(definition.args[each.name.value].type)
                if self._maybe(0.5):
                    self.definitions.append(_definition(name, written.removesuffix("!"), value))
                    if written.endswith("!"):
                        self.definitions[-1] = _definition(name, written)
                        self.variables[name] = value_from_ast_untyped(value)
                else:
                    self.definitions.append(_definition(name, written))
                    self.variables[name] = value_from_ast_untyped(value)
                value = VariableNode(name=NameNode(value=name))
            arguments.append(ArgumentNode(name=each.name, value=value))
        self.rng.shuffle(arguments)
        name_of = NameNode(value=self._fresh()) if alias or node.alias or node.arguments or self._maybe() else None
        return FieldNode(name=node.name, alias=name_of, arguments=tuple(arguments), directives=self._on(), selection_set=inner)

    def _value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, ObjectValueNode):
            fields = [ObjectFieldNode(name=each.name, value=self._value(each.value)) for each in value.fields]
            self.rng.shuffle(fields)
            written = ObjectValueNode(fields=tuple(fields))
            if name == "where" and self._maybe(0.3) and _has_and(fields):
                return ObjectValueNode(
                    fields=(ObjectFieldNode(name=NameNode(value="and"), value=ListValueNode(values=(written,))),)
                )
            return written
        if isinstance(value, ListValueNode | ConstListValueNode):
            return ListValueNode(values=tuple(self._value(each) for each in value.values))
        return value


def _has_and(fields: list[ObjectFieldNode]) -> bool:
    return any(each.name.value in {"or", "and", "bemiddelingspecificatieID", "regiehouderID", "overdrachtID"} for each in fields)


def _definition(name: str, written: str, default: Any = None) -> VariableDefinitionNode:
    return VariableDefinitionNode(
        variable=VariableNode(name=NameNode(value=name)),
        type=parse_type(written, no_location=True),
        default_value=default,
        directives=(),
    )


def inlined(schema: GraphQLSchema, source: str, variables: dict[str, Any]) -> str:
    """Return the request without variables and fragments: what `Rewriting` begins from."""
    document = parse(source, no_location=True)
    (operation,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    types: Any = {each.variable.name.value: type_from_ast(schema, each.type) for each in operation.variable_definitions or ()}

    def value(node: Any) -> Any:
        if isinstance(node, VariableNode):
            name = node.name.value
            return ast_from_value(variables[name], types[name]) if name in variables else None
        if isinstance(node, ObjectValueNode):
            fields = [(each, value(each.value)) for each in node.fields]
            return ObjectValueNode(
                fields=tuple(ObjectFieldNode(name=each.name, value=found) for each, found in fields if found is not None)
            )
        if isinstance(node, ListValueNode | ConstListValueNode):
            return ListValueNode(values=tuple(found for each in node.values if (found := value(each)) is not None))
        return node

    def selections(selection: SelectionSetNode) -> list[SelectionNode]:
        found: list[SelectionNode] = []
        for each in selection.selections:
            if isinstance(each, FragmentSpreadNode):
                found += selections(fragments[each.name.value].selection_set)
            elif isinstance(each, FieldNode) and not each.directives:
                inner = SelectionSetNode(selections=tuple(selections(each.selection_set))) if each.selection_set else None
                arguments = [ArgumentNode(name=arg.name, value=value(arg.value)) for arg in each.arguments or ()]
                found.append(
                    FieldNode(name=each.name, alias=each.alias, arguments=tuple(arguments), directives=(), selection_set=inner)
                )
        return found

    whole = OperationDefinitionNode(
        operation=operation.operation, name=operation.name, variable_definitions=(), directives=(),
        selection_set=SelectionSetNode(selections=tuple(selections(operation.selection_set))),
    )  # fmt: skip
    return print_ast(whole)
