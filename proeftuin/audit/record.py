"""What one audit event says, gathered while a request is handled, and its FHIR R4 AuditEvent (NEN 7513 chapter 7)."""

import base64
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from proeftuin import __version__
from proeftuin.audit.events import (
    APPLICATION,
    APPLICATION_SERVER,
    AUTHZ_CONSENT,
    BEARER,
    EMERGENCY,
    EMERGENCY_PURPOSES,
    IUA_71,
    RECIPIENT,
    SEARCH,
    Coding,
    EventType,
    token_use,
)
from proeftuin.clock import instant
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, UZI_ROLE_SYSTEM
from proeftuin.reasons import Reason
from proeftuin.tokens.access_token import Person
from proeftuin.transport.tracing import Trace

OWN = "https://proeftuin.example/StructureDefinition/"
CLIENT_ID_SYSTEM = "http://minvws.github.io/generiekefuncties-docs/NamingSystem/oauth-client-id"
NO_CONSENT_ON_FILE = "urn:proeftuin:consent-policy:opt-in"  # what a decision stands on when the client chose nothing
UNKNOWN_ADDRESS = "unknown"
_KOPPELTAAL = "http://koppeltaal.nl/fhir/StructureDefinition/"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_PATIENT_ROLE = {"system": f"{_TERMINOLOGY}v3-RoleClass", "code": "PAT"}
_ORGANISATION = {"system": f"{_TERMINOLOGY}v3-RoleClass", "code": "PROV"}
_RESPONSIBLE = {"system": "https://proeftuin.example/CodeSystem/agent", "code": "responsible"}

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE, MAJOR_FAILURE = "0", "4", "8", "12"


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
    """One event in the making. `observer` is the end that logs: equal to `client` or `server`.

    `patients` are BSNs: BALP wants one event for each (a search that finds several), `to_events` gives them. `entries` are those of
    a Bundle: once they are carried out each has events of its own, beside the one of the Bundle, which then names no client.
    `person` acted, on behalf of `responsible` under a mandate. `token` is the URN of a jti, `policies` are the URNs of the rules
    that the request was held against. `consents` are references, or the URN of a policy that stands in the place of one.
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
    responsible: Person | None = None
    policies: list[str] = field(default_factory=list)

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
        claimed = self._claimed(patient)
        closed = bool(claimed) and self.event.profile in (AUTHZ_CONSENT, IUA_71)  # they take no other entities
        purpose = self.purpose or (self.event.purpose if self.outcome == SUCCESS else None)
        event: dict[str, Any] = {
            "resourceType": "AuditEvent",
            "id": str(uuid.uuid4()),
            "extension": [
                {"url": OWN + "traceparent", "valueString": self.trace.traceparent},
                *([{"url": OWN + "parent-span-id", "valueString": self.trace.parent_id}] if self.trace.parent_id else []),
                {"url": _KOPPELTAAL + "trace-id", "valueId": self.trace.trace_id},
                {"url": _KOPPELTAAL + "request-id", "valueId": self.trace.request_id},
            ],
            "type": self.event.type,
            "subtype": [self.event.subtype],
            "action": self.event.action,
            "recorded": instant(recorded),
            "outcome": self.outcome,
            "agent": self._agents(alone=closed and self.event.profile == IUA_71),
            "source": self._source(),
            "entity": self._entities(patient, closed=closed),
        }
        profiles = [*claimed, *self._token_use()]
        if profiles:
            event["meta"] = {"profile": profiles}
        if self.reason is not None:
            event["outcomeDesc"] = f"{self.reason.code}: {self.outcome_detail}"
        if purpose is not None:
            event["purposeOfEvent"] = [_concept(_TERMINOLOGY + "v3-ActReason", purpose)]
            if purpose in EMERGENCY_PURPOSES and not closed:
                event["subtype"] = [self.event.subtype, EMERGENCY]
        return event

    # --- which profiles it conforms to

    def _claimed(self, patient: str | None) -> list[str]:
        """The profile of this kind of event, when the event is what the profile tells of (IHE BALP 1.1.5)."""
        url = self.event.profile_url(patient=patient is not None)
        if url is None or self.client.address == UNKNOWN_ADDRESS:
            return []
        if self.event.profile == AUTHZ_CONSENT:  # a deny is a decision too, but a request that was not decided on is not
            holds = bool(patient and self.consents and self.person and self.person.organization and self.purpose is not None)
            holds = holds and self.observer == self.server and self.query is None and not self.data
        elif self.event.profile == IUA_71:  # it has no place for a client of care, nor for a person's organisation
            holds = self.outcome == SUCCESS and self.query is not None
            holds = holds and not (patient or self.person or self.responsible or self.data or self.consents)
        elif self.event.action == SEARCH.action:
            holds = self.outcome == SUCCESS and self.query is not None and not self.data
        else:
            holds = self.outcome == SUCCESS and self.query is None and len(self.data) == 1
        return [url] if holds else []

    def _token_use(self) -> list[str]:
        if self.token is None or self.event.bearer != "user" or self.client_id is None:
            return []
        return token_use(user=self.person is not None, recipient=self.event.user == RECIPIENT)

    # --- who

    def _agents(self, *, alone: bool) -> list[dict[str, Any]]:
        """The two systems, and unless they stand `alone` the user's organisation, the user and who is responsible for the user."""
        used = self.token is not None and self.event.bearer == "user"
        types = [self.event.client, *([APPLICATION] if used and self.event.client is not APPLICATION else [])]
        client: dict[str, Any] = {"type": {"coding": types}, "who": self._client(), "requestor": self.person is None}
        server: dict[str, Any] = {"type": {"coding": [self.event.server]}, "who": _who(self.server), "requestor": False}
        if self.client.address != UNKNOWN_ADDRESS:
            client["network"] = _network(self.client.address)
        if self.event.profile != AUTHZ_CONSENT:  # which holds that an authorization server has none
            server["network"] = _network(self.server.address)
        if self.client.thumbprint is not None:
            client["extension"] = [{"url": OWN + "certificate-thumbprint", "valueString": self.client.thumbprint}]
        client["policy"] = [*([self.token] if self.token else []), *(self.policies or policy_urns("certificate"))]
        return [client, server] if alone else [client, server, *self._people()]

    def _client(self) -> dict[str, Any]:
        if self.client_id is None:
            return _who(self.client)
        return {"identifier": {"system": CLIENT_ID_SYSTEM, "value": self.client_id}, "display": self.client.name}

    def _people(self) -> list[dict[str, Any]]:
        agents = [] if self.person is None else [self._user(self.person)]
        if self.responsible is not None:
            agents.append(_person(self.responsible, [_RESPONSIBLE], requestor=False))
        if self.person is not None and self.person.organization is not None:
            agents.append(_organisation((URA_SYSTEM, self.person.organization), self.client))
        elif self.client.identifier is not None and (self.person is None or self.event.bearer != "client"):
            agents.append(_organisation(self.client.identifier, self.client))
        return agents

    def _user(self, person: Person) -> dict[str, Any]:
        bearing = self.token is not None and self.event.bearer != "client"
        user = _person(person, [self.event.user, *([BEARER] if bearing else [])], requestor=True)
        if bearing:
            user["policy"] = [self.token]
        if self.purpose is not None:
            user["purposeOfUse"] = [_concept(_TERMINOLOGY + "v3-ActReason", self.purpose)]
        return user

    def _source(self) -> dict[str, Any]:
        kind = self.event.source if self.observer == self.server else APPLICATION_SERVER
        source = {"observer": _who(self.observer), "type": [_code("security-source-type", kind)]}
        return source | ({"site": self.observer.identifier[1]} if self.observer.identifier else {})

    # --- what

    def _entities(self, patient: str | None, *, closed: bool) -> list[dict[str, Any]]:
        entities: list[dict[str, Any]] = []
        if not closed:
            kind = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
            entities.append({"type": kind, "what": {"identifier": {"value": self.trace.request_id}}})
        if patient is not None:
            who = {"type": "Patient", "identifier": {"system": BSN_SYSTEM, "value": patient}}
            entities.append({**_kind("1", "1"), "what": who})
        if self.query is not None:
            query = {**_kind("2", "24"), "query": base64.b64encode(self.query or b"?").decode()}
            entities.append(query | ({"description": self.description} if self.description is not None else {}))
        unnamed = not self.data and self.query is None and self.event.about is not None
        for what in [{"display": self.event.about}] if unnamed else self.data:
            cycle = {} if self.event.lifecycle is None else {"lifecycle": _code("dicom-audit-lifecycle", self.event.lifecycle)}
            entities.append({**_kind("2", "4"), **cycle, "what": what})
        entities += [_consent(each) for each in self.consents]
        details = self.details | ({"reason": self.reason.code} if self.reason else {})
        filled = {name: value for name, value in details.items() if value.strip()}  # FHIR has no empty strings
        told = [{"type": name, "valueString": value} for name, value in filled.items()]
        if told:
            if not closed:
                entities.append({"type": _code("audit-entity-type", "4")})
            entities[-1]["detail"] = told
        return entities


def policy_urns(*rules: str, of: str | None = None) -> list[str]:
    """Return the URNs by which events name rules: in version `of` of their own, or in that of the network."""
    return [f"urn:proeftuin:policy:{of or __version__}:{rule}" for rule in rules]


def named_data(data: str) -> dict[str, Any]:
    """Return the FHIR Reference to "List/1"; of a type alone, what is known: the type."""
    return {"reference": data} if "/" in data else {"type": data}


def _who(system: System) -> dict[str, Any]:
    if system.identifier is None:
        return {"display": system.name}
    return {"identifier": {"system": system.identifier[0], "value": system.identifier[1]}, "display": system.name}


def _person(person: Person, types: list[Coding], *, requestor: bool) -> dict[str, Any]:
    who = {"identifier": {"system": person.system, "value": person.identifier}}
    role = [_concept(UZI_ROLE_SYSTEM, person.role)] if person.role is not None else []
    if person.system == BSN_SYSTEM:
        role = [{"coding": [_PATIENT_ROLE]}]
    return {"type": {"coding": types}, "who": who, "requestor": requestor} | ({"role": role} if role else {})


def _organisation(identifier: tuple[str, str], client: System) -> dict[str, Any]:
    who: dict[str, Any] = {"identifier": {"system": identifier[0], "value": identifier[1]}}
    if identifier == client.identifier:
        who["display"] = client.name
    return {"type": {"coding": [_ORGANISATION]}, "who": who, "requestor": False}


def _consent(named: str) -> dict[str, Any]:
    what: dict[str, Any] = {"reference": named}
    if named.startswith("urn:"):
        what = {"type": "Consent", "identifier": {"system": "urn:ietf:rfc:3986", "value": named}}
    return {"type": {"system": "http://hl7.org/fhir/resource-types", "code": "Consent"}, "what": what}


def _network(address: str) -> dict[str, str]:
    return {"address": address, "type": "5" if "://" in address else "2"}


def _kind(entity_type: str, role: str) -> dict[str, Any]:
    return {"type": _code("audit-entity-type", entity_type), "role": _code("object-role", role)}


def _code(name: str, code: str) -> Coding:
    return {"system": _TERMINOLOGY + name, "code": code}


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
