"""The CapabilityStatement, made from the routes and the search parameters themselves: it cannot say what is not so."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import FHIR_JSON, fhir, fhir_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.fhir.schema import CANONICAL
from proeftuin.fhir.search import COMMON, MAXIMUM_COUNT, SEARCH_PARAMETERS
from services.addressing.content import PROFILES

_INTERACTIONS = {  # method and path after /fhir/[type] -> code of restful-interaction
    ("GET", ""): "search-type", ("POST", "/_search"): "search-type", ("GET", "/_history"): "history-type",
    ("GET", "/{}"): "read", ("GET", "/{}/_history/{}"): "vread", ("PUT", "/{}"): "update",
}  # fmt: skip
_SYSTEM_INTERACTIONS = {("POST", ""): "transaction"}


def router(routers: Sequence[APIRouter], base_url: str, date: str) -> APIRouter:
    """Return the route of the CapabilityStatement of `routers`, which `date` (an instant) is valid from."""
    routes = guarded(fhir)
    content = statement([route for each in routers for route in each.routes if isinstance(route, APIRoute)], base_url, date)

    @routes.get("/fhir/metadata")
    @require()
    async def metadata(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """What this directory can do."""
        return fhir_response(content)

    return routes


def statement(routes: Iterable[APIRoute], base_url: str, date: str) -> dict[str, Any]:
    """Return the CapabilityStatement of these routes; raises KeyError for a route of which the interaction is not known."""
    of_type: dict[str, list[str]] = {}
    of_system: list[str] = []
    for route in routes:
        kind, rest = _split(route.path)
        for method in sorted(route.methods or ()):
            found = of_type.setdefault(kind, []) if kind else of_system
            found.append((_INTERACTIONS if kind else _SYSTEM_INTERACTIONS)[method, rest])
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Proeftuin addressing"},
        "implementation": {"description": "Directory of the network (GF Adressering, MinVWS 0.10.0)", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON],
        "rest": [
            {
                "mode": "server",
                "documentation": f"A page has at most {MAXIMUM_COUNT} matches. Nothing is deleted: a status is changed.",
                "security": {
                    "cors": False,
                    "description": "Mutual TLS on every route; to write, a token (RFC 9068) bound to the certificate (RFC 8705).",
                },
                "resource": [_resource(kind, interactions) for kind, interactions in of_type.items()],
                "interaction": [{"code": code} for code in of_system],
            }
        ],
    }


def _split(path: str) -> tuple[str | None, str]:
    """Return the resource type in a path, None for the system level, and what follows, with its parameters as {}."""
    match = re.fullmatch(r"/fhir(?:/([A-Z][A-Za-z]+))?(.*)", path)
    if match is None:
        raise KeyError(path)
    return match[1], re.sub(r"{[^}]*}", "{}", match[2])


def _resource(kind: str, interactions: list[str]) -> dict[str, Any]:
    own = SEARCH_PARAMETERS[kind]
    includes = [f"{kind}:{name}" for name, parameter in own.items() if parameter.kind == "reference"]
    revincludes = [
        f"{source}:{name}"
        for source, parameters in SEARCH_PARAMETERS.items()
        for name, parameter in parameters.items()
        if kind in parameter.targets
    ]
    return {
        "type": kind,
        "supportedProfile": [CANONICAL + PROFILES[kind]],
        "interaction": [{"code": code} for code in dict.fromkeys(interactions)],
        "versioning": "versioned-update",
        "readHistory": "vread" in interactions,
        "updateCreate": "update" in interactions,
        "conditionalCreate": False,
        "conditionalRead": "not-supported",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchInclude": includes,
        "searchRevInclude": revincludes,
        "searchParam": [{"name": name, "type": parameter.kind} for name, parameter in (COMMON | own).items()],
    }
