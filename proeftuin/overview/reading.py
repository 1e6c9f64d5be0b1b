"""What one audit event tells the client: who asked whom for what, when, why and on what ground. Nothing but the event is read."""

import base64
import binascii
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from proeftuin.audit.record import CLIENT_ID_SYSTEM
from proeftuin.fhir.search import date_range
from proeftuin.identifiers import (
    BIG_SYSTEM,
    BSN_SYSTEM,
    KVK_SYSTEM,
    OIN_SYSTEM,
    URA_SYSTEM,
    UZI_ROLE_SYSTEM,
    UZI_SYSTEM,
    UZOVI_SYSTEM,
)

_MADE_AVAILABLE = {"create", "update", "patch", "transaction"}
_VIEWED = {"read", "vread", "search-type", "history-type", "history-instance"}
_EMERGENCY = {"ETREAT", "BTG"}
_LEGAL_TASK = {"HPAYMT", "HOPERAT", "PUBHLTH", "HLEGAL", "HQUALIMP", "CLINTRCH"}
_PEOPLE = {BSN_SYSTEM, UZI_SYSTEM, BIG_SYSTEM}  # who is known by one of these is no organisation
_OF_CLIENT_ID = {"ura": URA_SYSTEM, "oin": OIN_SYSTEM, "uzovi": UZOVI_SYSTEM, "kvk": KVK_SYSTEM}
_LOG_USED = "110101"
_TYPE = re.compile(r"(?:[a-z]+/)?([A-Z][A-Za-z]{2,40})(?:[/?.]|$)")
Event = dict[str, Any]


def read(event: Event) -> dict[str, Any]:
    """Return what a valid AuditEvent (R4) says; absent is None. All values are JSON.

    `organisation` asked `asked_of`, both `{"name", "identifier"}`, at `asked_at` (origin of the address). `end`: which of the two
    logged this, "asking", "asked" or None when the event does not tell. `event`: code of its subtype. `what`: made available,
    viewed, requested, removed or refused. `categories`: codes of nl-gf-data-categories-cs or FHIR types. `basis`:
    `{"kind", "consents"}`, kind consent, emergency, own request, representative, legal task or none. `emergency_reason`: in words
    of who opened it.
    """
    details = _details(event)
    purpose = _purpose(event)
    asking, asked = _ends(event)
    return {
        "when": event["recorded"],
        "organisation": _told(asking),
        "asked_of": _told(asked),
        "asked_at": _origin(asked),
        "logged_by": event["source"].get("observer", {}).get("display") or event["source"].get("site"),
        "end": _end(event, asking, asked),
        "role": _role(event),
        "event": next((str(each["code"]) for each in event.get("subtype", []) if "code" in each), None),
        "what": _what(event, details),
        "category": details.get("category") or details.get("scope"),
        "categories": _categories(event, details),
        "purpose": purpose,
        "basis": _basis(event, details, purpose),
        "outcome": "refused" if event.get("outcome", "0") != "0" else "given",
        "reason": details.get("reason"),
        "emergency": purpose in _EMERGENCY,
        "emergency_reason": details.get("emergency_reason"),
        "trace_id": _extension(event, "trace-id"),
        "request_id": _request_id(event),
    }


def moment(recorded: str) -> datetime:
    """Return when an event was recorded, of any form that the log takes."""
    try:
        return datetime.fromisoformat(date_range(recorded)[0])
    except ValueError:  # the last moment of our era has no end
        return datetime.fromisoformat(recorded)


def clients(event: Event) -> set[str]:
    """Return the BSNs in an event: of those it is about, and of who acted for them."""
    who = [agent.get("who", {}) for agent in event["agent"]] + [entity.get("what", {}) for entity in event.get("entity", [])]
    found = [each.get("identifier", {}) for each in who]
    return {str(each.get("value")) for each in found if each.get("system") == BSN_SYSTEM}


def professional(event: Event) -> tuple[str, str] | None:
    """Return who asked, a person, as (system, value); None when a system did, or the client."""
    for agent in event["agent"]:
        identifier = agent.get("who", {}).get("identifier", {})
        if agent.get("requestor") and identifier.get("system") in _PEOPLE - {BSN_SYSTEM} and identifier.get("value"):
            return identifier["system"], identifier["value"]
    return None


def _ends(event: Event) -> tuple[Event | None, Event | None]:
    """The agents of the organisation that asked (the technical client, which stands first) and of the one that was asked."""
    named = [agent for agent in event["agent"] if not _is_person(agent)]
    systems = [agent for agent in named if _who(agent).get("identifier", {}).get("value") or _who(agent).get("display")]
    return (systems[0] if systems else None), (systems[1] if len(systems) > 1 else None)


def _is_person(agent: Event) -> bool:
    return _who(agent).get("identifier", {}).get("system") in _PEOPLE or "role" in agent


def _who(agent: Event) -> Event:
    found: Event = agent.get("who", {})
    return found


def _origin(asked: Event | None) -> str | None:
    """Where it was asked, without the path: a host may run the services of several organisations."""
    try:
        parts = urlsplit((asked or {}).get("network", {}).get("address", ""))
    except ValueError:  # no address of a computer
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None


def _told(agent: Event | None) -> dict[str, Any]:
    who = _who(agent or {})
    return {"name": who.get("display"), "identifier": _identifier(who).get("value")}


def _identifier(who: Event) -> Event:
    """The identifier of an organisation, also where it stands in a client_id (`ura:90000101`)."""
    found: Event = who.get("identifier", {})
    if found.get("system") != CLIENT_ID_SYSTEM:
        return found
    kind, _, number = str(found.get("value", "")).partition(":")
    return {"system": _OF_CLIENT_ID.get(kind), "value": number}


def _end(event: Event, asking: Event | None, asked: Event | None) -> str | None:
    observer = event["source"].get("observer", {}).get("identifier", {})
    if not observer.get("value"):
        return None
    for name, agent in (("asked", asked), ("asking", asking)):
        if agent and _identifier(_who(agent)) == observer:
            return name
    return None


def _details(event: Event) -> dict[str, str]:
    return {
        detail["type"]: detail["valueString"]
        for entity in event.get("entity", [])
        for detail in entity.get("detail", [])
        if "valueString" in detail
    }


def _purpose(event: Event) -> str | None:
    concepts = [*event.get("purposeOfEvent", []), *(each for agent in event["agent"] for each in agent.get("purposeOfUse", []))]
    return next((str(coding["code"]) for concept in concepts for coding in concept.get("coding", []) if "code" in coding), None)


def _role(event: Event) -> str | None:
    for agent in event["agent"]:
        for role in agent.get("role", []):
            for coding in role.get("coding", []):
                if coding.get("system") == UZI_ROLE_SYSTEM and "code" in coding:
                    return str(coding["code"])
    return None


def _what(event: Event, details: dict[str, str]) -> str:
    subtype = next((subtype.get("code") for subtype in event.get("subtype", [])), None)
    if event.get("outcome", "0") != "0" or details.get("reason"):
        return "refused"
    if subtype in _MADE_AVAILABLE:
        return "made available"
    if subtype == "delete":
        return "removed"
    return "viewed" if subtype in _VIEWED else "requested"


def _categories(event: Event, details: dict[str, str]) -> list[str]:
    """What the event names as category; else the types in its scope, its question or its data."""
    if event["type"].get("code") == _LOG_USED:
        return ["Logging"]
    if details.get("category"):
        return sorted(set(details["category"].split()))
    texts = details.get("scope", "").split()
    for entity in event.get("entity", []):
        texts.append(_decoded(entity.get("query", "")))
        if entity.get("type", {}).get("code") == "2":
            texts.append(str(entity.get("what", {}).get("reference", "")))
    found = (_TYPE.match(text) for text in texts)
    return sorted({match[1] for match in found if match})


def _decoded(query: str) -> str:
    try:
        return base64.b64decode(query, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _basis(event: Event, details: dict[str, str], purpose: str | None) -> dict[str, Any]:
    """The ground; consents that were weighed are no ground of a refusal."""
    entities = [entity for entity in event.get("entity", []) if entity.get("type", {}).get("code") == "Consent"]
    consents = sorted({str(entity["what"]["reference"]) for entity in entities if "reference" in entity.get("what", {})})
    if purpose in _EMERGENCY:
        kind = "emergency"
    elif details.get("legal_basis") or purpose in _LEGAL_TASK:
        kind = "legal task"
    elif purpose == "PATRQT":
        kind = "representative" if _is_represented(event) else "own request"
    else:
        kind = "consent" if consents and event.get("outcome", "0") == "0" else "none"
    return {"kind": kind, "consents": consents}


def _is_represented(event: Event) -> bool:
    """Whether another person asked for the client."""
    whats = [entity.get("what", {}) for entity in event.get("entity", [])]
    own = {_bsn(what) for what in whats} - {None}
    asking = {_bsn(_who(agent)) for agent in event["agent"] if agent.get("requestor")} - {None}
    return bool(own and asking and not own & asking)


def _bsn(who: Event) -> str | None:
    identifier = who.get("identifier", {})
    return str(identifier.get("value")) if identifier.get("system") == BSN_SYSTEM else None


def _request_id(event: Event) -> str | None:
    for entity in event.get("entity", []):
        if entity.get("type", {}).get("code") == "XrequestId":
            value = entity.get("what", {}).get("identifier", {}).get("value")
            return str(value) if value else None
    return _extension(event, "request-id")


def _extension(event: Event, name: str) -> str | None:
    for extension in event.get("extension", []):
        if extension.get("url", "").endswith(f"/{name}"):
            value = extension.get("valueId") or extension.get("valueString")
            return str(value) if value else None
    return None
