"""PUT of one resource: versions, conformance, and whose it is."""

import pytest

from proeftuin.identifiers import AGB_SYSTEM, KVK_SYSTEM, URA_SYSTEM
from tests.unit.services.addressing.directory import (
    ENDPOINT,
    FHIR,
    HOSPITAL,
    NURSING_HOME,
    ORGANIZATION,
    OTHER_VENDOR,
    REGISTER,
    VENDOR,
    Directory,
    Resource,
    endpoint,
    entities,
    organization,
    refused,
)

pytestmark = pytest.mark.anyio


async def test_a_vendor_creates_and_updates_its_own_endpoint(directory: Directory) -> None:
    created = await directory.put(VENDOR, directory.endpoint("new", VENDOR), scopes=(ENDPOINT,))
    assert (created.status_code, created.headers["ETag"]) == (201, 'W/"1"')
    assert created.headers["Location"] == f"{FHIR}/Endpoint/new/_history/1"
    updated = await directory.put(VENDOR, directory.endpoint("new", VENDOR, status="off"), created.headers["ETag"])
    assert (updated.status_code, updated.headers["ETag"]) == (200, 'W/"2"')
    events = await directory.logged()
    assert [(event["subtype"][0]["code"], event["outcome"], entities(event)) for event in events] == [
        ("update", "0", ["Endpoint/new"])
    ] * 2


async def test_a_stale_or_absent_version_changes_nothing(filled: Directory) -> None:
    changed = filled.endpoint("linde-fhir", VENDOR, status="off")
    assert (await filled.put(VENDOR, changed, 'W/"1"')).status_code == 200
    await filled.logged()
    for stale in ('W/"1"', 'W/"0"', 'W/"3"', "*", "nonsense"):
        await refused(filled, await filled.put(VENDOR, changed, stale), 412, "version_stale", "update")
    await refused(filled, await filled.put(VENDOR, changed), 400, "invalid_request", "update")
    absent = filled.endpoint("absent", VENDOR)
    await refused(filled, await filled.put(VENDOR, absent, 'W/"1"'), 412, "version_stale", "update")
    assert (await filled.get("/Endpoint/_history")).json()["total"] == 3


async def test_every_element_that_does_not_conform_is_named(directory: Directory) -> None:
    wrong = directory.endpoint("e", VENDOR, status="broken", colour="red")
    del wrong["payloadType"]
    outcome = await refused(directory, await directory.put(VENDOR, wrong), 422, "profile", "update")
    places = {issue["expression"][0] for issue in outcome["issue"]}
    assert places == {"Endpoint.status", "Endpoint.colour", "Endpoint.payloadType"}


async def test_an_organisation_needs_the_identifier_that_a_custodian_assigned(directory: Directory) -> None:
    wrong = directory.organization(VENDOR)
    del wrong["identifier"][0]["assigner"]
    outcome = await refused(directory, await directory.put(REGISTER, wrong), 422, "profile", "update")
    assert outcome["issue"][0]["expression"] == ["Organization.identifier"]


@pytest.mark.parametrize("change", [{"id": "other"}, {"resourceType": "Organization"}, {"id": None}])
async def test_the_body_is_of_the_url(directory: Directory, change: Resource) -> None:
    body = {key: value for key, value in (directory.endpoint("e", VENDOR) | change).items() if value is not None}
    token = directory.token(VENDOR, ENDPOINT)
    answer = await directory.call("PUT", "/fhir/Endpoint/e", party=VENDOR, token=token, json=body)
    await refused(directory, answer, 400, "invalid_request", "update")


@pytest.mark.parametrize(
    ("content", "media_type", "status", "reason"),
    [
        (b"{", "application/fhir+json", 400, "malformed"),
        (b'{"id": "e", "id": "f"}', "application/fhir+json", 400, "malformed"),
        (b"{}", "application/xml", 415, "content_type"),
        (b" " * (1 << 20) + b"{}", "application/json", 413, "too_large"),
    ],
)
async def test_a_body_that_cannot_be_read(directory: Directory, content: bytes, media_type: str, status: int, reason: str) -> None:
    token, headers = directory.token(VENDOR, ENDPOINT), {"Content-Type": media_type}
    answer = await directory.call("PUT", "/fhir/Endpoint/e", party=VENDOR, token=token, content=content, headers=headers)
    await refused(directory, answer, status, reason, "update")


async def test_a_bsn_is_no_id(directory: Directory) -> None:
    outcome = await refused(
        directory, await directory.put(VENDOR, directory.endpoint("999910000", VENDOR)), 400, "identifier_in_url", "update"
    )
    assert "999910000" not in str(outcome)


async def test_an_organisation_links_its_endpoints(filled: Directory) -> None:
    linked = filled.organization(HOSPITAL, endpoint=[{"reference": "Endpoint/linde-oud"}])
    assert (await filled.put(HOSPITAL, linked, 'W/"1"', scopes=(ORGANIZATION,))).status_code == 200


async def not_theirs(directory: Directory, party: str, resource: Resource, if_match: str | None = None) -> None:
    place = f"/{resource['resourceType']}/{resource['id']}"
    before = (await directory.get(place)).content
    await directory.logged()
    await refused(directory, await directory.put(party, resource, if_match), 403, "party_mismatch", "update")
    after = await directory.get(place)
    assert after.content == before or after.status_code == 404
    await directory.logged()


async def test_nobody_writes_what_is_of_another(filled: Directory) -> None:
    await not_theirs(filled, OTHER_VENDOR, filled.endpoint("linde-fhir", VENDOR), 'W/"1"')
    await not_theirs(filled, OTHER_VENDOR, filled.endpoint("linde-fhir", OTHER_VENDOR), 'W/"1"')  # taking it over
    await not_theirs(filled, OTHER_VENDOR, filled.endpoint("new", VENDOR))
    await not_theirs(filled, VENDOR, filled.endpoint("linde-fhir", OTHER_VENDOR), 'W/"1"')  # giving it away
    await not_theirs(filled, VENDOR, filled.organization(HOSPITAL), 'W/"1"')
    await not_theirs(filled, NURSING_HOME, organization(HOSPITAL, URA_SYSTEM, "90000103"), 'W/"1"')
    await not_theirs(filled, VENDOR, organization("mine", URA_SYSTEM, "90000101"))


async def test_nobody_takes_the_name_of_another(filled: Directory) -> None:
    own = filled.organization(VENDOR, id="mine")
    stolen = own | {"identifier": [*own["identifier"], {"system": URA_SYSTEM, "value": "90000101"}]}
    await not_theirs(filled, VENDOR, stolen)
    await not_theirs(filled, HOSPITAL, filled.organization(HOSPITAL, id="mine", identifier=[
        *filled.organization(HOSPITAL)["identifier"], {"system": AGB_SYSTEM, "value": "06990102"},
    ]))  # fmt: skip
    service = [{"system": "https://proeftuin.example/NamingSystem/service", "value": "localization"}]
    await not_theirs(filled, VENDOR, filled.endpoint("fake", VENDOR, identifier=service))
    await not_theirs(filled, VENDOR, filled.endpoint("linde-fhir", VENDOR, identifier=service), 'W/"1"')
    await not_theirs(filled, VENDOR, filled.endpoint("fake", VENDOR, identifier=[{"value": "localization"}]))
    await not_theirs(filled, HOSPITAL, filled.organization(HOSPITAL, name="Ministerie"), 'W/"1"')
    await not_theirs(filled, VENDOR, filled.organization(VENDOR, partOf={"reference": f"Organization/{HOSPITAL}"}), 'W/"1"')
    await not_theirs(filled, VENDOR, filled.organization(VENDOR, id="mine", partOf={"reference": f"Organization/{HOSPITAL}"}))


async def test_a_manager_by_reference_is_the_writer_too(filled: Directory) -> None:
    by_reference = {"reference": f"Organization/{VENDOR}"}
    assert (await filled.put(VENDOR, endpoint("r1", by_reference))).status_code == 201
    assert (await filled.put(VENDOR, endpoint("r2", {"reference": f"{FHIR}/Organization/{VENDOR}"}))).status_code == 201
    own = {"system": KVK_SYSTEM, "value": "90990401"}
    for manager in (
        {"reference": f"Organization/{OTHER_VENDOR}"},
        {"reference": f"Organization/{OTHER_VENDOR}", "identifier": own},
        {"reference": f"Organization/{VENDOR}", "identifier": own | {"value": "90990402"}},
        {"reference": "Organization/nowhere", "identifier": own},
        {"reference": "https://elsewhere.example/fhir/Organization/zorgsoft"},
        {"reference": "Endpoint/linde-fhir"},
        {"display": "Zorgsoft"},
    ):
        await not_theirs(filled, VENDOR, endpoint("r3", manager))


async def test_a_party_coins_its_own_identifiers(directory: Directory) -> None:
    own = [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0f7a5a0e-2a0e-4b1e-9a52-0d6f0f1f0a11"}]
    assert (await directory.put(VENDOR, directory.endpoint("own", VENDOR, identifier=own))).status_code == 201
    assert (await directory.put(VENDOR, directory.organization(VENDOR))).status_code == 201


async def test_what_the_register_gave_may_stay(directory: Directory) -> None:
    service = [{"system": "https://proeftuin.example/NamingSystem/service", "value": "localization"}]
    await directory.feed(directory.endpoint("national", "verwijsindex", identifier=service))
    moved = directory.endpoint("national", "verwijsindex", identifier=service, address="https://localhost:9999")
    assert (await directory.put("verwijsindex", moved, 'W/"1"')).status_code == 200
