"""The party's records: which of them are the client's, and taking in what a care system exports."""

import re
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.fhir import repository
from proeftuin.fhir.bundle import bsns_of
from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource, check
from proeftuin.fhir.search import Pairs, Search, described, parse
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.reasons import PARAMETER_UNKNOWN, PROFILE, SUBJECT_MISMATCH, Refused
from services.datastation.source import CATEGORY

TYPES = tuple(CATEGORY)
_PATIENT_PARAMETERS = {"patient", "subject", "patient.identifier", "subject.identifier", "patient:identifier", "subject:identifier"}
PARAMETERS = described(*TYPES, includes=False) | dict.fromkeys(sorted(_PATIENT_PARAMETERS), "the client of the token, or left out")


def find_patient(connection: sa.Connection, bsn: str) -> str | None:
    """Return the id of the Patient with this BSN."""
    page = repository.search(connection, "Patient", parse("Patient", [("identifier", f"{BSN_SYSTEM}|{bsn}")]))
    return page.resources[0]["id"] if page.resources else None


def bounded_search(resource_type: str, pairs: Pairs, bsn: str, patient_id: str, *, in_url: bool) -> Search:
    """Return the search with the token's client as its only subject.

    Raises Refused: SUBJECT_MISMATCH when the search names another client, and what `parse` raises. An include is refused: what it
    brings along would need a scope, and a consent, of its own.
    """
    if any(name.partition(":")[0] in ("_include", "_revinclude") for name, _ in pairs):
        raise Refused(PARAMETER_UNKNOWN, "ask for each type by itself, with its own scope")
    parse(resource_type, [pair for pair in pairs if pair[0] not in _PATIENT_PARAMETERS], in_url=in_url)
    kept: Pairs = []
    own = {bsn, f"{BSN_SYSTEM}|{bsn}", patient_id, f"Patient/{patient_id}"}
    for name, value in pairs:
        is_subject = name in _PATIENT_PARAMETERS or (resource_type == "Patient" and name in ("identifier", "_id"))
        if not is_subject:
            kept.append((name, value))
        elif value not in own:
            raise Refused(SUBJECT_MISMATCH, "the search is about another client than the token")
    kept.append(("_id", patient_id) if resource_type == "Patient" else ("patient", f"Patient/{patient_id}"))
    return parse(resource_type, kept)


def read_of(connection: sa.Connection, resource_type: str, resource_id: str, patient_id: str) -> dict[str, Any]:
    """Return a resource of this client; raises Refused(SUBJECT_MISMATCH) for another's and for one that is not there alike."""
    found = repository.read(connection, resource_type, resource_id)
    subject = f"Patient/{resource_id}" if resource_type == "Patient" else (found or {}).get("subject", {}).get("reference")
    if found is None or subject != f"Patient/{patient_id}":
        raise Refused(SUBJECT_MISMATCH, f"the token's client has no {resource_type} with this id")
    return found


def read_export(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the resources of an exported Bundle with ids and relative references; raises InvalidResource with every fault."""
    check(bundle)
    issues: list[Issue] = []
    places: dict[str, str] = {}
    taken: list[tuple[int, dict[str, Any]]] = []
    for place, entry in enumerate(bundle.get("entry", [])):
        resource = dict(entry.get("resource") or {})
        kind = resource.get("resourceType")
        if kind not in TYPES:
            issues.append(_issue(f"Bundle.entry[{place}].resource", f"a resource of type {', '.join(TYPES)}"))
            continue
        full_url = str(entry.get("fullUrl", ""))
        resource.setdefault("id", full_url.removeprefix("urn:uuid:") if full_url.startswith("urn:uuid:") else str(uuid.uuid4()))
        own = f"{kind}/{resource['id']}"
        if own in places:
            issues.append(_issue(f"Bundle.entry[{place}].resource.id", "an id of its own: another entry has the same"))
        places[full_url] = places[own] = own
        if kind == "Patient" and len(bsns_of(resource)) != 1:
            issues.append(_issue(f"Bundle.entry[{place}].resource.identifier", f"one identifier of {BSN_SYSTEM}"))
        taken.append((place, resource))
    taken = [(place, _relative(resource, places)) for place, resource in taken]
    for place, resource in taken:
        reference = resource.get("subject", {}).get("reference")
        if resource["resourceType"] != "Patient" and not re.fullmatch(r"Patient/[A-Za-z0-9\-.]{1,64}", str(reference)):
            issues.append(_issue(f"Bundle.entry[{place}].resource.subject.reference", "a Patient of the Bundle or of this source"))
    if issues:
        raise InvalidResource(issues)
    return [resource for _, resource in taken]


def store(connection: sa.Connection, resources: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Store all or nothing; raises InvalidResource when a subject is no Patient here, or a client is here under another id."""
    stored: list[dict[str, Any]] = []
    for place, resource in enumerate(resources):
        if resource["resourceType"] == "Patient":
            (bsn,) = bsns_of(resource)
            before = repository.read(connection, "Patient", resource["id"])
            element = f"Bundle.entry[{place}].resource.id"
            if before and bsns_of(before) != [bsn]:
                raise InvalidResource([_issue(element, "an id that no other client has: in this source it is of another BSN")])
            if find_patient(connection, bsn) not in (None, resource["id"]):
                raise InvalidResource([_issue(element, "the id under which this source has this BSN already: it is not this one")])
            stored.append(repository.put(connection, resource, now))
    people = {resource["id"] for resource in stored}
    for place, resource in enumerate(resources):
        if resource["resourceType"] == "Patient":
            continue
        patient = resource["subject"]["reference"].removeprefix("Patient/")
        if patient not in people and repository.read(connection, "Patient", patient) is None:
            raise InvalidResource([_issue(f"Bundle.entry[{place}].resource.subject.reference", "a Patient of this source")])
        stored.append(repository.put(connection, resource, now))
    return stored


def clients_of(connection: sa.Connection, resources: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return for each resource the BSNs of whom it is about, or was until now: of Patients among them, or of this source."""
    people = {f"Patient/{each['id']}": each for each in resources if each["resourceType"] == "Patient"}

    def about(resource: dict[str, Any]) -> set[str]:
        subject = resource.get("subject", {}).get("reference")
        if subject is not None and subject not in people:
            people[subject] = repository.read(connection, "Patient", subject.removeprefix("Patient/")) or {}
        return {*bsns_of(resource), *bsns_of(people.get(subject, {}))}

    before = [repository.read(connection, each["resourceType"], each["id"]) or {} for each in resources]
    return [tuple(sorted(about(now) | about(then))) for now, then in zip(resources, before, strict=True)]


def _relative(value: Any, places: dict[str, str]) -> Any:  # noqa: ANN401 - JSON is any
    """Make references to resources of the Bundle (fullUrl) relative ones."""
    if isinstance(value, dict):
        return {
            name: places.get(each, each) if name == "reference" and isinstance(each, str) else _relative(each, places)
            for name, each in value.items()
        }
    return [_relative(each, places) for each in value] if isinstance(value, list) else value


def _issue(expression: str, wanted: str) -> Issue:
    return Issue("error", "required", f"wanted: {wanted}", expression, PROFILE.code)
