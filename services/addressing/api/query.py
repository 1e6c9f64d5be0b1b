"""ITI-90: read and search of Organization and Endpoint; a certificate is enough, the directory is public in the network."""

from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, fhir_response, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import READ, SEARCH
from proeftuin.clock import instant
from proeftuin.fhir import repository
from proeftuin.fhir.bundle import searchset
from proeftuin.fhir.search import COMMON, SEARCH_PARAMETERS, parse
from proeftuin.reasons import NOT_FOUND, Refused
from services.addressing.mandates import PROFILES

_PROFILE_BASE = "http://minvws.github.io/generiekefuncties-docs/StructureDefinition/"


def router() -> APIRouter:
    """Return the routes by which the network is found."""
    routes = guarded(fhir)

    @routes.get("/fhir/metadata")
    @require()
    async def metadata(admission: Admitted) -> Response:
        """The CapabilityStatement, made from the search parameters that the server really has."""
        return json_response(capabilities(instant(admission.tenant.clock.now())), media_type="application/fhir+json")

    @routes.get("/fhir/{resource_type}")
    @require(event=SEARCH)
    async def search(admission: Admitted, resource_type: str) -> Response:
        """Search with the parameters in the URL."""
        pairs = parse_qsl(admission.request.url.query, keep_blank_values=True)
        return await _search(admission, resource_type, pairs, in_url=True)

    @routes.post("/fhir/{resource_type}/_search")
    @require(event=SEARCH, media_types=("application/x-www-form-urlencoded",), max_body=16384)
    async def search_by_form(admission: Admitted, resource_type: str) -> Response:
        """Search with the parameters in a form, a URL's before it."""
        pairs = parse_qsl((await admission.body()).decode("utf-8", "replace"), keep_blank_values=True)
        return await _search(admission, resource_type, pairs, in_url=False)

    @routes.get("/fhir/{resource_type}/{resource_id}")
    @require(event=READ)
    async def read(admission: Admitted, resource_type: str, resource_id: str) -> Response:
        """Read one resource; its version is the ETag."""
        _known(resource_type)
        admission.record.data = [{"reference": f"{resource_type}/{resource_id[:64]}"}]
        found = await admission.tenant.database.read(repository.read, resource_type, resource_id)
        if found is None:
            raise Refused(NOT_FOUND, f"there is no {resource_type} with this id")
        return fhir_response(found)

    return routes


async def _search(admission: Admission, resource_type: str, pairs: list[tuple[str, str]], *, in_url: bool) -> Response:
    _known(resource_type)
    wanted = parse(resource_type, pairs, in_url=in_url)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    admission.record.query = f"{resource_type}?{query}".encode() if in_url else resource_type.encode()
    page = await admission.tenant.database.read(repository.search, resource_type, wanted)
    base = f"{admission.tenant.audience}/fhir"
    self_url = f"{base}/{resource_type}" + (f"?{admission.request.url.query}" if in_url and pairs else "" if in_url else "/_search")
    first = wanted.cursor is None
    return fhir_response(searchset(page, self_url, base, instant(admission.tenant.clock.now()) if first else None))


def _known(resource_type: str) -> None:
    if resource_type not in PROFILES:
        raise Refused(NOT_FOUND, f"the directory has {' and '.join(PROFILES)}")


def capabilities(date: str) -> dict[str, object]:
    """Return the CapabilityStatement of the directory."""
    resources = [
        {
            "type": resource_type,
            "supportedProfile": [_PROFILE_BASE + profile],
            "interaction": [{"code": code} for code in ("read", "search-type", "update")],
            "versioning": "versioned-update",
            "searchInclude": ["Organization:endpoint"] if resource_type == "Organization" else [],
            "searchParam": [
                {"name": name, "type": parameter.kind}
                for name, parameter in sorted((COMMON | SEARCH_PARAMETERS[resource_type]).items())
            ],
        }
        for resource_type, profile in PROFILES.items()
    ]
    for resource in resources:
        if not resource["searchInclude"]:
            del resource["searchInclude"]
    return {
        "resourceType": "CapabilityStatement", "status": "active", "date": date, "kind": "instance", "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "instantiates": ["http://minvws.github.io/generiekefuncties-docs/ImplementationGuide/hl7.fhir.nl.gf|0.10.0"],
        "rest": [{"mode": "server", "resource": resources, "interaction": [{"code": "transaction"}]}],
    }  # fmt: skip
