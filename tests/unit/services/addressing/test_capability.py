"""The CapabilityStatement says what is so, and nothing else."""

from itertools import pairwise

import pytest

from tests.unit.services.addressing.directory import ENDPOINT, HOSPITAL, VENDOR, Directory

pytestmark = pytest.mark.anyio
SAMPLE = {"token": "x", "reference": "x", "string": "x", "uri": "x", "date": "2026"}
CALLS = {
    "read": [("GET", "/{kind}/x")], "vread": [("GET", "/{kind}/x/_history/1")], "update": [("PUT", "/{kind}/x")],
    "search-type": [("GET", "/{kind}"), ("POST", "/{kind}/_search")], "history-type": [("GET", "/{kind}/_history")],
    "transaction": [("POST", "")],
}  # fmt: skip


async def test_it_names_every_route_and_no_other(directory: Directory) -> None:
    answer = await directory.get("/metadata")
    (rest,) = answer.json()["rest"]
    said = {call for each in rest["interaction"] for call in CALLS[each["code"]]}
    for resource in rest["resource"]:
        calls = [call for each in resource["interaction"] for call in CALLS[each["code"]]]
        said |= {(method, path.format(kind=resource["type"])) for method, path in calls}
    there = {
        (method.upper(), path.removeprefix("/fhir").replace("{resource_id}", "x").replace("{version}", "1"))
        for path, methods in directory.app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/fhir")
    }
    assert said == there - {("GET", "/metadata")}
    assert len(said) == 13
    assert await directory.logged() == []


async def test_every_parameter_and_include_that_it_names_is_taken(directory: Directory) -> None:
    (rest,) = (await directory.get("/metadata")).json()["rest"]
    for resource in rest["resource"]:
        queries = [f"{each['name']}={SAMPLE[each['type']]}" for each in resource["searchParam"]]
        queries += [f"_include={each}" for each in resource["searchInclude"]]
        queries += [f"_revinclude={each}" for each in resource["searchRevInclude"]]
        for query in queries:
            answer = await directory.get(f"/{resource['type']}?{query}")
            assert answer.status_code == 200, (query, answer.text)


async def test_a_parameter_of_the_one_type_is_not_one_of_the_other(directory: Directory) -> None:
    (rest,) = (await directory.get("/metadata")).json()["rest"]
    named = {resource["type"]: {each["name"]: each["type"] for each in resource["searchParam"]} for resource in rest["resource"]}
    for kind, other in (pair for pair in (*pairwise(named), *pairwise(reversed(named)))):
        for name in named[other].keys() - named[kind].keys():
            assert (await directory.get(f"/{kind}?{name}={SAMPLE[named[other][name]]}")).status_code == 400


async def test_the_updates_that_it_promises(directory: Directory) -> None:
    (rest,) = (await directory.get("/metadata")).json()["rest"]
    (promise,) = (each for each in rest["resource"] if each["type"] == "Endpoint")
    assert (promise["versioning"], promise["updateCreate"], promise["readHistory"]) == ("versioned-update", True, True)
    created = await directory.put(VENDOR, directory.endpoint("x", VENDOR), scopes=(ENDPOINT,))
    assert (created.status_code, (await directory.get("/Endpoint/x/_history/1", HOSPITAL)).status_code) == (201, 200)
    assert (await directory.put(VENDOR, directory.endpoint("x", VENDOR))).status_code == 400


async def test_the_openapi_document_names_the_same_paths(directory: Directory) -> None:
    document = (await directory.call("GET", "/openapi.json", party=HOSPITAL)).json()
    assert "/fhir/Endpoint/{resource_id}" in document["paths"]
