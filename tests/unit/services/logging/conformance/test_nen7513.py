"""The elements of NEN 7513: what is there, what is missing, and what does not apply."""

import copy
import tomllib
from importlib import resources
from typing import Any

import pytest

from proeftuin.identifiers import BSN_SYSTEM
from services.logging.conformance.nen7513 import CONDITIONS, SELECTIONS, findings, requirements
from tests.unit.services.logging.conformance.examples import CLIENT, EXAMPLES, PATIENT, Resource, coding, entity, user

READ = EXAMPLES["IHE.BasicAudit.PatientRead"]
ASKED = [row.name for row in requirements() if row.need == "R"]


def states(event: Resource) -> dict[str, str]:
    return {each.requirement.name.partition(" (")[0]: each.state for each in findings(event)}


def without(event: Resource, path: str) -> Resource:
    """The event without what stands at a path of the table, wherever that is."""
    made = copy.deepcopy(event)
    *above, last = path.split(".")
    nodes: list[Any] = [made]
    for step in above:
        found = [each for node in nodes for each in listed(node.get(step.partition("[")[0]))]
        nodes = [each for each in found if step not in SELECTIONS or SELECTIONS[step](each)]
    for node in nodes:
        node.pop(last.partition("[")[0], None)
    return made


def listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def test_the_table_names_conditions_and_selections_that_exist_and_uses_each() -> None:
    text = (resources.files("services.logging.conformance") / "nen7513.toml").read_text("utf-8")
    rows = tomllib.loads(text)["element"]
    assert {row["when"] for row in rows if "when" in row} == CONDITIONS.keys()
    assert [name for name in SELECTIONS if name not in text] == []
    assert {row["need"] for row in rows} == {"R", "C", "O"}
    assert len(ASKED) >= 20


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_misses_nothing_that_is_asked(name: str) -> None:
    missing = [each.requirement.name for each in findings(EXAMPLES[name]) if each.state == "missing"]
    no_place = ["organisatie van de gebruiker"] if name == "IHE.IUA.71" else []  # its agents are closed: client, server, person
    assert missing == no_place


@pytest.mark.parametrize("name", [name for name in ASKED if not name.startswith("aanvrager")])
def test_what_is_taken_out_is_missing(name: str) -> None:
    row = next(row for row in requirements() if row.name == name)
    event = READ
    for path in row.paths:
        event = without(event, path)
    found = {each.requirement.name: each.state for each in findings(event)}
    assert found[name] == "missing"


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_agent_is_the_requestor(count: int) -> None:
    agents = [each | {"requestor": at < count} for at, each in enumerate(READ["agent"])]
    assert states(READ | {"agent": agents})["aanvrager"] == "missing"


@pytest.mark.parametrize(("change", "element", "state"), [
    ({"outcome": "8"}, "doel", "present"),
    ({"outcome": "8", "entity": []}, "object", "not applicable"),  # nothing was given
    ({"entity": []}, "object", "missing"),
    ({"outcome": "8"}, "toelichting op het resultaat", "missing"),
    ({"outcome": "8", "outcomeDesc": "no_consent"}, "toelichting op het resultaat", "present"),
    ({"subtype": [coding("http://hl7.org/fhir/restful-interaction", "search-type")], "entity": []}, "zoekvraag", "missing"),
    ({"subtype": [coding("http://hl7.org/fhir/restful-interaction", "search-type")]}, "zoekvraag", "not applicable"),
    ({"entity": [entity("2", "4", what={"reference": "Condition/1"})]}, "cliënt", "missing"),  # a condition is someone's
    ({"meta": {}, "entity": [entity("2", "4", what={"reference": "Organization/1"})]}, "cliënt", "not applicable"),
    ({"meta": {"profile": ["x/IHE.BasicAudit.PatientRead"]}, "entity": []}, "cliënt", "missing"),
    ({"entity": [{"what": PATIENT["what"]}]}, "cliënt", "present"),
    ({"subtype": [coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "AuthZ-Consent")]},
     "toestemmingsprofiel", "missing"),
    ({"type": coding("http://dicom.nema.org/resources/ontology/DCM", "110114"), "entity": []}, "object", "not applicable"),
    ({"subtype": [coding("http://dicom.nema.org/resources/ontology/DCM", "110122")],
      "agent": [user(role=[]), *READ["agent"][:2]]}, "gebruikersrol", "not applicable"),  # the login is what gives it
    ({"agent": [user(role=[]), *READ["agent"][:2]]}, "gebruikersrol", "missing"),
    ({"subtype": [coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "AuthZ-Consent")],
      "agent": EXAMPLES["IHE.BasicAudit.AuthZconsent"]["agent"], "source": {"observer": {"display": "who asked"}}},
     "toestemmingsprofiel", "not applicable"),
    ({"agent": READ["agent"][:2]}, "gebruikersrol", "not applicable"),  # a system acts
    ({"agent": [*READ["agent"][:2], user(who={"identifier": {"system": BSN_SYSTEM, "value": CLIENT}})]},
     "organisatie van de gebruiker", "not applicable"),  # a client of care acts
    ({"agent": READ["agent"][:3]}, "organisatie van de gebruiker", "missing"),
    ({"agent": [*READ["agent"], {"type": {"coding": [{"code": "responsible"}]}, "who": {"reference": "Practitioner/1"},
                                 "requestor": False}]}, "rol van de verantwoordelijke gebruiker", "missing"),
    ({}, "verantwoordelijke gebruiker", "not applicable"),
    ({"outcome": "8", "agent": [{"who": {"display": "unknown"}, "requestor": True}]}, "gebruikers-ID", "not applicable"),
    ({"agent": [{"who": {"display": "unknown"}, "requestor": True}]}, "gebruikers-ID", "missing"),
])  # fmt: skip
def test_what_applies_follows_from_the_event(change: Resource, element: str, state: str) -> None:
    assert states(READ | change)[element] == state
