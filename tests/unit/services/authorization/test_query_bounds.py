"""What an allowed query returns, executed on the register's own schema: no attribute that the autorisatiematrix does not give."""

from typing import Any

import pytest
from graphql import GraphQLResolveInfo, GraphQLScalarType, execute_sync, get_named_type, get_nullable_type, is_list_type, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proeftuin.iwlz.schemas import BEMIDDELING, INDICATIE, schema
from services.authorization.decision.iwlz import Decisions
from services.authorization.decision.model import Caller
from tests.unit.graphql.queries import fields
from tests.unit.services.authorization.policy_cases import PROFILES, Stage

pytestmark = pytest.mark.anyio
STAGE = Stage()
STAGE.pip = {"instelling": True, "zorgkantoor": True}
DECISIONS = Decisions(STAGE, STAGE)
ID = "c37239b0-9e3d-4c00-88fd-01f37e590fc0"
SCOPES = frozenset(
    {"registers/wlzindicatieregister/indicaties/indicatie:read", "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"}
)
ZA = Caller({"agb": "47990103", "instantie_type": "Zorgaanbieder"}, SCOPES)
ZK = Caller({"uzovi": "9901", "instantie_type": "Zorgkantoor"}, SCOPES)
CIZ = Caller({"kvk": "62253778", "instantie_type": "Onderneming"}, SCOPES)
DATES = (
    'toewijzingIngangsdatum: {eq: "2026-01-01"}, toewijzingEinddatum: {eq: null}, vaststellingMoment: {eq: "2025-12-15T09:30:00Z"}'
)
SPEC = f'bemiddelingspecificatieID: {{eq: "{ID}"}}'
ROOTS = [  # who asks, the root field with the filter that it must have, and the rules of the matrix that are then for this caller
    (ZA, f'wlzIndicatie(where: {{wlzindicatieID: {{eq: "{ID}"}}}})', ["IRA0003"]),
    (ZA, f'bemiddelingspecificatie(where: {{bemiddelingspecificatieID: {{eq: "{ID}"}}, instelling: {{eq: "47990103"}}{DATES}}})',
     ["BRA0001", "BRA0002", "BRA0004", "BRA0005"]),
    (ZK, f'bemiddelingspecificatie(where: {{{SPEC}, uitvoerendZorgkantoor: {{eq: "9901"}}{DATES}}})',
     ["BRA0006", "BRA0007", "BRA0008", "BRA0009"]),
    (ZA, f'regiehouder(where: {{regiehouderID: {{eq: "{ID}"}}, instelling: {{eq: "47990103"}}}})', ["BRA0012"]),
    (ZK, f'overdracht(where: {{overdrachtID: {{eq: "{ID}"}}, verantwoordelijkZorgkantoor: {{eq: "9901"}}}})', ["BRA0010"]),
    (CIZ, f'bemiddeling(where: {{wlzIndicatieID: {{eq: "{ID}"}}}})', ["BRA0011", "BRA0014"]),
]  # fmt: skip
_OPEN = '(where: {{or: [{{{end}: {{eq: null}}}}, {{{end}: {{gt: "2026-01-01"}}}}]}})'
FILTERS = {  # the filter that a subentity needs where the end is open
    ("Bemiddeling", "bemiddelingspecificatie"): _OPEN.format(end="toewijzingEinddatum"),
    ("Bemiddeling", "regiehouder"): _OPEN.format(end="einddatum"),
    ("Client", "contactpersoon"): _OPEN.format(end="einddatum"),
    ("Client", "contactgegevens"): _OPEN.format(end="einddatum"),
    ("Contactpersoon", "contactgegevens"): _OPEN.format(end="einddatum"),
}


def returned(name: str, source: str) -> set[str]:
    """Execute the query on a register in which everything exists, and return the path of every attribute in the answer."""
    seen: set[str] = set()

    def resolve(record: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        path = f"{record}.{info.field_name}".removeprefix(".") if info.parent_type.name != "Query" else ""
        kind = get_named_type(info.return_type)
        if isinstance(kind, GraphQLScalarType):
            seen.add(path)
            return 1 if kind.name in ("Int", "Float") else "2026-01-01"
        return [path] if is_list_type(get_nullable_type(info.return_type)) else path

    answer = execute_sync(schema(name), parse(source), root_value="", field_resolver=resolve)
    assert not answer.errors, answer.errors
    return seen


@st.composite
def asked(draw: Any) -> tuple[Caller, str, str, list[str]]:
    """Return a caller with a query that has the filters it must have, its register, and the caller's rules of the matrix."""
    caller, root, rules = draw(st.sampled_from(ROOTS))
    name = INDICATIE if root.startswith("wlz") else BEMIDDELING
    query_type = schema(name).query_type
    assert query_type is not None
    start = get_named_type(query_type.fields[root.partition("(")[0]].type)
    return caller, name, f"query Q {{ {root} {draw(fields(start, {} if caller is CIZ else FILTERS, 3))} }}", rules


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked())
async def test_no_allowed_query_returns_an_attribute_outside_the_matrix(question: tuple[Caller, str, str, list[str]]) -> None:
    caller, name, source, rules = question
    decision = await DECISIONS.decide(caller, source, {}, PROFILES["spec"])
    allowed = {path for rule in rules for path in DECISIONS.policies.current().data["matrix"][rule]}
    outside = returned(name, source) - allowed
    if decision.allowed:
        assert outside == set(), source
    elif {each.rule.rpartition(".")[2] for each in decision.findings} <= {"matrix", "ciz-matrix"}:
        assert outside, source  # nothing is refused for the matrix that the matrix gives
