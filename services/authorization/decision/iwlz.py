"""Decide on a GraphQL request in the iWlz network: its one form, the rules of its root field, the look-ups that they need."""

from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Protocol

import structlog
from graphql import GraphQLObjectType, get_named_type, is_composite_type

from proeftuin.clock import Clock
from proeftuin.graphql import filters, normal
from proeftuin.graphql.filters import Filter
from proeftuin.graphql.normal import Node, Query, Unacceptable
from proeftuin.iwlz import schemas
from services.authorization.decision.folder import Loaded, Policies
from services.authorization.decision.model import PIP, Caller, Decision, Finding
from services.authorization.decision.rego import Unevaluable

log = structlog.get_logger(__name__)
FOLDER = Path(__file__).parent / "policies" / "iwlz"
BAD_REQUEST, VALIDATION_FAILED, INTERNAL = "BAD_REQUEST", "GRAPHQL_VALIDATION_FAILED", "INTERNAL_SERVER_ERROR"
NOT_ASKED = "Relations are looked up only for a caller with a token, at the enforcement point of the network."
_UNACCEPTABLE = {  # kind -> code and text; the first four texts are those of the VECOZO bundle (rules.toml)
    normal.PARSE: (BAD_REQUEST, "Unable to parse graphql query"),
    normal.OPERATIONS: (BAD_REQUEST, "Only one operation at the time is supported."),
    normal.ROOTS: (BAD_REQUEST, "Only one selectionset in an operation is supported."),
    normal.EMPTY: (BAD_REQUEST, "No operation found to evaluate"),
    normal.INTROSPECTION: (BAD_REQUEST, "Introspection is not offered."),
    normal.VALIDATION: (VALIDATION_FAILED, "The query does not fit the schema."),
    normal.LIMIT: (BAD_REQUEST, "The query is too large."),
}


class Unanswered(Exception):  # noqa: N818 - an outcome of a look-up, not an error of the program
    """A register that had to be asked gave no answer; the text says which and why."""


class InformationPoint(Protocol):
    """Where facts come from that neither query nor token has (PIP)."""

    async def involved(self, relation: str, wlz_indicatie: str, identifier: str, quantifier: str) -> bool:
        """Tell whether the bemiddelingsregister lists `identifier` under this indicatie.

        `relation` is instelling (some or all specifications, `quantifier`) or zorgkantoor (uitvoerend, or new one of a handover).
        Raises Unanswered.
        """
        ...


def prepare(documents: dict[str, Any], modules: dict[str, str]) -> dict[str, Any]:
    """Return the data that the rules read; raises KeyError or ValueError when a document is not well formed or a rule is absent.

    A rule that fails denies, so a file that was cut off would open what it does not say any more.
    """
    profiles = documents["profiles"]
    for name, rule in documents["rules"].items():
        operations = rule["operation"] if isinstance(rule["operation"], list) else [rule["operation"]]
        for operation in operations:
            if operation != "*" and f'"rule": "{name}"' not in modules.get(f"{operation.lower()}.rego", ""):
                raise ValueError(f"rule {name} stands in rules.toml and not in {operation.lower()}.rego")
    for mandate in documents["mandates"].values():
        if not isinstance(mandate["actor"], str) or not isinstance(mandate["principal"], str):
            raise ValueError("a mandate has an actor and a principal")
    for networks in documents["addresses"].values():
        for network in networks:
            ip_network(network)  # raises ValueError
    return {"profiles": profiles["profiles"], "matrix": _matrix(documents["autorisatiematrix"]), **profiles["data"]}


class Decisions:
    """The decision point for iWlz: `decide` is all of it."""

    def __init__(self, clock: Clock, information: InformationPoint, folder: Path = FOLDER) -> None:
        self.policies = Policies(folder, prepare)
        self._clock = clock
        self._information = information

    @property
    def profiles(self) -> list[str]:
        """The names of the profiles."""
        return list(self.policies.current().documents["profiles"]["profiles"])

    async def decide(
        self, caller: Caller, document: str, variables: dict[str, Any] | None, profile: str, *, look_up: bool = True
    ) -> Decision:
        """Judge a request under a profile; whatever no rule opens, is denied. Raises KeyError for an unknown profile.

        Without `look_up` no register is asked: for who only supposes a caller, and may not learn of relations in that way.
        """
        loaded = self.policies.current()
        settings = loaded.documents["profiles"]["profiles"][profile]
        try:
            query = _read(document, variables)
        except Unacceptable as refused:
            code, text = _UNACCEPTABLE[refused.kind]
            finding = Finding(f"graphql.{refused.kind}", (), code, text, refused.text)
            return Decision(False, profile, loaded.version, (finding,))
        title = f"{query.name} {query.kind}".strip()
        scope = _scope_missing(loaded, query.root.field, caller, scope_prefix=settings["scope_prefix"])
        return await self._judge(loaded, profile, caller, query.root.field, facts_of(query), title, scope, look_up)

    async def judge_filter(
        self, caller: Caller, operation: str, where: dict[str, Any], profile: str, *, look_up: bool = True
    ) -> Decision:
        """Judge only from which records a root field chooses (RFC0052 `query_filter`), the scope having been checked before."""
        loaded = self.policies.current()
        form = filters.read(where)
        asked = {"root": operation, "where": form.as_json(), "filtered": sorted(_names(form, "")), "arguments": {}, "nodes": []}
        return await self._judge(loaded, profile, caller, operation, asked, operation, None, look_up)

    async def _judge(
        self,
        loaded: Loaded,
        profile: str,
        caller: Caller,
        operation: str,
        asked: dict[str, Any],
        title: str,
        scope: str | None,
        look_up: bool,
    ) -> Decision:
        settings = loaded.documents["profiles"]["profiles"][profile]
        catalogue = _catalogue(loaded, operation, profile)
        if not catalogue or scope is not None:
            rule = {"rule": "scope", "found": scope} if catalogue else {"rule": "none"}
            return Decision(
                False, profile, loaded.version, (_finding(loaded, rule, title),), operation, {rule["rule"] or "": False}
            )
        facts: dict[str, Any] = {
            "profile": profile, "today": self._clock.now().date().isoformat(), "claims": caller.claims,
            "scopes": sorted(caller.scopes), "query": asked, "pip": {},
        }  # fmt: skip
        package = f"iwlz.{operation.lower()}"
        try:
            needs = loaded.evaluate(package, "needs", facts, optional=True)
            unanswered = NOT_ASKED if needs and not look_up else await self._look_up(needs, facts, settings["provider_quantifier"])
            failed: list[dict[str, Any]] = loaded.evaluate(package, "failed", facts)
        except Unevaluable as fault:
            log.exception("policies gave no answer", **loaded.version.as_json())
            finding = Finding("policy.fault", (), INTERNAL, f"{title}: the policies gave no answer", str(fault))
            return Decision(False, profile, loaded.version, (finding,), operation)
        findings = [
            _finding(loaded, each, title) for each in sorted(failed, key=lambda each: (each["rule"], each.get("found", "")))
        ]
        if unanswered is not None:
            error = settings["pip_unavailable"] == "error"
            code = INTERNAL if error else "UNAUTHORIZED"
            down = Finding("pip.unanswered", (), code, f"{title}: a register did not answer", unanswered, PIP)
            findings = [down] if error else [*findings, down]
        rules = {rule: all(each["rule"] != rule for each in failed) for rule in ("scope", *catalogue)}
        return Decision(not findings, profile, loaded.version, tuple(findings), operation, rules)

    async def _look_up(self, needs: Iterable[str], facts: dict[str, Any], quantifier: str) -> str | None:
        """Complete the facts with what the rules need; returns what was not answered, if anything."""
        try:
            for relation in needs:
                bound = facts["query"]["where"]["all"]
                indicatie = next((each["value"] for each in bound if (each["field"], each["op"]) == ("wlzindicatieID", "eq")), "")
                identifier = facts["claims"].get("agb" if relation == "instelling" else "uzovi") or ""
                facts["pip"][relation] = await self._information.involved(relation, indicatie, identifier, quantifier)
        except Unanswered as unanswered:
            return str(unanswered)
        return None


def facts_of(query: Query) -> dict[str, Any]:
    """Return a request as rules read it: the root's filter and arguments, and every node below it with its path and filter."""
    nodes = [_node(query, ".".join(path), node) for path, node in query.root.walk() if path]
    root = query.root
    return {
        "kind": query.kind, "root": root.field, "where": root.where.as_json(), "filtered": sorted(_filtered(root)),
        "arguments": root.arguments, "nodes": nodes,
    }  # fmt: skip


def _node(query: Query, path: str, node: Node) -> dict[str, Any]:
    where, filtered = node.where.as_json(), sorted(_filtered(node))
    return {
        "path": path, "field": node.field, "parent": node.parent, "type": node.returns, "leaf": _is_leaf(query, node),
        "where": where, "filtered": filtered,
    }  # fmt: skip


def _read(document: str, variables: dict[str, Any] | None) -> Query:
    parsed = normal.read(document)
    roots = normal.root_fields(parsed)
    names = {name for root in roots if (name := schemas.schema_of(root)) is not None}
    if len(names) > 1:
        raise Unacceptable(normal.ROOTS, "the operation must have one root field")
    if roots and not names and not any(root.startswith("__") for root in roots):
        raise Unacceptable(normal.EMPTY, "no register offers this root field")
    return normal.normalise(schemas.schema(names.pop() if names else schemas.BERICHTEN), document, variables)


def _is_leaf(query: Query, node: Node) -> bool:
    name = schemas.schema_of(query.root.field)
    return name is not None and not is_composite_type(schemas.schema(name).type_map[node.returns])


def _filtered(node: Node) -> set[str]:
    """The names of everything that a node's records are chosen or sorted by, alternatives and quantified relations included."""

    order = node.arguments.get("order") or []
    return _names(node.where, "") | {name for each in order for name in each}


def _names(where: Filter, prefix: str) -> set[str]:
    found: set[str] = set()
    for name, _, value in where.all:
        found |= _names(value, f"{prefix}{name}.") if isinstance(value, Filter) else {prefix + name}
    return found.union(*(_names(option, prefix) for group in where.any for option in group))


def _catalogue(loaded: Loaded, operation: str, profile: str) -> list[str]:
    def of(rule: dict[str, Any]) -> bool:
        named = rule["operation"]
        return operation in (named if isinstance(named, list) else [named]) and rule.get("profile", profile) == profile

    return [name for name, rule in loaded.documents["rules"].items() if of(rule)]


def _scope_missing(loaded: Loaded, operation: str, caller: Caller, *, scope_prefix: bool) -> str | None:
    """Return the scope to ask for, unless the caller has one that opens the operation."""
    document = loaded.documents["profiles"]
    accepted = document["scopes"].get(operation, [])
    prefix = document["prefixes"].get(operation)
    if caller.scopes & set(accepted):
        return None
    if scope_prefix and prefix is not None and any(scope.startswith(prefix) for scope in caller.scopes):
        return None
    return str(accepted[0]) if accepted else "that does not exist yet"


def _finding(loaded: Loaded, failed: dict[str, Any], title: str) -> Finding:
    rule = loaded.documents["rules"].get(failed["rule"])
    if rule is None:
        return Finding(failed["rule"], (), BAD_REQUEST, "No operation found to evaluate", "No policy opens this operation.")
    found = failed.get("found")
    text, hint = (rule[each].replace("{found}", found or "") for each in ("text", "hint"))
    exact = f" Exactly: {failed['hint']}" if "hint" in failed else ""
    return Finding(failed["rule"], tuple(rule["policies"]), rule["code"], f"{title}: {text}", hint + exact, found=found)


def _matrix(document: dict[str, Any]) -> dict[str, Any]:
    """Return for each autorisatieregel the paths that it gives, `*` written out by the schema."""
    matrix = {}
    for name, entry in document.items():
        rule = document[entry["like"]] if "like" in entry else entry
        schema = schemas.schema(schemas.schema_of(rule["operation"]) or "")
        assert schema.query_type is not None  # noqa: S101 - every register has queries
        start = schema.query_type.fields[rule["operation"]]
        paths: list[str] = []
        for path, names in rule["attributes"].items():
            reached: Any = get_named_type(start.type)
            for step in path.split(".") if path else []:
                reached = get_named_type(reached.fields[step].type)
            paths += [f"{path}.{each}".removeprefix(".") for each in _attributes(reached, names)]
        matrix[name] = dict.fromkeys(sorted(paths), True)
    return matrix


def _attributes(reached: GraphQLObjectType, names: list[str]) -> set[str]:
    leaves = {name for name, each in reached.fields.items() if not is_composite_type(get_named_type(each.type))}
    chosen = {name for name in names if name[0] not in "*-"} | (leaves if "*" in names else set())
    unknown = {name.removeprefix("-") for name in names if name != "*"} - leaves
    if unknown:
        raise ValueError(f"autorisatiematrix: {reached.name} has no attribute {', '.join(sorted(unknown))}")
    return chosen - {name.removeprefix("-") for name in names if name.startswith("-")}
