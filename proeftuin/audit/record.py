"""What one audit event says, gathered while a request is handled, and its FHIR R4 AuditEvent (NEN 7513, logging-consent.md §2)."""

import base64
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from proeftuin.audit.events import EventType
from proeftuin.clock import instant
from proeftuin.identifiers import BSN_SYSTEM, UZI_ROLE_SYSTEM
from proeftuin.reasons import Reason
from proeftuin.tokens.access_token import Person
from proeftuin.transport.tracing import Trace

OWN = "https://proeftuin.example/StructureDefinition/"
_KOPPELTAAL = "http://koppeltaal.nl/fhir/StructureDefinition/"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

SUCCESS, SERIOUS_FAILURE, MAJOR_FAILURE = "0", "8", "12"


@dataclass(frozen=True, slots=True)
class System:
    """A technical end of the exchange: its organisation's identifier, name and network address (URI, or IP address)."""

    identifier: tuple[str, str] | None
    name: str
    address: str
    thumbprint: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a Bundle, a restful interaction of its own: on which clients (BSNs), and which data ("List/1", or a type)."""

    event: EventType
    patients: tuple[str, ...]
    data: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """One event in the making. `observer` is the end that logs: the same object as `client` or `server`.

    `patients` are BSNs: BALP wants one event for each (a search that finds several), `to_events` gives them. `entries` are those of
    a Bundle: once they are carried out each has events of its own, beside the one of the Bundle, which then names no client.
    """

    event: EventType
    trace: Trace
    client: System
    server: System
    observer: System
    patients: list[str] = field(default_factory=list)
    person: Person | None = None
    purpose: str | None = None
    token: str | None = None
    client_id: str | None = None
    query: bytes | None = None
    description: str | None = None
    data: list[dict[str, Any]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    consents: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    outcome: str = SUCCESS
    reason: Reason | None = None
    outcome_detail: str | None = None

    def refuse(self, reason: Reason, detail: str, outcome: str = SERIOUS_FAILURE) -> None:
        """Make this the event of a refusal."""
        self.outcome, self.reason, self.outcome_detail = outcome, reason, detail

    def to_events(self, recorded: datetime) -> list[dict[str, Any]]:
        """Return the AuditEvent resources, one for each patient or one without, each with a new id; those of the entries follow."""
        if self.entries and self.outcome == SUCCESS:
            whole = replace(self, patients=[], entries=[])
            parts = [
                replace(whole, event=each.event, patients=list(each.patients), data=[named_data(each.data)],
                        details=self.details | each.details)
                for each in self.entries
            ]  # fmt: skip
            return [event for record in (whole, *parts) for event in record.to_events(recorded)]
        named: list[str | None] = [*self.patients]
        return [self._event(recorded, patient) for patient in named or [None]]

    def _event(self, recorded: datetime, patient: str | None) -> dict[str, Any]:
        profile = self.event.profile_url(patient=patient is not None, user=self.person is not None)
        event: dict[str, Any] = {
            "resourceType": "AuditEvent",
            "id": str(uuid.uuid4()),
            "extension": [
                {"url": OWN + "traceparent", "valueString": self.trace.traceparent},
                {"url": _KOPPELTAAL + "trace-id", "valueId": self.trace.trace_id},
                {"url": _KOPPELTAAL + "request-id", "valueId": self.trace.request_id},
            ],
            "type": self.event.type,
            "subtype": [self.event.subtype],
            "action": self.event.action,
            "recorded": instant(recorded),
            "outcome": self.outcome,
            "agent": self._agents(),
            "source": {
                "site": self.observer.name,
                "observer": _who(self.observer),
                "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
            },
            "entity": self._entities(patient),
        }
        if self.outcome == SUCCESS and profile is not None:
            event["meta"] = {"profile": [profile]}
        if self.reason is not None:
            event["outcomeDesc"] = f"{self.reason.code}: {self.outcome_detail}"
        if self.purpose is not None:
            event["purposeOfEvent"] = [{"coding": [{"system": _ACT_REASON, "code": self.purpose}]}]
        return event

    def _agents(self) -> list[dict[str, Any]]:
        client: dict[str, Any] = {
            "type": {"coding": [self.event.client]},
            "who": _who(self.client),
            "requestor": self.person is None,
            "network": _network(self.client.address),
        }
        if self.client.thumbprint is not None:
            client["extension"] = [{"url": OWN + "certificate-thumbprint", "valueString": self.client.thumbprint}]
        if self.client_id is not None:
            client["altId"] = self.client_id
        if self.token is not None:
            client["policy"] = [self.token]
        server = {
            "type": {"coding": [self.event.server]},
            "who": _who(self.server),
            "requestor": False,
            "network": _network(self.server.address),
        }
        return [client, server, *self._people()]

    def _people(self) -> list[dict[str, Any]]:
        if self.person is None:
            return []
        oauth_agent = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "code": "UserOauthAgent"}
        user: dict[str, Any] = {
            "type": {"coding": [self.event.user, oauth_agent]},
            "who": {"identifier": {"system": self.person.system, "value": self.person.identifier}},
            "requestor": True,
        }
        if self.person.role is not None:
            user["role"] = [{"coding": [{"system": UZI_ROLE_SYSTEM, "code": self.person.role}]}]
        if self.token is not None:
            user["policy"] = [self.token]
        if self.purpose is not None:
            user["purposeOfUse"] = [{"coding": [{"system": _ACT_REASON, "code": self.purpose}]}]
        if self.person.organization is None:
            return [user]
        organization = {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "PROV"}]},
            "who": {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/ura", "value": self.person.organization}},
            "requestor": False,
        }
        return [user, organization]

    def _entities(self, patient: str | None) -> list[dict[str, Any]]:
        entities: list[dict[str, Any]] = [
            {
                "type": {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"},
                "what": {"identifier": {"value": self.trace.request_id}},
            }
        ]
        if patient is not None:
            who = {"type": "Patient", "identifier": {"system": BSN_SYSTEM, "value": patient}}
            entities.append({"type": _code(_ENTITY_TYPE, "1"), "role": _code(_ENTITY_ROLE, "1"), "what": who})
        if self.query is not None:
            query: dict[str, Any] = {
                "type": _code(_ENTITY_TYPE, "2"),
                "role": _code(_ENTITY_ROLE, "24"),
                "query": base64.b64encode(self.query or b"?").decode(),
            }
            if self.description is not None:
                query["description"] = self.description
            entities.append(query)
        for what in self.data:
            entities.append({"type": _code(_ENTITY_TYPE, "2"), "role": _code(_ENTITY_ROLE, "4"), "what": what})
        for consent in self.consents:
            kind = {"system": "http://hl7.org/fhir/resource-types", "code": "Consent"}
            entities.append({"type": kind, "what": {"reference": consent}})
        details = self.details | ({"reason": self.reason.code} if self.reason else {})
        details = {name: value for name, value in details.items() if value.strip()}  # FHIR has no empty strings
        if details:
            entities.append(
                {
                    "type": _code(_ENTITY_TYPE, "4"),
                    "detail": [{"type": name, "valueString": value} for name, value in details.items()],
                }
            )
        return entities


def named_data(data: str) -> dict[str, Any]:
    """Return the FHIR Reference to "List/1"; of a type alone, what is known: the type."""
    return {"reference": data} if "/" in data else {"type": data}


def _who(system: System) -> dict[str, Any]:
    if system.identifier is None:
        return {"display": system.name}
    return {"identifier": {"system": system.identifier[0], "value": system.identifier[1]}, "display": system.name}


def _network(address: str) -> dict[str, str]:
    return {"address": address, "type": "5" if "://" in address else "2"}


def _code(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}
