"""Writing to the directory: all or nothing, no version lost, and only by whom it may."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from proeftuin.clock import Clock
from proeftuin.fhir import repository
from proeftuin.reasons import INVALID_REQUEST, VERSION_STALE, Refused
from services.addressing import ownership
from services.addressing.content import Entry, Resource
from services.addressing.ownership import Writer


def write(connection: sa.Connection, entries: Sequence[Entry], writer: Writer, clock: Clock) -> list[Resource]:
    """Store the entries and return them as stored, in their order; raises Refused for the first that cannot be.

    PARTY_MISMATCH: not the writer's. VERSION_STALE: another version stands there. INVALID_REQUEST: a party replaces a resource
    without naming its version; only the register, as the source, may. What the register feeds again unchanged stays as it is.
    """
    now = clock.now()

    def find(reference: str) -> Resource | None:
        kind, _, name = reference.partition("/")
        return repository.read(connection, kind, name) if kind == "Organization" else None

    def put(entry: Entry) -> Resource:
        stored = repository.read(connection, entry.resource["resourceType"], entry.resource["id"])
        ownership.check(writer, entry.resource, stored, find)
        if stored is not None and entry.if_match is None:
            if not writer.is_register:
                raise Refused(INVALID_REQUEST, f"{entry.place} is there already: send If-Match with its ETag")
            if _content(stored) == _content(entry.resource):
                return stored
        written = repository.put(connection, entry.resource, now, entry.if_match)
        if version(written) != (version(stored) if stored else 0) + 1:  # written by another since it was read here
            raise Refused(VERSION_STALE, f"{entry.place} was written by another at the same time")
        return written

    # organisations first: an Endpoint may name one from the same transaction; one order for all, so that none waits for another
    written = {entry.place: put(entry) for entry in sorted(entries, key=lambda each: each.place, reverse=True)}
    return [written[entry.place] for entry in entries]


def version(resource: Resource) -> int:
    """Return the version of a stored resource."""
    return int(resource["meta"]["versionId"])


def _content(resource: Resource) -> dict[str, Any]:
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    return resource | {"meta": meta}
