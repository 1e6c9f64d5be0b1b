"""The rules of a decision, as a table and as properties."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.consent.decisions import DENY, NO_DECISION, PERMIT, Question, decide
from services.consent.model import Consent, Whom

NOW = "2026-06-01T12:00:00.000Z"
QUESTION = Question("90000103", "verpleeghuis", "90000101", "ziekenhuis", "TREAT")
ANY, KIND, ONE = Whom(), Whom(kind="ziekenhuis"), Whom(ura="90000101")
HOLDER = Whom(ura="90000103")


def consent(name: str, permit: bool = True, user: Whom = ANY, holder: Whom = HOLDER, **rest: Any) -> Consent:
    return Consent(name, permit, holder, user, rest.pop("categories", frozenset({"Condition"})), **rest)


@pytest.mark.parametrize(("consents", "outcome", "reason"), [
    ([], DENY, "no_consent"),
    ([consent("a")], PERMIT, None),
    ([consent("a", withdrawn=True)], DENY, "consent_withdrawn"),
    ([consent("a", end=NOW)], DENY, "consent_expired"),
    ([consent("a", start="2026-06-01T12:00:00.001Z")], DENY, "consent_expired"),
    ([consent("a", start=NOW, end="2026-06-01T12:00:00.001Z")], PERMIT, None),
    ([consent("a", categories=frozenset({"Patient"}))], DENY, "consent_category"),
    ([consent("a", user=Whom(ura="90000102"))], DENY, "no_consent"),
    ([consent("a", user=Whom(kind="verpleeghuis"))], DENY, "no_consent"),
    ([consent("a", holder=Whom(ura="90000104"))], DENY, "no_consent"),
    ([consent("a"), consent("b", permit=False)], DENY, "consent_objection"),
    ([consent("a", user=ONE), consent("b", permit=False, user=KIND)], PERMIT, None),
    ([consent("a", user=KIND), consent("b", permit=False, user=ONE)], DENY, "consent_objection"),
    ([consent("a"), consent("b", permit=False, withdrawn=True)], PERMIT, None),
    ([consent("a", withdrawn=True), consent("b")], PERMIT, None),
])  # fmt: skip
def test_the_table(consents: list[Consent], outcome: str, reason: str | None) -> None:
    decision = decide(QUESTION, "Condition", consents, NOW)
    assert (decision.outcome, decision.reason.code if decision.reason else None) == (outcome, reason)


def test_another_purpose_has_no_decision() -> None:
    question = Question("90000103", "verpleeghuis", "90000101", "ziekenhuis", "ETREAT")
    assert decide(question, "Condition", [consent("a")], NOW).outcome == NO_DECISION


whom = st.sampled_from([ANY, KIND, ONE, Whom(ura="90000103"), Whom(kind="verpleeghuis"), Whom(ura="90000199")])
consents = st.lists(
    st.builds(
        Consent,
        st.uuids().map(str),
        st.booleans(),
        whom,
        whom,
        st.frozensets(st.sampled_from(["Condition", "Patient"])),
        st.booleans(),
    ),
    max_size=6,
)


@given(consents, whom, whom)
def test_an_objection_never_makes_a_permit_of_a_deny(found: list[Consent], holder: Whom, user: Whom) -> None:
    objection = Consent("objection", False, holder, user, frozenset({"Condition"}))
    if decide(QUESTION, "Condition", found, NOW).outcome == DENY:
        assert decide(QUESTION, "Condition", [*found, objection], NOW).outcome == DENY


@given(consents)
def test_the_order_of_consents_does_not_matter(found: list[Consent]) -> None:
    one, other = decide(QUESTION, "Condition", found, NOW), decide(QUESTION, "Condition", found[::-1], NOW)
    assert (one.outcome, one.reason, one.consents) == (other.outcome, other.reason, other.consents)
