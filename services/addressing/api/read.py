"""Read one resource, now or as it was (FHIR R4 §3.1.0.2, §3.1.0.3)."""

import re

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import READ
from proeftuin.fhir import repository
from proeftuin.reasons import NOT_FOUND, Refused
from services.addressing.content import PROFILES, check_id


def router() -> APIRouter:
    """Return the routes that read each type."""
    routes = guarded(fhir)
    for resource_type in PROFILES:
        _add(routes, resource_type)
    return routes


def _add(routes: APIRouter, resource_type: str) -> None:
    @routes.get(f"/fhir/{resource_type}/{{resource_id}}")
    @require(event=READ)
    async def read(admission: Admitted, resource_id: str) -> Response:
        """The newest version, with its ETag."""
        check_id(resource_id)
        admission.record.data = [{"reference": f"{resource_type}/{resource_id}"}]
        resource = await admission.tenant.database.read(repository.read, resource_type, resource_id)
        if resource is None:
            raise Refused(NOT_FOUND, f"there is no {resource_type} with this id")
        return fhir_response(resource)

    @routes.get(f"/fhir/{resource_type}/{{resource_id}}/_history/{{version}}")
    @require(event=READ)
    async def vread(admission: Admitted, resource_id: str, version: str) -> Response:
        """One version, as it was."""
        check_id(resource_id)
        check_id(version)
        admission.record.data = [{"reference": f"{resource_type}/{resource_id}/_history/{version}"}]
        found = None
        if re.fullmatch("[0-9]{1,9}", version):
            found = await admission.tenant.database.read(repository.read_version, resource_type, resource_id, int(version))
        if found is None or found.resource is None:
            raise Refused(NOT_FOUND, f"there is no such version of a {resource_type} with this id")
        return fhir_response(found.resource)
