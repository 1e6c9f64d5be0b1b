"""The rules of a decision, as a table and as properties."""

from dataclasses import replace
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
    ([consent("a", end="2026-09-01T00:00:00.000Z"), consent("b", end="2026-08-01T00:00:00.000Z")], "2026-09-01T00:00:00.000Z"),
    ([consent("a"), consent("b", permit=False, start="2026-07-01T00:00:00.000Z")], "2026-07-01T00:00:00.000Z"),
    ([consent("a"), consent("b", permit=False, start="2026-07-01T00:00:00.000Z", withdrawn=True)], None),
    ([consent("a", user=ONE), consent("b", permit=False, user=KIND, start="2026-07-01T00:00:00.000Z")], None),
    ([consent("a"), consent("b", permit=False, start="2026-05-01T00:00:00.000Z", end="2026-05-02T00:00:00.000Z")], None),
])  # fmt: skip
def test_until_when_a_permit_holds(consents: list[Consent], until: str | None) -> None:
    decision = decide(QUESTION, "Condition", consents, NOW)
    assert (decision.outcome, decision.valid_until) == (PERMIT, until)


@pytest.mark.parametrize(("purpose", "basis", "reason"), [
    ("ETREAT", None, "emergency_at_holder"), ("BTG", None, "emergency_at_holder"), ("HRESCH", None, "purpose_not_allowed"),
    (None, None, "purpose_not_allowed"), ("TREAT", "wlz-9.1.2", "legal_basis_applies"), (None, "wzd-18", "legal_basis_applies"),
])  # fmt: skip
def test_where_consent_does_not_decide(purpose: str | None, basis: str | None, reason: str) -> None:
    question = replace(QUESTION, purpose=purpose, legal_basis=basis)
    for found in ([], [consent("a")], [consent("a", permit=False)]):
        decision = decide(question, "Condition", found, NOW)
        assert (decision.outcome, decision.reason and decision.reason.code, decision.basis) == (NO_DECISION, reason, "none")


ALL, RESULTS, MEDICATION = frozenset({"GGC002"}), frozenset({"GGC012"}), frozenset({"GGC013"})
PILLS = frozenset({"MedicationRequest"})


@pytest.mark.parametrize(("category", "consents", "outcome", "reason"), [
    ("Condition", [consent("a", categories=ALL)], PERMIT, None),
    ("MedicationRequest", [consent("a", categories=ALL)], PERMIT, None),
    ("MedicationRequest", [consent("a", categories=MEDICATION)], PERMIT, None),
    ("GGC013", [consent("a", categories=ALL)], PERMIT, None),
    ("GGC002", [consent("a", categories=MEDICATION)], DENY, "consent_category"),  # never the reverse
    ("GGC013", [consent("a", categories=PILLS)], DENY, "consent_category"),
    ("GGC012", [consent("a", categories=MEDICATION)], DENY, "consent_category"),
    ("MedicationRequest", [consent("a", categories=ALL), consent("b", False, categories=MEDICATION)], DENY, "consent_objection"),
    ("Condition", [consent("a", categories=ALL), consent("b", False, categories=MEDICATION)], PERMIT, None),
    ("GGC002", [consent("a", categories=ALL), consent("b", False, categories=PILLS)], DENY, "consent_objection_part"),
    ("GGC002", [consent("a", categories=ALL), consent("b", False, categories=PILLS, withdrawn=True)], PERMIT, None),
    ("GGC002", [consent("a", user=ONE, categories=ALL), consent("b", False, categories=PILLS)], DENY, "consent_objection_part"),
    ("MedicationRequest", [consent("a", False, categories=ALL), consent("b", categories=PILLS)], PERMIT, None),
    ("MedicationRequest", [consent("a", False, ONE, categories=ALL), consent("b", categories=PILLS)], DENY, "consent_objection"),
    ("Logging", [consent("a", categories=ALL)], DENY, "consent_category"),
])  # fmt: skip
def test_the_hierarchy_of_categories(category: str, consents: list[Consent], outcome: str, reason: str | None) -> None:
    decision = decide(QUESTION, category, consents, NOW)
    assert (decision.outcome, decision.reason and decision.reason.code) == (outcome, reason)


def test_an_objection_that_is_less_specific_on_one_side_and_more_on_another_stands() -> None:
    permit = consent("a", user=KIND)  # of this holder, to hospitals
    objection = consent("b", permit=False, user=ONE, holder=Whom())  # to this hospital, at any holder
    assert decide(QUESTION, "Condition", [permit, objection], NOW).outcome == DENY


@pytest.mark.parametrize(("consents", "outcome", "basis"), [
    ([], PERMIT, "implicit"),
    ([consent("a")], PERMIT, "explicit"),
    ([consent("a", withdrawn=True)], PERMIT, "implicit"),
    ([consent("a", permit=False)], DENY, "explicit"),
    ([consent("a", permit=False, user=Whom(kind="thuiszorg"))], PERMIT, "implicit"),
    ([consent("a", permit=False), consent("b", user=ONE)], PERMIT, "explicit"),
])  # fmt: skip
def test_within_the_treatment_consent_is_presumed_until_the_client_objects(
    consents: list[Consent], outcome: str, basis: str
) -> None:
    decision = decide(replace(QUESTION, purpose="COC"), "Condition", consents, NOW)
    assert (decision.outcome, decision.basis) == (outcome, basis)


whom = st.sampled_from([ANY, KIND, ONE, Whom(ura="90000103"), Whom(kind="verpleeghuis"), Whom(ura="90000199")])
moments = st.integers(1, 9).map(lambda month: f"2026-{month:02}-01T00:00:00.000Z")
consents = st.lists(
    st.builds(
        Consent,
        st.uuids().map(str),
        st.booleans(),
        whom,
        whom,
        st.frozensets(st.sampled_from(["Condition", "Patient", "GGC002", "GGC013", "MedicationRequest"])),
        st.booleans(),
        st.none() | moments,
        st.none() | moments,
    ),
    max_size=6,
)


@given(
    consents, whom, whom, st.sampled_from(["Condition", "GGC002", "GGC013"]), st.sampled_from(["Condition", "GGC002"]),
    st.sampled_from(["TREAT", "COC"]),
)  # fmt: skip
def test_an_objection_never_makes_a_permit_of_a_deny(
    found: list[Consent], holder: Whom, user: Whom, about: str, category: str, purpose: str
) -> None:
    question = replace(QUESTION, purpose=purpose)
    objection = Consent("objection", False, holder, user, frozenset({about}))
    if decide(question, category, found, NOW).outcome == DENY:
        assert decide(question, category, [*found, objection], NOW).outcome == DENY


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
