"""ITI-130-NL: the care services feed, one resource or a transaction, with optimistic locking; nothing is ever deleted."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import TRANSACTION, UPDATE
from proeftuin.fhir import repository
from proeftuin.fhir.refusal import check
from proeftuin.pki.identity import Peer
from proeftuin.reasons import MALFORMED, NOT_FOUND, Refused
from services.addressing.mandates import PROFILES, check_scope, check_writer

FHIR = ("application/fhir+json", "application/json")
SCOPES = tuple(f"system/{each}.crus" for each in PROFILES)
LARGEST = 1000  # entries in a transaction
Write = tuple[dict[str, Any], str | None]  # a checked resource and its If-Match


def router(register: str) -> APIRouter:
    """Return the routes of the feed; `register` is the client_id that may write everything."""
    routes = guarded(fhir)

    @routes.put("/fhir/{resource_type}/{resource_id}")
    @require(*SCOPES, event=UPDATE, media_types=FHIR)
    async def update(admission: Admitted, resource_type: str, resource_id: str) -> Response:
        """Create or update; with If-Match only when that version still stands (412)."""
        resource = _checked(admission, await admission.json_object(), f"{resource_type}/{resource_id}")
        if_match = admission.request.headers.get("if-match")
        (stored,) = await _write(admission, [(resource, if_match)], register)
        return fhir_response(stored, 201 if stored["meta"]["versionId"] == "1" else 200)

    @routes.post("/fhir")
    @require(*SCOPES, event=TRANSACTION, media_types=FHIR, max_body=8 << 20)
    async def transaction(admission: Admitted) -> Response:
        """Create or update several, all or nothing: entries PUT <type>/<id>, `request.ifMatch` where one stands already."""
        bundle = await admission.json_object()
        entries = bundle.get("entry", [])
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction" or not isinstance(entries, list):
            raise Refused(MALFORMED, "the body is no Bundle of type transaction")
        if len(entries) > LARGEST:
            raise Refused(MALFORMED, f"a transaction has at most {LARGEST} entries")
        stored = await _write(admission, [_entry(admission, entry) for entry in entries], register)
        answers = [
            {
                "response": {
                    "status": "201 Created" if each["meta"]["versionId"] == "1" else "200 OK",
                    "location": f"{each['resourceType']}/{each['id']}/_history/{each['meta']['versionId']}",
                    "etag": f'W/"{each["meta"]["versionId"]}"',
                    "lastModified": each["meta"]["lastUpdated"],
                }
            }
            for each in stored
        ]
        return fhir_response({"resourceType": "Bundle", "type": "transaction-response", "entry": answers})

    return routes


def _entry(admission: Admission, entry: Any) -> Write:  # noqa: ANN401 - whatever was sent
    request = entry.get("request") if isinstance(entry, dict) else None
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or not isinstance(resource, dict) or request.get("method") != "PUT":
        raise Refused(MALFORMED, "an entry is PUT <type>/<id> with a resource; nothing is deleted here")
    if_match = request.get("ifMatch")
    return _checked(admission, resource, str(request.get("url"))), if_match if isinstance(if_match, str) else None


def _checked(admission: Admission, resource: dict[str, Any], url: str) -> dict[str, Any]:
    resource_type, _, resource_id = url.partition("/")
    if resource_type not in PROFILES:
        raise Refused(NOT_FOUND, f"the directory has {' and '.join(PROFILES)}")
    if resource.get("resourceType") != resource_type or resource.get("id") != resource_id:
        raise Refused(MALFORMED, "type and id of the resource are not those of the address")
    check_scope(resource_type, admission.token.grant.scopes)
    return check(resource, PROFILES[resource_type])


async def _write(admission: Admission, writes: list[Write], register: str) -> list[dict[str, Any]]:
    admission.record.data = [{"reference": f"{each['resourceType']}/{each['id']}"} for each, _ in writes]
    return await admission.write(_apply, writes, admission.peer, register, admission.tenant.clock.now())


def _apply(connection: sa.Connection, writes: list[Write], peer: Peer, register: str, now: datetime) -> list[dict[str, Any]]:
    stored: list[dict[str, Any]] = []
    for resource, if_match in writes:
        existing = repository.read(connection, resource["resourceType"], resource["id"])
        check_writer(resource, existing, peer, register)
        if existing is not None and if_match is None and _same(existing, resource):
            stored.append(existing)  # a feed that repeats itself makes no new versions
        else:
            stored.append(repository.put(connection, resource, now, if_match))
    return stored


def _same(existing: dict[str, Any], resource: dict[str, Any]) -> bool:
    def content(version: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in version.items() if name != "meta"}

    return content(existing) == content(resource)
