"""Each of the 19 profiles of BALP: an event that conforms, and for each of its rules an event that breaks that rule."""

import base64
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from proeftuin.fhir.validation import validate
from services.logging.conformance.evaluation import _children, _walk, conforms, deviations
from services.logging.conformance.profiles import Element, of_url, profiles
from tests.unit.services.logging.conformance.examples import CANONICAL, EXAMPLES, Resource

SOMETHING: dict[str, Any] = {  # what can stand at an element that a profile forbids
    "altId": "x", "name": "x", "location": {"display": "x"}, "media": {"code": "x"}, "network": {"address": "x", "type": "1"},
    "policy": ["urn:x"], "role": [{"text": "x"}], "purposeOfUse": [{"text": "x"}], "what": {"display": "x"},
    "lifecycle": {"code": "6"}, "detail": [{"type": "x", "valueString": "x"}], "valueBase64Binary": "eA==",
    "modifierExtension": [{"url": "x", "valueCode": "x"}],
}  # fmt: skip
ANOTHER_FORM = {"jti": "q3v9", "token-tail": "x" * 33, "token-request": base64.b64encode(b"code_verifier=dBjftJeZ4CVP").decode()}
RULES = [
    (name, path, rule) for name, each in profiles().items() for path, element in each.elements.items() for rule in element.rules
]


def test_there_are_nineteen_profiles_and_an_example_of_each() -> None:
    assert len(profiles()) == 19
    assert EXAMPLES.keys() == profiles().keys()
    assert len(RULES) >= 600


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_conforms_and_is_valid_r4(name: str) -> None:
    event = EXAMPLES[name]
    assert deviations(event, profiles()[name]) == []
    assert conforms(event, profiles()[name])
    assert validate(event) == []
    AuditEvent.model_validate(event)


@pytest.mark.parametrize(("name", "path", "rule"), RULES)
def test_what_breaks_one_rule_is_told_for_that_rule(name: str, path: str, rule: str) -> None:
    """Where no event can break it alone, it is broken with its neighbours: a slice that is asked for counts for its list too."""
    profile = profiles()[name]
    element = profile.elements[path]
    tried = []
    for broken in mutations(EXAMPLES[name], name, element, rule):
        found = deviations(broken, profile)
        assert not conforms(broken, profile)
        tried.append({(each.element, each.rule) for each in found})
        assert all(each.path.startswith("AuditEvent") and each.profile == name for each in found)
    assert all((path, rule) in each for each in tried)
    assert tried
    if {(path, rule)} in tried:
        return
    family = path.partition("[")[0]
    for others in tried:
        assert {each for each, _ in others if each.partition("[")[0] != family} == set()
        assert {kind for _, kind in others} <= {"min", "max", "closed"}


def test_the_order_of_codings_agents_and_entities_does_not_matter() -> None:
    for name, event in EXAMPLES.items():
        turned = copy.deepcopy(event)
        turned["agent"].reverse()
        turned["entity"].reverse()
        for each in turned["agent"]:
            each["type"]["coding"].reverse()
        assert deviations(turned, profiles()[name]) == []


def test_another_coding_beside_the_one_that_is_asked_for_takes_nothing_away() -> None:
    """Trap f: the one agent of Minimal and Comprehensive has both types."""
    event = EXAMPLES["IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive"]
    for name in ("PatientRead", "OAUTHaccessTokenUse.Minimal", "OAUTHaccessTokenUse.Comprehensive"):
        assert deviations(event, profiles()[f"IHE.BasicAudit.{name}"]) == []


@pytest.mark.parametrize(("where", "code", "expected"), [
    ("IHE.BasicAudit.Query", {"action": "R"}, {"action"}),  # trap b: a search is E
    ("IHE.BasicAudit.Read", {"outcome": "8"}, {"outcome"}),  # trap c: failures are outside
    ("IHE.BasicAudit.AuthZconsent", {"outcome": "8", "outcomeDesc": "no_consent"}, set()),  # a deny is a decision too
])  # fmt: skip
def test_the_traps_of_the_contract(where: str, code: Resource, expected: set[str]) -> None:
    assert {each.element for each in deviations(EXAMPLES[where] | code, profiles()[where])} == expected


def test_client_and_server_of_a_read_are_the_other_way_round_in_a_query() -> None:
    """Trap a: the client is the destination of what is read, and the source of what is asked."""
    read, query = EXAMPLES["IHE.BasicAudit.Read"], EXAMPLES["IHE.BasicAudit.Query"]
    assert deviations(read | {"agent": query["agent"]}, profiles()["IHE.BasicAudit.Read"]) == []  # the codes are the same two
    alone = query | {"agent": [query["agent"][0], query["agent"][2]]}
    assert {each.element for each in deviations(alone, profiles()["IHE.BasicAudit.Query"])} == {"agent[server]"}


def test_a_profile_is_known_by_its_canonical_with_or_without_a_version() -> None:
    assert of_url(f"{CANONICAL}IHE.IUA.71") == of_url(f"{CANONICAL}IHE.IUA.71|1.1.5") == profiles()["IHE.IUA.71"]
    assert of_url("https://example.org/IHE.IUA.71") is None
    assert of_url(f"{CANONICAL}IHE.Other") is None


def test_no_deviation_repeats_what_was_sent() -> None:
    event = copy.deepcopy(EXAMPLES["IHE.BasicAudit.PatientRead"])
    event["action"] = event["subtype"][0]["code"] = event["entity"][1]["role"]["code"] = "999910000"
    found = deviations(event, profiles()["IHE.BasicAudit.PatientRead"])
    assert len(found) == 3
    assert "999910000" not in str(found)


def mutations(event: Resource, name: str, element: Element, rule: str) -> Iterator[Resource]:
    """Yield events that break a rule, in the ways that there are to break it."""
    for way in {"min": (lacking,), "max": (too_many,), "closed": (stranger, estranged)}.get(rule, (otherwise,)):
        broken = copy.deepcopy(event)
        *above, last = element.steps
        _, parent = _walk(broken, profiles()[name], above)[0]
        children = [value for _, value in _children("", parent, profiles()[name], ".".join([*above, last]))]
        if way(parent, last.partition("[")[0], children, element, name) is not False:
            yield broken


def lacking(parent: Resource, name: str, children: list[Any], element: Element, profile: str) -> None:
    if not isinstance(parent[name], list):
        del parent[name]
        return
    left = element.minimum - 1
    gone = {id(each) for each in children[left:]}
    parent[name] = [each for each in parent[name] if id(each) not in gone]


def too_many(parent: Resource, name: str, children: list[Any], element: Element, profile: str) -> None:
    maximum = element.maximum or 0
    if maximum == 0:
        parent[name] = SOMETHING[name]
    else:
        parent[name] = [*parent[name], *(copy.deepcopy(children[0]) for _ in range(maximum + 1 - len(children)))]


def stranger(parent: Resource, name: str, children: list[Any], element: Element, profile: str) -> None:
    other = {"type": {"coding": [{"code": "stranger"}]}, "requestor": False} if name == "agent" else {"type": {"code": "stranger"}}
    parent[name].append(other)


def estranged(parent: Resource, name: str, children: list[Any], element: Element, profile: str) -> bool | None:
    """Make the member of a slice that need not be there a stranger."""
    for each in profiles()[profile].slices[element.path]:
        if each.minimum == 0:
            _, member = next(iter(_children("", parent, profiles()[profile], each.path)))
            member.clear()
            member |= (
                {"type": {"coding": [{"code": "stranger"}]}, "requestor": False} if name == "agent" else {"type": {"code": "x"}}
            )
            return None
    return False


def otherwise(parent: Resource, name: str, children: list[Any], element: Element, profile: str) -> None:
    """Put something else in the place of the first."""
    old = children[0]
    if element.only:
        new: Any = {"reference": "Group/1"}
    elif element.same:
        new = {"display": "another"}
    elif element.form:
        new = ANOTHER_FORM[element.form]
    elif isinstance(old, bool):
        new = not old
    elif isinstance(old, str):
        new = "another"
    else:
        new = {"coding": [{"code": "another"}]} if "coding" in old else {"code": "another"}
    parent[name] = [new if each is old else each for each in parent[name]] if isinstance(parent[name], list) else new
