"""The elements of NEN 7513 in one event: present, missing, or not applicable, each with its R4 path (nen7513.toml)."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from proeftuin.identifiers import BSN_SYSTEM
from services.logging.conformance.evaluation import codes_in, reference_type

State = Literal["present", "missing", "not applicable"]
Node = dict[str, Any]
Selection = Callable[[Node], bool]

_APPLICATION, _DESTINATION, _SOURCE = "110150", "110152", "110153"
_TECHNICAL = {_APPLICATION, _DESTINATION, _SOURCE, "custodian", "authserver", "AuthzOauthService"}
_SECURITY = {"110100", "110113", "110114"}  # events about the system, a login or a decision have no data as their object
_FAILURES = {"8", "12"}
_ON_A_CLIENT = {  # resource types that are always about one client of care
    "Patient", "Condition", "MedicationRequest", "MedicationStatement", "CarePlan", "Observation", "AllergyIntolerance",
    "Encounter", "EpisodeOfCare", "Procedure", "Immunization", "DiagnosticReport", "DocumentReference", "ServiceRequest", "Consent",
    "RelatedPerson",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the table: `need` is R, C or O, `when` names the condition under which it applies."""

    name: str
    need: str
    paths: tuple[str, ...]
    when: str | None = None
    exactly: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one element."""

    requirement: Requirement
    state: State


@cache
def requirements() -> tuple[Requirement, ...]:
    """Return the table."""
    content = tomllib.loads((resources.files(__package__) / "nen7513.toml").read_text("utf-8"))
    rows = [Requirement(**row | {"paths": tuple(row["paths"])}) for row in content["element"]]
    unknown = {row.when for row in rows} - CONDITIONS.keys() - {None}
    if unknown:
        raise KeyError(f"nen7513.toml: no such condition: {', '.join(map(str, unknown))}")
    return tuple(rows)


def findings(event: Node) -> list[Finding]:
    """Return what a valid R4 AuditEvent has of each element."""
    return [Finding(row, _state(event, row)) for row in requirements()]


def _state(event: Node, row: Requirement) -> State:
    counts = [len(_at(event, path)) for path in row.paths]
    if row.exactly is not None:
        return "present" if row.exactly in counts else "missing"
    if any(counts):
        return "present"
    applies = CONDITIONS[row.when](event) if row.when else row.need == "R"
    return "missing" if applies else "not applicable"


def _at(event: Node, path: str) -> list[Any]:
    found: list[Any] = [event]
    for step in path.split("."):
        name, _, selection = step.rstrip("]").partition("[")
        found = [child for node in found if isinstance(node, dict) for child in _list(node.get(name))]
        if selection:
            belongs = SELECTIONS.get(f"{name}[{selection}]") or _clients_of(event)
            found = [node for node in found if belongs(node)]
    return found


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON is any
    return [] if value is None else value if isinstance(value, list) else [value]


def _codes(node: Node, name: str) -> set[str]:
    return {code for _, code in codes_in(node.get(name))}


def _clients_of(event: Node) -> Selection:
    """The client is the destination of what is read and the source of all else, unless an agent is named as the application."""
    found = {code for each in event["agent"] for code in _codes(each, "type")}
    wanted = _APPLICATION if _APPLICATION in found else _DESTINATION if event.get("action") == "R" else _SOURCE
    return lambda agent: wanted in _codes(agent, "type")


def _is_person(agent: Node) -> bool:
    return agent.get("requestor") is True and not _codes(agent, "type") & _TECHNICAL


def _is_patient(entity: Node) -> bool:
    if "2" in _codes(entity, "type"):  # the record on the patient, as data
        return False
    person = "1" in _codes(entity, "type") and "1" in _codes(entity, "role")
    what = entity.get("what", {})
    return person or reference_type(what) == "Patient" or what.get("identifier", {}).get("system") == BSN_SYSTEM


def _is_data(entity: Node) -> bool:
    return not _is_patient(entity) and bool(_codes(entity, "role") or _codes(entity, "type") & ({"2"} | _ON_A_CLIENT))


def _extended(*names: str) -> Selection:
    return lambda extension: str(extension.get("url")).endswith(names)


SELECTIONS: dict[str, Selection] = {  # and agent[client], which takes the event to know
    "agent[requestor]": lambda agent: agent.get("requestor") is True,
    "agent[person]": _is_person,
    "agent[responsible]": lambda agent: "responsible" in _codes(agent, "type"),
    "agent[organisation]": lambda agent: "PROV" in _codes(agent, "type"),
    "entity[patient]": _is_patient,
    "entity[data]": _is_data,
    "entity[consent]": lambda entity: "Consent" in _codes(entity, "type"),
    "entity[relation]": lambda entity: reference_type(entity.get("what")) in ("Task", "CareTeam", "EpisodeOfCare"),
    "entity[transaction]": lambda entity: "XrequestId" in _codes(entity, "type"),
    "extension[otherId]": _extended("/ihe-otherId"),
    "extension[thumbprint]": _extended("/certificate-thumbprint"),
    "extension[controles]": _extended("/controles"),
    "extension[traceparent]": _extended("/traceparent", "/trace-id"),
}


def _failed(event: Node) -> bool:
    return event.get("outcome") in _FAILURES


def _claims(event: Node, *parts: str) -> bool:
    return any(part in url for url in event.get("meta", {}).get("profile", []) for part in parts)


def _subtypes(event: Node) -> set[str]:
    return {str(each.get("code")) for each in event.get("subtype", [])}


def _decides(event: Node) -> bool:
    """Whether who logs is who decided: the end that asked knows the consents only from the answer."""
    observer = event["source"].get("observer")
    others = [agent for agent in event["agent"] if "authserver" in _codes(agent, "type") and agent.get("who") != observer]
    return not others


def _caller_known(event: Node) -> bool:
    """A refusal may be of someone who did not say who it was: no certificate, or one that names nobody."""
    named = any("identifier" in agent.get("who", {}) for agent in event["agent"] if agent.get("requestor") is True)
    return named or not _failed(event)


def _on_a_client(event: Node) -> bool:
    claimed = _claims(event, "BasicAudit.Patient", "PrivacyDisclosure")
    kinds = {reference_type(entity.get("what")) for entity in event.get("entity", [])}
    return not _failed(event) and (claimed or bool(kinds & _ON_A_CLIENT))


CONDITIONS: dict[str, Callable[[Node], bool]] = {
    "failed": _failed,
    "granted": lambda event: not _failed(event),
    "caller known": _caller_known,
    "a person acts": lambda event: bool(_at(event, "agent[person]")) and "110122" not in _subtypes(event),  # a login gives the role
    "a professional acts": lambda event: any(
        agent.get("who", {}).get("identifier", {}).get("system") != BSN_SYSTEM for agent in _at(event, "agent[person]")
    ),
    "under a mandate": lambda event: bool(_at(event, "agent[responsible]")),
    "over a connection": lambda event: "110126" not in _subtypes(event),  # refused by TLS
    "decided on consent": lambda event: (
        "AuthZ-Consent" in _subtypes(event) and _decides(event) and (not _failed(event) or _claims(event, "AuthZconsent"))
    ),
    "on a client": _on_a_client,
    "data given": lambda event: not _failed(event) and event["type"].get("code") not in _SECURITY,
    "searched": lambda event: (
        not _failed(event)
        and any(code.startswith("search") for code in _subtypes(event))
        and not _at(event, "entity[data].what")  # it names what was read instead
    ),
}
