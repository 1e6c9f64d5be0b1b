"""Patterns: what is found just past a threshold and not just before it, and that nothing unrelated hides a finding."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.logging.patterns import PATTERNS, RULES, Finding, Known, Use, find

ORG, OTHER_ORG, AGENT, OTHER_AGENT, CLIENT = "ura|1", "ura|2", "900010001", "900010002", "c0"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
_seq = count()


def use(at: datetime = NOON, **over: Any) -> Use:
    seq = next(_seq)
    given = {"organization": ORG, "agent": AGENT, "client": CLIENT, "what": "viewed", "purpose": "TREAT"} | over
    return Use(at, events=((seq, f"e{seq}"),), **given)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def known(**over: Any) -> Known:
    period = Known(NOON + timedelta(days=60), NOON - timedelta(days=2), NOON + timedelta(days=2), {(ORG, CLIENT): {"vip"}})
    return replace(period, **over)


def found(pattern: str, uses: Iterable[Use], **over: Any) -> list[Finding]:
    return find(uses, known(**over), [pattern])


def spread(clients: int, within: float, **over: Any) -> list[Use]:
    """Uses on so many clients, the last of them `within` minutes after the first."""
    return [use(NOON + minutes(within * number / (clients - 1)), client=f"c{number}", **over) for number in range(clients)]


MANY = RULES["many-clients"]["clients"]


@pytest.mark.parametrize(
    ("uses", "hit"),
    [
        (spread(MANY, 60), True),
        (spread(MANY - 1, 60), False),
        (spread(MANY, 60.1), False),
        (spread(MANY, 60, what="refused"), True),
        (spread(MANY - 1, 60) + spread(MANY - 1, 60), False),  # the same clients again
        ([*spread(MANY - 1, 60), use(client="x", agent=OTHER_AGENT)], False),
        ([*spread(MANY - 1, 60), use(client="x", organization=OTHER_ORG)], False),
    ],
)
def test_many_clients(uses: list[Use], hit: bool) -> None:
    assert bool(found("many-clients", uses)) == hit


def test_one_long_run_is_one_finding_and_two_runs_are_two() -> None:
    long = [use(NOON + minutes(number), client=f"c{number}") for number in range(3 * MANY)]
    (one,) = found("many-clients", long)
    assert (one.count, one.clients, len(one.events)) == (3 * MANY, 3 * MANY, 3 * MANY)
    assert (one.since, one.until) == (long[0].at, long[-1].at)
    later = [use(NOON + timedelta(hours=9) + minutes(number), client=f"c{number}") for number in range(MANY)]
    assert [finding.clients for finding in found("many-clients", long + later)] == [MANY, 3 * MANY]


@pytest.mark.parametrize(
    ("uses", "hit"),
    [
        ([use()], True), ([use(what="refused")], True), ([use(client="c1")], False), ([use(organization=OTHER_ORG)], False),
        ([use(NOON - timedelta(days=3))], False), ([use(NOON + timedelta(days=2))], False),
    ],
)  # fmt: skip
def test_watched(uses: list[Use], hit: bool) -> None:
    assert bool(found("watched", uses)) == hit


NIGHT = datetime(2026, 3, 9, 22, tzinfo=UTC)  # 23:00 in the Netherlands, after every role's working hours
BURST = RULES["night-burst"]["uses"]


def burst(number: int, at: datetime = NIGHT, **over: Any) -> list[Use]:
    return [use(at + timedelta(seconds=each), role="04.000", **over) for each in range(number)]


def nights(number: int, each: int) -> list[Use]:
    """So many uses in every one of the nights before."""
    return [made for night in range(1, number + 1) for made in burst(each, NIGHT - timedelta(days=night))]


@pytest.mark.parametrize(
    ("uses", "hit"),
    [
        (burst(BURST), True), (burst(BURST - 1), False), (burst(BURST, what="requested"), False),
        (burst(BURST, datetime(2026, 3, 9, 19, tzinfo=UTC)), True), (burst(BURST, datetime(2026, 3, 9, 18, 50, tzinfo=UTC)), False),
        (burst(BURST, datetime(2026, 3, 10, 6, tzinfo=UTC)), False),  # 07:00: the day has begun
        (burst(8) + burst(7, NIGHT + timedelta(hours=5)), True),  # past midnight is the same night
        (burst(8) + burst(7, NIGHT + timedelta(hours=20)), False),  # the next evening is not
        (burst(BURST) + nights(28, 5), False),  # ordinary for this one: three times the mean is the threshold itself
        (burst(BURST + 1) + nights(28, 5), True),
        (burst(8) + burst(7, agent=OTHER_AGENT), False),
        ([use(NIGHT + timedelta(seconds=each), role="30.000") for each in range(99)], False),  # a nurse works at night
        ([use(NIGHT - timedelta(hours=1, seconds=-each), role="01.015") for each in range(99)], False),  # a doctor until 23:00
    ],
)  # fmt: skip
def test_night_burst(uses: list[Use], hit: bool) -> None:
    assert bool(found("night-burst", uses)) == hit


def test_working_hours_follow_summer_time() -> None:
    evening = datetime(2026, 7, 1, 17, 59, tzinfo=UTC)  # 19:59 in summer
    summer: dict[str, Any] = {"since": evening - timedelta(days=1), "until": evening + timedelta(days=1)}
    one = [use(evening, role="04.000") for _ in range(BURST)]
    assert found("night-burst", one, **summer) == []
    assert len(found("night-burst", [use(evening + minutes(1), role="04.000") for _ in range(BURST)], **summer)) == 1


def denials(number: int, first: float = 10, **over: Any) -> list[Use]:
    """So many refusals, the first so many minutes before noon."""
    return [use(NOON - minutes(first) + timedelta(seconds=each), what="refused", **over) for each in range(number)]


DENIALS, WINDOW = RULES["denied-then-given"]["denials"], RULES["denied-then-given"]["minutes"]


@pytest.mark.parametrize(
    ("uses", "hit"),
    [
        ([*denials(DENIALS), use()], True), ([*denials(DENIALS - 1), use()], False), (denials(DENIALS), False),
        ([*denials(DENIALS, WINDOW), use()], True), ([*denials(DENIALS, WINDOW + 0.01), use()], False),
        ([*denials(DENIALS), use(client="c1")], False), ([*denials(DENIALS, agent=OTHER_AGENT), use()], False),
        ([*denials(DENIALS), use(NOON - minutes(11))], False),  # given before it was refused
        ([*denials(DENIALS - 1), use(NOON - minutes(5)), *denials(1, 1), use()], False),  # what was given ends the count
        ([*denials(DENIALS), use(what="requested")], True),
    ],
)  # fmt: skip
def test_denied_then_given(uses: list[Use], hit: bool) -> None:
    assert bool(found("denied-then-given", uses)) == hit


EMERGENCY: dict[str, Any] = {"emergency": True, "purpose": "ETREAT"}
BEFORE, AFTER = RULES["emergency-unexplained"]["days_before"], RULES["emergency-unexplained"]["days_after"]


def treated(days: float, **over: Any) -> Use:
    return use(NOON + timedelta(days=days), **over)


@pytest.mark.parametrize(
    ("uses", "hit"),
    [
        ([use(**EMERGENCY)], True), ([use(**EMERGENCY, what="refused")], False), ([use()], False),
        ([use(**EMERGENCY), treated(AFTER)], False), ([use(**EMERGENCY), treated(AFTER + 0.01)], True),
        ([use(**EMERGENCY), treated(-BEFORE)], False), ([use(**EMERGENCY), treated(-BEFORE - 0.01)], True),
        ([use(**EMERGENCY), treated(1, client="c1")], True), ([use(**EMERGENCY), treated(1, organization=OTHER_ORG)], True),
        ([use(**EMERGENCY), treated(1, what="refused")], True), ([use(**EMERGENCY), treated(1, purpose="HOPERAT")], True),
        ([use(**EMERGENCY), treated(1, agent=OTHER_AGENT)], False),  # a colleague treats
        ([use(**EMERGENCY), treated(1, **EMERGENCY)], True),
    ],
)  # fmt: skip
def test_emergency_unexplained(uses: list[Use], hit: bool) -> None:
    assert bool(found("emergency-unexplained", uses)) == hit


@pytest.mark.parametrize(("days", "hit"), [(AFTER, True), (AFTER - 0.01, False)])
def test_an_emergency_is_not_judged_before_the_time_to_explain_it_is_over(days: float, hit: bool) -> None:
    assert bool(found("emergency-unexplained", [use(**EMERGENCY)], now=NOON + timedelta(days=days))) == hit


def test_a_finding_outside_the_period_is_not_told() -> None:
    past = [use(each.at - timedelta(days=9), what="refused") for each in denials(DENIALS)] + [use(NOON - timedelta(days=9))]
    assert found("denied-then-given", past) == []


def test_every_pattern_has_its_words_and_thresholds() -> None:
    assert PATTERNS.keys() == RULES.keys()
    assert all({"title", "means", "innocent"} < rule.keys() for rule in RULES.values())


def one_of_each() -> list[Use]:
    return [
        *spread(MANY, 60), *burst(BURST), *denials(DENIALS, agent="900010003"), use(agent="900010003"),
        use(client="c-emergency", **EMERGENCY),
    ]  # fmt: skip


unrelated = st.builds(
    lambda offset, agent, client, what, emergency, role: use(
        NOON + minutes(offset), organization=OTHER_ORG, agent=agent, client=client, what=what, role=role,
        emergency=emergency, purpose="ETREAT" if emergency else "TREAT",
    ),
    st.integers(-60 * 24 * 40, 60 * 24 * 10),
    st.sampled_from([AGENT, OTHER_AGENT]),
    st.sampled_from([f"c{number}" for number in range(MANY)]),
    st.sampled_from(["viewed", "requested", "refused"]),
    st.booleans(),
    st.sampled_from([None, "04.000", "30.000"]),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(unrelated, max_size=60), st.randoms(use_true_random=False))
def test_unrelated_uses_never_take_a_finding_away(others: list[Use], random: Any) -> None:
    own = one_of_each()
    before = find(own, known())
    assert {finding.pattern for finding in before} == PATTERNS.keys()
    mixed = own + others
    random.shuffle(mixed)
    after = find(mixed, known())
    assert [finding for finding in after if finding.organization == ORG] == before
