"""Register and remove: create, read, delete on List, and both in a transaction Bundle."""

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import CREATE, DELETE, READ, TRANSACTION
from proeftuin.audit.record import Entry
from proeftuin.reasons import INSUFFICIENT_SCOPE, MALFORMED, NOT_FOUND, PARTY_MISMATCH, Refused
from services.localization import store
from services.localization.lists import read_list, write_list
from services.localization.pseudonyms import Pseudonyms

FHIR = ("application/fhir+json", "application/json")
LARGEST = 200  # entries in a transaction


def router(pseudonyms: Pseudonyms) -> APIRouter:
    """Return the routes by which a custodian manages its registrations."""
    routes = guarded(fhir)

    @routes.post("/fhir/List")
    @require("nvi:create", event=CREATE, media_types=FHIR)
    async def create(admission: Admitted) -> Response:
        """Register one category on one client."""
        registration, token = read_list(await admission.json_object(), admission.peer)
        evaluation = pseudonyms.open(token)
        _note(admission, registration)
        await admission.write(store.add, registration, evaluation, admission.tenant.clock.now())
        location = f"{admission.tenant.audience}/fhir/List/{registration.id}"
        return fhir_response(write_list(registration), 201, {"Location": location})

    @routes.get("/fhir/List/{list_id}")
    @require("nvi:read", event=READ)
    async def read(admission: Admitted, list_id: str) -> Response:
        """Read an own registration."""
        found = await admission.tenant.database.read(store.read, list_id, _custodian(admission))
        if found is None:
            raise Refused(NOT_FOUND, "the caller has no registration with this id")
        _note(admission, found)
        return fhir_response(write_list(found))

    @routes.delete("/fhir/List/{list_id}")
    @require("nvi:delete", event=DELETE)
    async def delete(admission: Admitted, list_id: str) -> Response:
        """Remove an own registration."""
        admission.record.data = [{"reference": f"List/{list_id}"}]
        await admission.write(_remove, list_id, _custodian(admission))
        return Response(status_code=204)

    @routes.post("/fhir")
    @require("nvi:create", "nvi:delete", event=TRANSACTION, media_types=FHIR)
    async def transaction(admission: Admitted) -> Response:
        """Register and remove several, all or nothing; each entry needs the scope of its own verb."""
        bundle = await admission.json_object()
        entries = bundle.get("entry", [])
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction" or not isinstance(entries, list):
            raise Refused(MALFORMED, "the body is no Bundle of type transaction")
        if len(entries) > LARGEST:
            raise Refused(MALFORMED, f"a transaction has at most {LARGEST} entries")
        steps = [_step(admission, pseudonyms, entry) for entry in entries]
        admission.record.entries = [_entry(step) for step in steps]
        answers = await admission.write(_apply, steps, _custodian(admission), admission.tenant.clock.now())
        return fhir_response({"resourceType": "Bundle", "type": "transaction-response", "entry": answers})

    return routes


Step = tuple[store.Registration, store.Evaluation] | str  # what is to be added, or the id of what is to be removed


def _step(admission: Admission, pseudonyms: Pseudonyms, entry: Any) -> Step:  # noqa: ANN401 - whatever was sent
    request = entry.get("request") if isinstance(entry, dict) else None
    method, url = (request.get("method"), request.get("url")) if isinstance(request, dict) else (None, None)
    if method == "POST" and url == "List" and isinstance(entry.get("resource"), dict):
        _need(admission, "nvi:create")
        registration, token = read_list(entry["resource"], admission.peer)
        return registration, pseudonyms.open(token)
    if method == "DELETE" and isinstance(url, str) and re.fullmatch(r"List/[A-Za-z0-9\-.]{1,64}", url):
        _need(admission, "nvi:delete")
        return url.removeprefix("List/")
    raise Refused(MALFORMED, "an entry is POST List with a resource, or DELETE List/<id>")


def _entry(step: Step) -> Entry:
    if isinstance(step, str):
        return Entry(DELETE, (), f"List/{step}")
    return Entry(CREATE, (), f"List/{step[0].id}", {"category": step[0].code})


def _need(admission: Admission, scope: str) -> None:
    if scope not in admission.token.grant.scopes:
        raise Refused(INSUFFICIENT_SCOPE, f"an entry needs scope {scope}")


def _apply(connection: sa.Connection, steps: list[Step], custodian: str, now: datetime) -> list[dict[str, Any]]:
    for step in steps:  # FHIR R4 §3.1.0.11.2: DELETE before POST, whatever the order of the entries
        if isinstance(step, str):
            _remove(connection, step, custodian)
    answers: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, str):
            answers.append({"response": {"status": "204 No Content"}})
        else:
            store.add(connection, step[0], step[1], now)
            answers.append({"response": {"status": "201 Created", "location": f"List/{step[0].id}"}})
    return answers


def _remove(connection: sa.Connection, list_id: str, custodian: str) -> None:
    if not store.remove(connection, list_id, custodian):
        raise Refused(NOT_FOUND, "the caller has no registration with this id")


def _custodian(admission: Admission) -> str:
    if admission.peer.ura is None:
        raise Refused(PARTY_MISMATCH, "only a care provider (a certificate with a URA) has registrations")
    return admission.peer.ura


def _note(admission: Admission, registration: store.Registration) -> None:
    admission.record.data = [{"reference": f"List/{registration.id}"}]
    admission.record.details["category"] = registration.code
