"""Parameters of queries and forms: OpenAPI tells those that are taken, and no other is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import FORM, UndeclaredRouteError, require
from proeftuin.access.route import guarded
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.nursing_records import generate
from proeftuin.sandbox.topology import APPLICATIONS
from proeftuin.service import Service
from proeftuin.tokens.access_token import Person
from tests.harness import Harness, routes_of
from tests.unit.test_every_route import CALLER, CLIENT, made

pytestmark = pytest.mark.anyio
SEARCHES = ("addressing", "localization", "logging", "datastation")
IGNORING = ("/proof",)  # they take two numbers, and ignore what else is sent
TYPES = ["Patient", "Condition", "MedicationRequest", "CarePlan"]
FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, "pseudonymisation", ["pseudoniemendienst"])


@pytest.fixture
def app(harness: Harness) -> FastAPI:
    service = Service(harness.settings, Path("services/pseudonymisation/migrations"), harness.wiring)
    router = guarded(problem)

    @router.post("/form")
    @require(form={"one": "the first", "two": "the second"}, required=("one",))
    async def form(admission: Admitted) -> Response:
        return json_response(await admission.form())

    @router.get("/query")
    @require(query={"one": "the first", "two": "the second"}, required=("one",))
    async def query(admission: Admitted) -> Response:
        return json_response(admission.query())

    @router.get("/strict")
    @require(query={"one": "the first"})
    async def strict(admission: Admitted) -> Response:
        return json_response(admission.query(strict=True))

    return service.app("test", [router])


@pytest.mark.parametrize(
    ("sent", "taken", "reason"),
    [
        ("one=1&two=2", {"one": "1", "two": "2"}, None),
        ("one=1&three=3", {"one": "1"}, None),
        ("one=1&two=", {"one": "1"}, None),
        ("two=2", None, "the {} has no one"),
        ("one=&two=2", None, "the {} has no one"),
        ("one=1&one=1", None, "a parameter stands in the {} more than once"),
        ("one=1&three=3&three=3", None, "a parameter stands in the {} more than once"),
    ],
)
async def test_a_handler_gets_what_its_route_declares_and_nothing_else(
    harness: Harness, app: FastAPI, sent: str, taken: Any, reason: str | None
) -> None:
    async with harness.running(app):
        asked = await harness.call("GET", f"/query?{sent}", party=CALLER)
        posted = await harness.call("POST", "/form", party=CALLER, content=sent.encode(), headers={"Content-Type": FORM})
    for place, answer in (("query", asked), ("form", posted)):
        if reason is None:
            assert answer.json() == taken
        else:
            assert (answer.headers["X-Reason"], answer.json()["detail"]) == ("invalid_request", reason.format(place))


async def test_what_is_declared_stands_in_openapi(harness: Harness, app: FastAPI) -> None:
    async with harness.running(app):
        paths = (await harness.call("GET", "/openapi.json", party=CALLER)).json()["paths"]
        strict = await harness.call("GET", "/strict?two=2", party=CALLER)
    assert [(each["name"], each["in"], each["required"], each["description"]) for each in paths["/query"]["get"]["parameters"]] == [
        ("one", "query", True, "the first"),
        ("two", "query", False, "the second"),
    ]
    assert paths["/form"]["post"]["requestBody"]["content"][FORM]["schema"] == {
        "type": "object",
        "properties": {
            "one": {"type": "string", "description": "the first"},
            "two": {"type": "string", "description": "the second"},
        },
        "required": ["one"],
    }
    assert (strict.headers["X-Reason"], strict.json()["detail"]) == (
        "parameter_unknown",
        "1 unknown parameter(s): the query has one",
    )


def test_what_is_required_is_declared() -> None:
    with pytest.raises(UndeclaredRouteError, match="two"):
        require(form={"one": "the first"}, required=("two",))


@pytest.mark.parametrize("service", APPLICATIONS)
def test_openapi_shows_the_fields_of_every_form(tmp_path: Path, service: str) -> None:
    for path, methods in made(tmp_path, service)[1].openapi()["paths"].items():
        for operation in methods.values():
            schema = operation.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {"properties": True})
            assert schema.get("properties"), path


def declared(app: FastAPI) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield method, path, place ("params" or "data") and names of what OpenAPI shows, where what is not known is refused."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            schema = operation.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
            query = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            for place, names in (("params", query), ("data", list(schema.get("properties", ())))):
                if names and not path.startswith(IGNORING) and names != ["_cursor"]:
                    yield method, path, place, names


@pytest.mark.parametrize("service", SEARCHES)
async def test_a_search_takes_each_parameter_that_openapi_shows_and_no_other(tmp_path: Path, service: str) -> None:
    harness, app = made(tmp_path, service)
    tenant = harness.settings.tenants[0]
    scopes = {scope for route in routes_of(app) for scope in route.requirement.scopes or () if scope != "log:supervise"}
    token = harness.token(CALLER, *scopes, audience=tenant.audience, patient=CLIENT, person=Person(CLIENT, BSN_SYSTEM))
    wrong, tried = [], 0
    async with harness.running(app):
        if service == "datastation":
            records = generate(harness.seed.clients[0], harness.seed.party(tenant.party))
            await harness.call("POST", f"/{tenant.party}/fhir", party=tenant.party, json=records, headers=FHIR)
        for method, path, place, names in declared(app):
            types = TYPES if "{resource_type}" in path else [""]
            ground = {"officer": "Q. Quaas"} if place == "data" and path.startswith("/audit/") else {}
            for name in [*names, "unheard-of"]:
                call: dict[str, Any] = {place: ground | {name: "x"}, "headers": {"Content-Type": FORM} if method == "post" else {}}
                reasons = set()
                for kind in types:
                    address = path.format(party=tenant.party, resource_type=kind, event_id="1")
                    answer = await harness.call(method, address, party=CALLER, token=token, **call)
                    reasons.add(answer.headers.get("X-Reason"))
                if (reasons == {"parameter_unknown"}) != (name == "unheard-of"):
                    wrong.append((method, path, place, name, reasons))
                tried += 1
    assert wrong == []
    assert tried > 5
