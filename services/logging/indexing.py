"""From an event as it is stored to what it is found by: the columns of its row, and whom it is about."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.json import Decoder

from proeftuin.fhir.search import date_range
from proeftuin.identifiers import BSN_SYSTEM, UZI_ROLE_SYSTEM, is_bsn

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{3}Z", re.ASCII)
_PROVIDER = "PROV"  # v3-RoleClass: the organisation of the user


class _Identifier(Struct):
    system: str | None = None
    value: str | None = None


class _Reference(Struct):
    identifier: _Identifier = field(default_factory=_Identifier)


class _Coding(Struct):
    system: str | None = None
    code: str | None = None


class _Concept(Struct):
    coding: list[_Coding] = []


class _Network(Struct):
    address: str | None = None


class _Agent(Struct):
    who: _Reference = field(default_factory=_Reference)
    type: _Concept = field(default_factory=_Concept)
    network: _Network = field(default_factory=_Network)
    role: list[_Concept] = []
    purposeOfUse: list[_Concept] = []  # noqa: N815 - the name in FHIR
    requestor: bool = False


class _Entity(Struct):
    what: _Reference = field(default_factory=_Reference)
    type: _Coding = field(default_factory=_Coding)
    role: _Coding = field(default_factory=_Coding)


class _Source(Struct):
    observer: _Reference = field(default_factory=_Reference)


class _Extension(Struct):
    url: str = ""
    valueId: str | None = None  # noqa: N815 - the name in FHIR
    valueString: str | None = None  # noqa: N815


class _Event(Struct):
    id: str
    type: _Coding
    recorded: str
    agent: list[_Agent]
    source: _Source
    subtype: list[_Coding] = []
    entity: list[_Entity] = []
    extension: list[_Extension] = []
    purposeOfEvent: list[_Concept] = []  # noqa: N815
    action: str | None = None
    outcome: str | None = None


_DECODE = Decoder(_Event).decode


@dataclass(frozen=True, slots=True)
class Indexed:
    """What an event is found by: its columns (`event_id` among them) and the tokens of the clients whom it is about, sorted."""

    columns: dict[str, Any]
    patients: list[str]


def indexed(document: bytes, key: bytes) -> Indexed:
    """Return what the stored form of a valid AuditEvent is found by; `key` makes the tokens that stand for BSNs.

    Absent elements are None. Raises ValueError for what is no AuditEvent, and for a moment outside our era.
    """
    event = _DECODE(document)
    requestor = next((agent.who.identifier for agent in event.agent if agent.requestor), _Identifier())
    observer = event.source.observer.identifier
    columns = {
        "event_id": event.id,
        "recorded": event.recorded if _INSTANT.fullmatch(event.recorded) else date_range(event.recorded)[0],
        "observer": None if observer.value is None else indexable(f"{observer.system or ''}|{observer.value}"),
        "organization": _organization(event),
        "agent": None if requestor.value is None else agent_token(key, requestor.system, requestor.value),
        "type": indexable(event.type.code or ""),
        "subtype": indexable(event.subtype[0].code or "") if event.subtype else None,
        "action": event.action,
        "outcome": event.outcome,
        "purpose": _purpose(event),
        "role": _role(event),
        "trace_id": _extension(event, "/trace-id"),
        "request_id": _request_id(event),
        "facets": _facets(event),
    }
    about = {each.what.identifier.value for each in event.entity if each.what.identifier.system == BSN_SYSTEM}
    return Indexed(columns, sorted({patient_token(key, bsn) for bsn in about if bsn is not None}))


def indexable(text: str, width: int = 64) -> str:
    """Return a text as it stands in a column of `width` (at least 64) characters: the same text always as the same."""
    if not text.isascii() or "\x00" in text:
        text = text.replace("\x00", "").encode(errors="replace").decode()  # JSON can hold what no database takes
    return text if len(text) <= width else hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=4096)
def patient_token(key: bytes, bsn: str) -> str:
    """Return what stands for a BSN in an index."""
    return hmac.digest(key, bsn.encode(errors="replace"), hashlib.sha256).hex()


def agent_token(key: bytes, system: str | None, value: str) -> str:
    """Return what stands for the user in an index: the number itself, unless that is or may be a BSN."""
    return patient_token(key, value) if system == BSN_SYSTEM or (not system and is_bsn(value)) else indexable(value, 128)


@lru_cache(maxsize=4096)
def facet(name: str, value: str) -> str:
    """Return how one of several values of an event stands in its column `facets`."""
    return f" {name}:{quote(indexable(value), safe=':/.-')} "


def _organization(event: _Event) -> str | None:
    """The organisation that asked: that of the user when the event names it, else the first that is no person known by BSN."""
    found = None
    for agent in event.agent:
        identifier = agent.who.identifier
        if not identifier.value or identifier.system == BSN_SYSTEM:
            continue
        for coding in agent.type.coding:
            if coding.code == _PROVIDER:
                return indexable(f"{identifier.system or ''}|{identifier.value}")
        found = found or identifier
    return None if found is None else indexable(f"{found.system or ''}|{found.value}")


def _purpose(event: _Event) -> str | None:
    for concepts in (event.purposeOfEvent, *(agent.purposeOfUse for agent in event.agent)):
        for concept in concepts:
            for coding in concept.coding:
                if coding.code:
                    return indexable(coding.code)
    return None


def _role(event: _Event) -> str | None:
    concepts = (concept for agent in event.agent if agent.requestor for concept in agent.role)
    codes = (coding.code for concept in concepts for coding in concept.coding if coding.system == UZI_ROLE_SYSTEM)
    return next((indexable(code) for code in codes if code), None)


def _request_id(event: _Event) -> str | None:
    """What both ends of one request have in common: the X-Request-Id (BALP), else our own extension."""
    named = (each.what.identifier.value for each in event.entity if each.type.code == "XrequestId")
    return next((indexable(value) for value in named if value), None) or _extension(event, "/request-id")


def _extension(event: _Event, name: str) -> str | None:
    for extension in event.extension:
        if extension.url.endswith(name):
            value = extension.valueId or extension.valueString
            return indexable(value) if value else None
    return None


def _facets(event: _Event) -> str | None:
    found = {facet("address", agent.network.address) for agent in event.agent if agent.network.address}
    for entity in event.entity:
        if entity.type.code:
            found.add(facet("entity-type", entity.type.code))
        if entity.role.code:
            found.add(facet("entity-role", entity.role.code))
    return "".join(sorted(found)) or None
