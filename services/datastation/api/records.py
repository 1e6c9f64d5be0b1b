"""The FHIR door: read and search of one client's records, bounded by the token."""

from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import READ, SEARCH
from proeftuin.audit.record import policy_urns
from proeftuin.audit.redaction import search_request
from proeftuin.clock import instant
from proeftuin.fhir import repository
from proeftuin.fhir.bundle import searchset
from proeftuin.fhir.search import COMMON, SEARCH_PARAMETERS, parse
from proeftuin.reasons import INSUFFICIENT_SCOPE, NOT_FOUND, SUBJECT_MISMATCH, Refused
from services.datastation import records
from services.datastation.source import Source

SCOPES = tuple(f"patient/{resource_type}.rs" for resource_type in records.TYPES)


def router(sources: dict[str, Source]) -> APIRouter:
    """Return the routes of the FHIR door."""
    routes = guarded(fhir)

    @routes.get("/{party}/fhir/metadata")
    @require()
    async def metadata(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - the path chose the tenant
        """The CapabilityStatement."""
        return json_response(capabilities(instant(admission.tenant.clock.now())), media_type="application/fhir+json")

    @routes.get("/{party}/fhir/{resource_type}")
    @require(*SCOPES, patient=True, event=SEARCH, query=records.PARAMETERS)
    async def search(admission: Admitted, party: str, resource_type: str) -> Response:
        """Search the client's resources; a BSN in the URL is refused."""
        pairs = parse_qsl(admission.request.url.query, keep_blank_values=True)
        return await _search(admission, sources[party], resource_type, pairs, in_url=True)

    @routes.post("/{party}/fhir/{resource_type}/_search")
    @require(*SCOPES, patient=True, event=SEARCH, form=records.PARAMETERS, max_body=16384)
    async def search_by_form(admission: Admitted, party: str, resource_type: str) -> Response:
        """Search with the parameters in a form: the way to name the client by BSN."""
        pairs = parse_qsl((await admission.body()).decode("utf-8", "replace"), keep_blank_values=True)
        return await _search(admission, sources[party], resource_type, pairs, in_url=False)

    @routes.get("/{party}/fhir/{resource_type}/{resource_id}")
    @require(*SCOPES, patient=True, event=READ)
    async def read(admission: Admitted, party: str, resource_type: str, resource_id: str) -> Response:
        """Read one resource of the client."""
        admission.record.data = [{"reference": f"{resource_type[:64]}/{resource_id[:64]}"}]
        patient_id = await _patient(admission, sources[party], resource_type)
        found = await admission.tenant.database.read(records.read_of, resource_type, resource_id, patient_id)
        return fhir_response(found)

    return routes


async def _search(
    admission: Admission, source: Source, resource_type: str, pairs: list[tuple[str, str]], *, in_url: bool
) -> Response:
    admission.record.query = search_request(resource_type, pairs)
    if in_url:
        parse(resource_type, [("_id", value) for _, value in pairs if value], in_url=True)  # a BSN anywhere: refused first
    _check_type(admission, resource_type)
    patient_id = await _patient_id(admission)
    wanted = records.bounded_search(resource_type, pairs, admission.patient, patient_id, in_url=in_url)
    await source.check_client_data(admission, resource_type)
    page = await admission.tenant.database.read(repository.search, resource_type, wanted)
    base = f"{admission.tenant.audience}/fhir"
    self_url = f"{base}/{resource_type}" + (f"?{admission.request.url.query}" if in_url and pairs else "" if in_url else "/_search")
    return fhir_response(searchset(page, self_url, base), headers={"Cache-Control": "no-store"})


async def _patient(admission: Admission, source: Source, resource_type: str) -> str:
    _check_type(admission, resource_type)
    patient_id = await _patient_id(admission)
    await source.check_client_data(admission, resource_type)
    return patient_id


def _check_type(admission: Admission, resource_type: str) -> None:
    """The route admits any of the scopes; this is the one that the type needs."""
    if resource_type not in records.TYPES:
        raise Refused(NOT_FOUND, f"this source has {', '.join(records.TYPES)}")
    needed = f"patient/{resource_type}.rs"
    admission.record.policies = policy_urns(needed)
    if needed not in admission.token.grant.scopes:
        raise Refused(INSUFFICIENT_SCOPE, f"this request needs scope {needed}")


async def _patient_id(admission: Admission) -> str:
    found = await admission.tenant.database.read(records.find_patient, admission.patient)
    if found is None:
        raise Refused(SUBJECT_MISMATCH, "this source has no records on the token's client")
    return found


def capabilities(date: str) -> dict[str, object]:
    """Return the CapabilityStatement, made from the search parameters that the server really has."""
    resources = [
        {
            "type": resource_type,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [
                {"name": name, "type": parameter.kind}
                for name, parameter in sorted((COMMON | SEARCH_PARAMETERS[resource_type]).items())
            ],
        }
        for resource_type in records.TYPES
    ]
    return {
        "resourceType": "CapabilityStatement", "status": "active", "date": date, "kind": "instance", "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"], "rest": [{"mode": "server", "resource": resources}],
    }  # fmt: skip
