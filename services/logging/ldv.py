"""An event in the form of Logius' Logboek Dataverwerkingen, with the fields of logboek-extensie-nen7513.

A record has `trace_id`, `span_id`, `status_code`, `name`, `start_time`, `end_time` (milliseconds), `resource`, `attributes`; what
the event does not say is left out. `status_code` is OK (1) for outcome 0, ERROR (2) for 12, and UNSET (0) for what was refused, as
Logius has it; the outcome itself stands in `dpl.proeftuin.outcome`. `parent_span_id` is the action that called this one in the same
trace; where another organisation did, `foreign_operation` names it too: `trace_id`, `span_id` and `entity`, its number as URI
(`system#value`). Codes and identifiers are written `system#code` and `system|value`. Logius asks that the data subject's number is
encrypted: here a pseudonym stands in its place, wherever it stands.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM, is_bsn

Resource = dict[str, Any]
Pseudonym = Callable[[str], str]  # what stands for a BSN
OK, UNSET, ERROR = 1, 0, 2
_OBJECT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_RELATION = ("CareTeam/", "EpisodeOfCare/", "Task/")  # what a treatment relation is shown by
_TRACE = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_SPAN = re.compile("[0-9a-f]{16}")
_PROVIDER = "PROV"  # v3-RoleClass: the organisation of the user
_NUMBER = re.compile(r"(?<!\d)\d{9}(?!\d)")


def record(event: Resource, controls: Resource, pseudonym: Pseudonym) -> Resource:
    """Return the record of an AuditEvent; `controls` is what the log says of its own integrity (place, leaf, size of the tree)."""
    agents, entities = event.get("agent", []), event.get("entity", [])
    requestor: Resource = next((agent for agent in agents if agent.get("requestor")), {})
    people = [entity for entity in entities if _value(entity) and _identifier(entity.get("what", {})).get("system") == BSN_SYSTEM]
    objects = [entity for entity in entities if _is_object(entity)]
    policies = requestor.get("policy", [])
    trace_id, span_id = _trace(event)
    parent = next((found for found in _extended(event, "/parent-span-id") if _SPAN.fullmatch(found)), None)
    period = event.get("period", {})
    attributes = {
        "dpl.core.processing_activity_id": _code(event.get("type")),
        "dpl.core.data_subject_id": pseudonym(str(_value(people[0]))) if people else None,
        "dpl.core.data_subject_id_type": "BSN" if people else None,
        "dpl.nen7513.eventTypeCode": _code(next(iter(event.get("subtype", [])), None)),
        "dpl.nen7513.users": [_user(agent, event, pseudonym) for agent in agents],
        "dpl.nen7513.participants": [_participant(each, policies, pseudonym) for each in objects],
        "dpl.nen7513.participantSegments": [_participant(each, policies, pseudonym) for each in entities if each not in objects],
        "dpl.nen7513.autorisatieProtocol": policies,
        "dpl.nen7513.behandelrelatieProtocol": _references(entities, _RELATION),
        "dpl.nen7513.toestemmingsProfiel": _references(entities, ("Consent/",)),
        "dpl.nen7513.controles": controls,
        "dpl.proeftuin.event_id": event.get("id"),
        "dpl.proeftuin.outcome": event.get("outcome"),
        "dpl.proeftuin.outcome_description": _masked(event.get("outcomeDesc"), pseudonym),
    }
    source = event.get("source", {})
    resource = {
        "nen7513.AuditEnterpriseSiteID": source.get("site"),
        "nen7513.AuditSourceId": _who(source.get("observer", {}), pseudonym),
        "nen7513.AuditSourceTypeCode": next((each.get("code") for each in source.get("type", [])), None),
    }
    return _present(
        {
            "trace_id": trace_id,
            "span_id": span_id,
            "parent_span_id": parent,
            "foreign_operation": _foreign(event, trace_id, span_id, parent),
            "status_code": {"0": OK, "12": ERROR}.get(event.get("outcome", ""), UNSET),
            "name": event.get("action"),
            "start_time": _milliseconds(period.get("start") or event["recorded"]),
            "end_time": _milliseconds(period.get("end") or event["recorded"]),
            "resource": {"attributes": _present(resource)},
            "attributes": _present(attributes),
        }
    )


def otlp(records: Iterable[Resource]) -> Resource:
    """Return records as one OTLP/JSON ExportTraceServiceRequest (opentelemetry-proto 1), which Logius recommends as protocol."""
    spans = []
    for each in records:
        span = {
            "traceId": each["trace_id"],
            "spanId": each["span_id"],
            "parentSpanId": each.get("parent_span_id", ""),
            "name": each.get("name", ""),
            "startTimeUnixNano": f"{each['start_time']}000000",
            "endTimeUnixNano": f"{each['end_time']}000000",
            "status": {"code": each["status_code"]},
            "attributes": list(_pairs(each["attributes"])),
        }
        if foreign := each.get("foreign_operation"):  # OTLP has no such field
            span["attributes"] += _pairs({"dpl.core.foreign_operation": foreign})
        resource = {"attributes": list(_pairs(each["resource"]["attributes"]))}
        spans.append({"resource": resource, "scopeSpans": [{"scope": {"name": "proeftuin"}, "spans": [span]}]})
    return {"resourceSpans": spans}


def _user(agent: Resource, event: Resource, pseudonym: Pseudonym) -> Resource:
    network, who = agent.get("network", {}), agent.get("who", {})
    purposes = agent.get("purposeOfUse") or (event.get("purposeOfEvent") if agent.get("requestor") else None)
    return _present(
        {
            "userID": _who(who, pseudonym),
            "alternateUserID": _masked(agent.get("altId"), pseudonym),
            "userName": _masked(agent.get("name") or who.get("display"), pseudonym),
            "userIsRequestor": agent.get("requestor"),
            "roleIDCode": [*_codes(agent.get("role")), *_codes([agent.get("type", {})])],
            "purposeOfUse": list(_codes(purposes)),
            "networkAccessPointTypeCode": network.get("type"),
            "networkAccessPointID": network.get("address"),
        }
    )


def _participant(entity: Resource, policies: list[str], pseudonym: Pseudonym) -> Resource:
    what = entity.get("what", {})
    details = [
        _present({"type": each.get("type"), "value": _masked(each.get("valueString") or each.get("valueBase64Binary"), pseudonym)})
        for each in entity.get("detail", [])
    ]
    return _present(
        {
            "participantObjectTypeCode": entity.get("type", {}).get("code"),
            "participantObjectTypeCodeRole": entity.get("role", {}).get("code"),
            "participantObjectDataLifeCycle": entity.get("lifecycle", {}).get("code"),
            "participantObjectIDTypeCode": _identifier(what).get("system"),
            "participantObjectPermissionPolicySet": policies if _is_object(entity) else None,
            "participantObjectSensitivity": [_code(each) for each in entity.get("securityLabel", [])],
            "participantObjectID": _number(what, pseudonym),
            "participantObjectName": _masked(entity.get("name"), pseudonym),
            "participantObjectDetail": details,
            "participantObjectDescription": _masked(entity.get("description"), pseudonym),
        }
    )


def _is_object(entity: Resource) -> bool:
    """A person or an object of the system; what else an event tells of is a segment (NEN 7513:2024)."""
    kind = entity.get("type", {})
    patient = _identifier(entity.get("what", {})).get("system") == BSN_SYSTEM
    return patient or (kind.get("system") == _OBJECT_TYPE and kind.get("code") in ("1", "2"))


def _trace(event: Resource) -> tuple[str, str]:
    """The ids of trace and span; an event that has none stands in a trace of its own, made from its id."""
    for match in map(_TRACE.fullmatch, _extended(event, "/traceparent")):
        if match:
            return match[1], match[2]
    digits = re.sub("[^0-9a-f]", "", str(event.get("id", "")).lower()).rjust(32, "0")[-32:]
    return digits, digits[-16:]


def _extended(event: Resource, name: str) -> Iterator[str]:
    extensions = (each for each in event.get("extension", []) if str(each.get("url")).endswith(name))
    return (str(each.get("valueString") or each.get("valueId")) for each in extensions)


def _foreign(event: Resource, trace_id: str, span_id: str, parent: str | None) -> Resource | None:
    """The action of another organisation that called this one: an event of the serving end, whose request has another's span."""
    if parent is None or span_id in _extended(event, "/request-id"):  # a caller's span is what its request is called
        return None
    agents = event.get("agent", [])
    providers = [each for each in agents if _PROVIDER in (coding.get("code") for coding in each.get("type", {}).get("coding", []))]
    named: list[Resource] = [*providers, *(each for each in agents if each.get("requestor")), {}]
    caller = _identifier(named[0].get("who", {}))
    system, value = caller.get("system"), caller.get("value")
    own = _identifier(event.get("source", {}).get("observer", {})).get("value")
    if not system or not value or system == BSN_SYSTEM or value.rpartition(":")[2] == own:  # a client_id is ura:90000101
        return None
    return {"trace_id": trace_id, "span_id": parent, "entity": f"{system}#{value}"}


def _identifier(reference: Resource) -> Resource:
    found: Resource = reference.get("identifier", {})
    return found


def _value(entity: Resource) -> str | None:
    return _identifier(entity.get("what", {})).get("value")


def _number(reference: Resource, pseudonym: Pseudonym) -> str | None:
    identifier = _identifier(reference)
    value = identifier.get("value")
    if value is not None and (identifier.get("system") == BSN_SYSTEM or (not identifier.get("system") and is_bsn(value))):
        return pseudonym(value)
    return value or reference.get("reference") or reference.get("display")


def _who(reference: Resource, pseudonym: Pseudonym) -> str | None:
    number, system = _number(reference, pseudonym), _identifier(reference).get("system")
    return f"{system}|{number}" if system and number else number


def _code(coding: Resource | None) -> str | None:
    if not coding or "code" not in coding:
        return None
    return f"{coding['system']}#{coding['code']}" if coding.get("system") else str(coding["code"])


def _codes(concepts: list[Resource] | None) -> Iterator[str]:
    return (code for concept in concepts or [] for coding in concept.get("coding", []) if (code := _code(coding)))


def _references(entities: list[Resource], types: tuple[str, ...]) -> list[str]:
    found = [entity.get("what", {}).get("reference", "") for entity in entities]
    return [each for each in found if each.startswith(types) or any(f"/{name}" in each for name in types)]


def _masked(text: str | None, pseudonym: Pseudonym) -> str | None:
    """Free text without a BSN in it."""
    return text and _NUMBER.sub(lambda match: pseudonym(match[0]) if is_bsn(match[0]) else match[0], text)


def _milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def _present(found: Resource) -> Resource:
    return {name: value for name, value in found.items() if value is not None and value not in ([], {}, "")}


def _pairs(attributes: Resource) -> Iterator[Resource]:
    return ({"key": name, "value": _any(value)} for name, value in attributes.items())


def _any(value: Any) -> Resource:  # noqa: ANN401 - any JSON, as OTLP's AnyValue
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any(each) for each in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": list(_pairs(value))}}
    return {"stringValue": value}
