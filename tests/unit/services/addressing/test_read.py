"""Reading one resource, now or as it was."""

import pytest

from tests.unit.services.addressing.directory import HOSPITAL, VENDOR, Directory, entities, refused

pytestmark = pytest.mark.anyio


async def test_read_gives_the_newest_version_with_its_etag(filled: Directory) -> None:
    await filled.put(VENDOR, filled.endpoint("linde-fhir", VENDOR, status="off"), 'W/"1"')
    await filled.logged()
    answer = await filled.get("/Endpoint/linde-fhir")
    assert (answer.status_code, answer.headers["ETag"], answer.json()["status"]) == (200, 'W/"2"', "off")
    (event,) = await filled.logged()
    assert (event["subtype"][0]["code"], entities(event)) == ("read", ["Endpoint/linde-fhir"])
    before = await filled.get("/Endpoint/linde-fhir/_history/1")
    assert (before.headers["ETag"], before.json()["status"]) == ('W/"1"', "active")


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/Endpoint/nowhere", 404, "not_found"),
        (f"/Endpoint/{HOSPITAL}", 404, "not_found"),
        ("/Endpoint/linde-fhir/_history/2", 404, "not_found"),
        ("/Endpoint/linde-fhir/_history/latest", 404, "not_found"),
        ("/Organization/999910000", 400, "identifier_in_url"),
        ("/Organization/x/_history/999910000", 400, "identifier_in_url"),
    ],
)
async def test_what_is_not_there_is_refused(filled: Directory, path: str, status: int, reason: str) -> None:
    outcome = await refused(filled, await filled.get(path), status, reason, "read")
    assert "999910000" not in str(outcome)


async def test_another_type_has_no_route(directory: Directory) -> None:
    answer = await directory.get("/Patient/1")
    assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome")
    assert (await directory.call("DELETE", "/fhir/Endpoint/1", party=VENDOR)).status_code == 405
