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


@pytest.mark.parametrize(("consents", "until"), [
    ([consent("a")], None),
    ([consent("a", end="2026-09-01T00:00:00.000Z"), consent("b", end="2026-08-01T00:00:00.000Z")], "2026-08-01T00:00:00.000Z"),
    ([consent("a"), consent("b", permit=False, start="2026-07-01T00:00:00.000Z")], "2026-07-01T00:00:00.000Z"),
    ([consent("a"), consent("b", permit=False, start="2026-07-01T00:00:00.000Z", withdrawn=True)], None),
    ([consent("a", user=ONE), consent("b", permit=False, user=KIND, start="2026-07-01T00:00:00.000Z")], None),
    ([consent("a"), consent("b", permit=False, start="2026-05-01T00:00:00.000Z", end="2026-05-02T00:00:00.000Z")], None),
])  # fmt: skip
def test_until_when_a_permit_holds(consents: list[Consent], until: str | None) -> None:
    decision = decide(QUESTION, "Condition", consents, NOW)
    assert (decision.outcome, decision.valid_until) == (PERMIT, until)


def test_another_purpose_has_no_decision() -> None:
    question = Question("90000103", "verpleeghuis", "90000101", "ziekenhuis", "ETREAT")
    assert decide(question, "Condition", [consent("a")], NOW).outcome == NO_DECISION


whom = st.sampled_from([ANY, KIND, ONE, Whom(ura="90000103"), Whom(kind="verpleeghuis"), Whom(ura="90000199")])
moments = st.integers(1, 9).map(lambda month: f"2026-{month:02}-01T00:00:00.000Z")
consents = st.lists(
    st.builds(
        Consent,
        st.uuids().map(str),
        st.booleans(),
        whom,
        whom,
        st.frozensets(st.sampled_from(["Condition", "Patient"])),
        st.booleans(),
        st.none() | moments,
        st.none() | moments,
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


aimed = st.builds(
    consent,
    st.uuids().map(str),
    st.booleans(),
    st.sampled_from([ANY, KIND, ONE]),
    withdrawn=st.booleans(),
    start=st.none() | moments,
    end=st.none() | moments,
)


@given(st.lists(aimed, max_size=6))
def test_a_permit_holds_until_the_moment_that_it_names(found: list[Consent]) -> None:
    decision = decide(QUESTION, "Condition", found, NOW)
    if decision.outcome == PERMIT:
        later = [f"2026-{month:02}-01T00:00:00.000Z" for month in range(7, 13)]
        before = [moment for moment in later if decision.valid_until is None or moment < decision.valid_until]
        assert all(decide(QUESTION, "Condition", found, moment).outcome == PERMIT for moment in before)


@given(consents)
def test_a_permit_stands_on_a_live_permit_and_a_withdrawn_one_adds_nothing(found: list[Consent]) -> None:
    live = [each for each in found if not each.withdrawn]
    decision = decide(QUESTION, "Condition", found, NOW)
    assert decision.outcome == decide(QUESTION, "Condition", live, NOW).outcome
    if decision.outcome == PERMIT:
        assert set(decision.consents) <= {each.id for each in live if each.permit and each.valid_at(NOW)} != set()
