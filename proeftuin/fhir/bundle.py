"""Bundles in answer to a search or a history (FHIR R4 §3.1.1.1, §3.1.0.12), and the clients whom a Bundle is about."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from proeftuin.fhir.repository import HistoryPage, Page, Version
from proeftuin.fhir.search import carries_bsn
from proeftuin.identifiers import BSN_SYSTEM, is_bsn

Resource = dict[str, Any]


def searchset(page: Page, self_url: str, base_url: str, last_updated: str | None = None) -> Resource:
    """Return the searchset Bundle of a page: links self and next, matches first, then what they include.

    `self_url` is the absolute URL that was asked. For a search by POST it is `[base]/[type]/_search` without the form: the
    client posts the same form to the link `next`. Raises ValueError for a URL with a BSN. `last_updated` (an instant, the
    server's clock) becomes meta.lastUpdated, from which a replica takes its moment of synchronisation (ITI-90-NL).
    """
    entries = [_found(resource, base_url, "match") for resource in page.resources]
    entries += [_found(resource, base_url, "include") for resource in page.included]
    return _bundle("searchset", page.total, entries, self_url, page.next_cursor, last_updated)


def history(page: HistoryPage, self_url: str, base_url: str, last_updated: str | None = None) -> Resource:
    """Return the history Bundle of a page; parameters as for `searchset`."""
    entries = [_changed(version, base_url) for version in page.versions]
    return _bundle("history", page.total, entries, self_url, page.next_cursor, last_updated)


def subjects(bundle: Resource) -> Iterator[tuple[Resource, tuple[str, ...]]]:
    """Yield each entry with the BSNs of the clients whom it is about, as far as the Bundle itself holds its Patient."""
    given = bundle.get("entry")
    entries = [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []
    people: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        patient = _resource(entry)
        if patient.get("resourceType") == "Patient":
            bsns = tuple(filter(is_bsn, bsns_of(patient)))
            people |= {f"Patient/{patient.get('id')}": bsns, str(entry.get("fullUrl")): bsns}
    for entry in entries:
        resource = _resource(entry)
        subject = resource.get("subject")
        reference = subject.get("reference") if isinstance(subject, dict) else None
        own = people.get(f"Patient/{resource.get('id')}") if resource.get("resourceType") == "Patient" else None
        yield entry, own or people.get(str(reference), ())


def bsns_of(resource: Resource) -> list[str]:
    """Return the BSNs of a Patient; none of what is no Patient."""
    identifiers = resource.get("identifier") if resource.get("resourceType") == "Patient" else None
    named = [each for each in identifiers if isinstance(each, dict)] if isinstance(identifiers, list) else []
    return sorted({str(each["value"]) for each in named if each.get("system") == BSN_SYSTEM and "value" in each})


def _resource(entry: Resource) -> Resource:
    resource = entry.get("resource")
    return resource if isinstance(resource, dict) else {}


def _bundle(
    kind: str, total: int, entries: list[Resource], self_url: str, cursor: str | None, last_updated: str | None
) -> Resource:
    parts = urlsplit(self_url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if any(carries_bsn(name) or carries_bsn(value) for name, value in pairs):
        raise ValueError("a BSN never stands in a URL")
    links = [{"relation": "self", "url": self_url}]
    if cursor is not None:
        query = urlencode([pair for pair in pairs if pair[0] != "_cursor"] + [("_cursor", cursor)])
        links.append({"relation": "next", "url": urlunsplit(parts._replace(query=query))})
    bundle: Resource = {"resourceType": "Bundle", "type": kind, "total": total, "link": links}
    if last_updated is not None:
        bundle["meta"] = {"lastUpdated": last_updated}
    if entries:  # FHIR JSON has no empty lists
        bundle["entry"] = entries
    return bundle


def _found(resource: Resource, base_url: str, mode: str) -> Resource:
    full_url = f"{base_url.rstrip('/')}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": full_url, "resource": resource, "search": {"mode": mode}}


def _changed(version: Version, base_url: str) -> Resource:
    place = f"{version.type}/{version.id}"
    method, status = ("DELETE", "204") if version.resource is None else ("POST", "201") if version.version == 1 else ("PUT", "200")
    entry: Resource = {
        "fullUrl": f"{base_url.rstrip('/')}/{place}",
        "request": {"method": method, "url": version.type if method == "POST" else place},
        "response": {"status": status, "etag": f'W/"{version.version}"', "lastModified": version.last_updated},
    }
    return entry if version.resource is None else entry | {"resource": version.resource}
