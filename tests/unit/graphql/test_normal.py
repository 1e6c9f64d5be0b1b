"""The one form of a GraphQL request: equal for all ways to say the same, and refused before it costs anything."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.graphql import filters
from proeftuin.graphql.normal import Limits, Query, Unacceptable, normalise
from proeftuin.iwlz.schemas import BEMIDDELING, BERICHTEN, INDICATIE, LEVERING, schema, schema_of
from tests.unit.graphql.queries import requests
from tests.unit.graphql.rewriting import Rewriting

ID = "c37239b0-9e3d-4c00-88fd-01f37e590fc0"
BR = schema(BEMIDDELING)


def form(source: str, **variables: Any) -> Query:
    return normalise(BR, source, variables)


def refusal(source: str, limits: Limits | None = None, **variables: Any) -> str:
    with pytest.raises(Unacceptable) as caught:
        normalise(BR, source, variables, limits or Limits())
    return caught.value.kind


SEEDS = st.integers(0, 2**32)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([BEMIDDELING, INDICATIE, LEVERING]).flatmap(lambda name: st.tuples(st.just(name), requests(schema(name)))),
    SEEDS,
)
def test_a_request_said_in_another_way_has_the_same_form(asked: tuple[str, str], seed: int) -> None:
    name, source = asked
    other = Rewriting(schema(name), source, random.Random(seed))
    assert normalise(schema(name), other.source, other.variables) == normalise(schema(name), source)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("{ bemiddelingspecificatie {", "parse"),
        ("", "parse"),
        ("query A { regiehouder { regiehouderID } } query B { client { bsn } }", "operations"),
        ("fragment F on Client { bsn }", "operations"),
        ("{ regiehouder { regiehouderID } client { bsn } }", "roots"),
        ("{ a: regiehouder { regiehouderID } b: regiehouder { regiehouderID } }", "roots"),
        ("{ regiehouder { regiehouderID } ...F } fragment F on Query { client { bsn } }", "roots"),
        ("{ __typename }", "empty"),
        ("{ regiehouder @skip(if: true) { regiehouderID } }", "empty"),
        ("{ __schema { types { name } } }", "introspection"),
        ("{ ... { __type(name: \"Client\") { name } } }", "introspection"),
        ("{ bemiddelingspecificatie { pgb } }", "validation"),
        ("{ bemiddelingspecificatie { bemiddeling } }", "validation"),
        ("{ bemiddelingspecificatie(where: {bsn: {eq: \"x\"}}) { zzpCode } }", "validation"),
        ("{ bemiddelingspecificatie(where: {bemiddelingspecificatieID: {eq: \"no-uuid\"}}) { zzpCode } }", "validation"),
        ("{ bemiddelingspecificatie(where: {toewijzingIngangsdatum: {eq: \"2026-13-01\"}}) { zzpCode } }", "validation"),
        ("query ($a: UUID!) { bemiddelingspecificatie(where: {bemiddelingspecificatieID: {eq: $a}}) { zzpCode } }", "validation"),
        ("{ client { bsn ...F } } fragment F on Client { ...G } fragment G on Client { ...F }", "validation"),
        ("{ client { bsn @authz(service: \"x\") } }", "validation"),
        ("mutation { zendNotificatie { notificatieID } }", "validation"),
        ("subscription { client { bsn } }", "validation"),
        ("{ client { bsn contactgegevens { } } }", "validation"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(source: str, kind: str) -> None:
    assert refusal(source) in ({kind, "parse"} if "{ }" in source else {kind})


MORE = " ".join(f"b{n}: client {{ ...F4 contactpersoon {{ client {{ ...F4 }} }} }}" for n in range(20))


def nested(depth: int) -> str:
    return "{ client { " + "bemiddeling { client { " * depth + "bsn" + " } }" * depth + " } }"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(nested(10), id="depth"),
        pytest.param(nested(2000), id="depth beyond the parser"),
        pytest.param("{ client { bsn } }" + " " * 70_000, id="length"),
        pytest.param("{ client { " + " ".join(f"a{n}: bsn" for n in range(101)) + " } }", id="aliases"),
        pytest.param("{ client { " + "bsn " * 1001 + " } }", id="fields"),
        pytest.param("{ client { " + "bsn " * 7000 + " } }", id="tokens"),
        pytest.param(
            "{ client { ...F0 } } "
            + " ".join(f"fragment F{n} on Client {{ bemiddeling {{ a: client {{ ...F{n + 1} }} {MORE} }} }}" for n in range(4))
            + " fragment F4 on Client { bsn }",
            id="fragments that multiply",
        ),
    ],
)  # fmt: skip
def test_a_request_that_is_too_large_is_refused(source: str) -> None:
    assert refusal(source) == "limit"


def test_variables_that_are_too_large_are_refused() -> None:
    source = "query ($w: BemiddelingspecificatieFilterInput) { bemiddelingspecificatie(where: $w) { zzpCode } }"
    assert refusal(source, w={"or": [{"percentage": {"eq": 1}}] * 5000}) == "limit"
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"and": [deep]}
    assert refusal(source, w=deep) in ("limit", "validation")


def test_a_cost_counts_what_stands_under_lists() -> None:
    source = "{ client { bemiddeling { bemiddelingspecificatie { zzpCode } } } }"
    assert refusal(source, Limits(cost=155)) == "limit"
    assert normalise(BR, source, {}, Limits(cost=156)).root.field == "client"  # 1 + 5 + 25 + 125


def test_a_filter_without_its_variable_is_no_filter() -> None:
    where = "{instelling: {eq: $i}, bemiddelingspecificatieID: {eq: $w}}"
    source = f"query ($i: String, $w: UUID) {{ bemiddelingspecificatie(where: {where}) {{ zzpCode }} }}"
    assert form(source, w=ID).root.where.all == (("bemiddelingspecificatieID", "eq", ID),)
    assert form(source, i=None, w=ID).root.where.all[1] == ("instelling", "eq", None)


def test_a_uuid_is_the_same_in_capitals() -> None:
    source = "query ($w: UUID) { bemiddelingspecificatie(where: {bemiddelingspecificatieID: {eq: $w}}) { zzpCode } }"
    assert form(source, w=ID.upper()) == form(source, w=ID)


def test_the_text_of_a_refusal_shows_no_value() -> None:
    with pytest.raises(Unacceptable) as caught:
        form("query ($b: Int) { bemiddelingspecificatie(where: {percentage: {eq: $b}}) { zzpCode } }", b="999910000")
    assert "999910000" not in caught.value.text


A: dict[str, Any] = {"a": {"eq": 1}}
B: dict[str, Any] = {"b": {"gt": 2}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (A | B, {"and": [B, A]}),
        (A | B, {"and": [{"and": [A]}, A, B]}),
        (A, {"or": [A]}),
        ({"or": [A, B]}, {"or": [B, A, A]}),
        ({"or": [A, B, {"c": {"eq": None}}]}, {"or": [A, {"or": [B, {"c": {"eq": None}}]}]}),
        ({}, {"or": [A, {}]}),
        ({}, {"and": [], "or": []}),
        ({"a": {"in": [1, 2]}}, {"a": {"in": [2, 1]}}),
        ({"r": {"a": {"eq": 1}, "b": {"gt": 2}}}, {"and": [{"r": {"b": {"gt": 2}}}, {"r": {"and": [A]}}]}),
    ],
)
def test_filters_that_say_the_same_have_one_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert filters.read(one) == filters.read(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (A, {"or": [A, B]}),
        ({"a": {"eq": None}}, {"a": {}}),
        ({"a": {"in": [1]}}, A),
        ({"r": {"some": A | B}}, {"and": [{"r": {"some": A}}, {"r": {"some": B}}]}),
        ({"a": {"ngt": 1}}, {"a": {"lte": 1}}),
    ],
)
def test_filters_that_differ_have_different_forms(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert filters.read(one) != filters.read(other)


def test_every_root_field_belongs_to_one_schema() -> None:
    assert [schema_of(each) for each in ("wlzIndicatie", "client", "levering", "zendMelding", "_empty", "users")] == [
        INDICATIE, BEMIDDELING, LEVERING, BERICHTEN, BERICHTEN, None,
    ]  # fmt: skip
