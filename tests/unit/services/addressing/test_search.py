"""Search on both types, by GET and by POST, in pages, and what it refuses."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from proeftuin.clock import instant
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from tests.harness import BASE
from tests.unit.services.addressing.directory import FHIR, HOSPITAL, REGISTER, VENDOR, Directory, Resource, entry, refused

pytestmark = pytest.mark.anyio
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def found(bundle: Resource) -> list[tuple[str, str]]:
    return [(each["search"]["mode"], each["fullUrl"].removeprefix(f"{FHIR}/")) for each in bundle.get("entry", [])]


async def test_an_organisation_is_found_by_ura_with_its_endpoints(filled: Directory) -> None:
    path = f"/Organization?identifier={URA_SYSTEM}|90000101&_include=Organization:endpoint"
    answer = await filled.get(path)
    bundle = answer.json()
    assert answer.headers["Content-Type"] == "application/fhir+json"
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert found(bundle) == [("match", f"Organization/{HOSPITAL}"), ("include", "Endpoint/linde-fhir")]
    assert bundle["link"] == [{"relation": "self", "url": str(answer.request.url)}]
    (event,) = await filled.logged()
    assert event["outcome"] == "0"
    assert event["subtype"][0]["code"] == "search-type"
    assert event["agent"][0]["who"]["identifier"]["value"] == "ura:90000101"
    assert [each for each in event["entity"] if "query" in each]


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/Endpoint?status=active", {"Endpoint/linde-fhir"}),
        ("/Endpoint?connection-type=hl7-fhir-rest&status=off", {"Endpoint/linde-oud"}),
        ("/Organization?name=ziekenhuis", {f"Organization/{HOSPITAL}"}),
        ("/Organization?name:contains=LINDE", {f"Organization/{HOSPITAL}"}),
        ("/Organization?endpoint=linde-fhir", {f"Organization/{HOSPITAL}"}),
        ("/Organization?active=false", set()),
        ("/Endpoint?_id=linde-fhir,linde-oud", {"Endpoint/linde-fhir", "Endpoint/linde-oud"}),
        ("/Endpoint?_id=linde-fhir&_revinclude=Organization:endpoint", {"Endpoint/linde-fhir", f"Organization/{HOSPITAL}"}),
    ],
)
async def test_parameters_choose(filled: Directory, path: str, ids: set[str]) -> None:
    answer = await filled.get(path)
    assert {place for _, place in found(answer.json())} == ids


async def test_the_initial_load_goes_by_pages_and_its_first_page_tells_from_when(filled: Directory) -> None:
    resources = [filled.endpoint(f"e{number:02}", VENDOR) for number in range(7)]
    await filled.feed(*resources)
    before = instant(filled.clock.now())
    seen: list[str] = []
    moments, path = [], "/Endpoint?_count=4"
    while path:
        bundle = (await filled.get(path)).json()
        assert bundle["total"] == 9
        moments.append(bundle.get("meta", {}).get("lastUpdated"))
        seen += [place for _, place in found(bundle)]
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "").removeprefix(FHIR)
    assert sorted(seen) == sorted({f"Endpoint/{each['id']}" for each in resources} | {"Endpoint/linde-fhir", "Endpoint/linde-oud"})
    assert moments[1:] == [None, None]
    assert moments[0] <= before
    filled.clock.forward(seconds=1)
    await filled.feed(filled.endpoint("later", VENDOR))
    delta = (await filled.get(f"/Endpoint/_history?_since={moments[0]}")).json()
    assert delta["entry"][0]["fullUrl"] == f"{FHIR}/Endpoint/later"


async def test_the_moment_of_synchronisation_precedes_a_write_that_is_still_being_committed(filled: Directory) -> None:
    moment = (await filled.get("/Organization")).json()["meta"]["lastUpdated"]
    assert moment <= instant(filled.clock.now() - timedelta(seconds=1))


async def test_search_by_form_pages_with_the_same_form(filled: Directory) -> None:
    form = urlencode({"status": "active,off", "_count": "1"}).encode()
    first = await filled.call("POST", "/fhir/Endpoint/_search", party=HOSPITAL, content=form, headers=FORM)
    bundle = first.json()
    assert found(bundle) == [("match", "Endpoint/linde-fhir")]
    following = bundle["link"][1]["url"]
    assert following.startswith(f"{FHIR}/Endpoint/_search?_cursor=")
    second = await filled.call("POST", following.removeprefix(BASE), party=HOSPITAL, content=form, headers=FORM)
    assert found(second.json()) == [("match", "Endpoint/linde-oud")]
    assert [link["relation"] for link in second.json()["link"]] == ["self"]
    assert len([event for event in await filled.logged() if event["subtype"][0]["code"] == "search-type"]) == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/Organization?colour=red", "parameter_unknown"),
        ("/Organization?identifier:above=1", "parameter_unknown"),
        ("/Endpoint?_count=many", "parameter_invalid"),
        ("/Endpoint?_cursor=!", "parameter_invalid"),
        ("/Endpoint?_include=Organization:endpoint", "parameter_invalid"),
        ("/Endpoint?status=%FF", "parameter_invalid"),
        ("/Endpoint?" + "&".join(["status=active"] * 101), "parameter_invalid"),
        ("/Organization?_lastUpdated=yesterday", "parameter_invalid"),
        ("/Organization?_format=xml", "parameter_invalid"),
        ("/Organization?identifier=999910000", "identifier_in_url"),
        (f"/Organization?identifier={BSN_SYSTEM}|999910000", "identifier_in_url"),
    ],
)
async def test_a_search_that_cannot_be_is_refused(directory: Directory, path: str, reason: str) -> None:
    answer = await directory.get(path)
    outcome = await refused(directory, answer, 400, reason, "search-type")
    assert "999910000" not in str(outcome)


@pytest.mark.parametrize(
    ("path", "form", "status", "reason"),
    [
        ("", b"colour=red", 400, "parameter_unknown"),
        ("", b"\xff=1", 400, "malformed"),
        ("?identifier=999910000", b"", 400, "identifier_in_url"),
        ("", b"name=" + b"a" * 70000, 413, "too_large"),
    ],
)
async def test_a_form_that_cannot_be_is_refused(directory: Directory, path: str, form: bytes, status: int, reason: str) -> None:
    url = f"/fhir/Organization/_search{path}"
    answer = await directory.call("POST", url, party=HOSPITAL, content=form, headers=FORM)
    await refused(directory, answer, status, reason, "search-type")


async def test_a_form_of_another_media_type_is_refused(directory: Directory) -> None:
    answer = await directory.call("POST", "/fhir/Endpoint/_search", party=HOSPITAL, json={})
    await refused(directory, answer, 415, "content_type", "search-type")


async def test_an_absolute_reference_to_this_directory_is_followed(filled: Directory) -> None:
    changed = filled.organization(HOSPITAL, endpoint=[{"reference": f"{FHIR}/Endpoint/linde-oud"}])
    assert (await filled.transact(REGISTER, entry(changed))).status_code == 200
    bundle = (await filled.get(f"/Organization?_id={HOSPITAL}&_include=Organization:endpoint")).json()
    assert found(bundle)[1] == ("include", "Endpoint/linde-oud")


@pytest.mark.parametrize("query", ["", "?_count=1", "?"])
async def test_a_search_without_parameters_leaves_an_event_that_the_log_takes(filled: Directory, query: str) -> None:
    assert (await filled.get(f"/Organization{query}")).status_code == 200
    assert len(await filled.logged()) == 1
