"""A transaction Bundle: all or nothing."""

from typing import Any

import pytest

from proeftuin.identifiers import URA_SYSTEM
from proeftuin.sandbox import directory as feed
from proeftuin.sandbox import topology
from tests.unit.services.addressing.directory import (
    ENDPOINT,
    HOSPITAL,
    ORGANIZATION,
    OTHER_VENDOR,
    REGISTER,
    VENDOR,
    Directory,
    endpoint,
    entities,
    entry,
    refused,
)

pytestmark = pytest.mark.anyio


async def total(directory: Directory) -> int:
    counts = [(await directory.get(f"/{kind}/_history")).json()["total"] for kind in ("Organization", "Endpoint")]
    await directory.logged()
    return sum(counts)


async def test_entries_are_written_together_and_answered_in_their_order(directory: Directory) -> None:
    manager = {"reference": f"Organization/{VENDOR}"}  # an organisation that comes later in the same transaction
    answer = await directory.transact(VENDOR, entry(endpoint("e", manager)), entry(directory.organization(VENDOR)))
    bundle = answer.json()
    assert (answer.status_code, bundle["type"]) == (200, "transaction-response")
    assert [each["response"]["location"] for each in bundle["entry"]] == [
        "Endpoint/e/_history/1", f"Organization/{VENDOR}/_history/1",
    ]  # fmt: skip
    assert {(each["response"]["status"], each["response"]["etag"]) for each in bundle["entry"]} == {("201 Created", 'W/"1"')}
    whole, *parts = await directory.logged()
    assert (whole["subtype"][0]["code"], whole["outcome"]) == ("transaction", "0")
    assert entities(whole) == ["Endpoint/e", f"Organization/{VENDOR}"]
    assert [(part["subtype"][0]["code"], entities(part)) for part in parts] == [
        ("update", ["Endpoint/e"]), ("update", [f"Organization/{VENDOR}"]),
    ]  # fmt: skip


async def test_a_cutover_is_one_transaction(filled: Directory) -> None:
    answer = await filled.transact(
        VENDOR,
        entry(filled.endpoint("linde-fhir", VENDOR, status="off"), ifMatch='W/"1"'),
        entry(filled.endpoint("linde-nieuw", VENDOR)),
    )
    assert [each["response"]["status"] for each in answer.json()["entry"]] == ["200 OK", "201 Created"]


async def test_one_stale_entry_undoes_all(filled: Directory) -> None:
    before = await total(filled)
    new, stale = entry(filled.endpoint("a-new", VENDOR)), filled.endpoint("linde-fhir", VENDOR, status="off")
    answer = await filled.transact(VENDOR, new, entry(stale, ifMatch='W/"7"'))
    await refused(filled, answer, 412, "version_stale", "transaction")
    await refused(filled, await filled.transact(VENDOR, new, entry(stale)), 400, "invalid_request", "transaction")
    foreign = entry(filled.endpoint("of-another", OTHER_VENDOR))
    await refused(filled, await filled.transact(VENDOR, new, foreign), 403, "party_mismatch", "transaction")
    assert await total(filled) == before


async def test_each_entry_needs_the_scope_of_its_type(filled: Directory) -> None:
    before = await total(filled)
    entries = [entry(filled.endpoint("e", REGISTER)), entry(filled.organization(HOSPITAL, active=False))]
    for scope in (ENDPOINT, ORGANIZATION):
        answer = await filled.transact(REGISTER, *entries, scopes=(scope,))
        await refused(filled, answer, 403, "insufficient_scope", "transaction")
    assert await total(filled) == before


async def test_every_fault_of_every_entry_is_named_in_its_place(directory: Directory) -> None:
    first, second = directory.endpoint("a", VENDOR, status="broken"), directory.organization(VENDOR)
    del second["name"], first["managingOrganization"]
    answer = await directory.transact(REGISTER, entry(first), entry(second))
    outcome = await refused(directory, answer, 422, "profile", "transaction")
    places = [issue["expression"][0] for issue in outcome["issue"]]
    assert "Bundle.entry[0].resource.status" in places
    only_profile = await directory.transact(REGISTER, entry(first | {"status": "active"}), entry(second))
    outcome = await refused(directory, only_profile, 422, "profile", "transaction")
    assert {issue["expression"][0] for issue in outcome["issue"]} == {
        "Bundle.entry[0].resource.managingOrganization", "Bundle.entry[1].resource.name",
    }  # fmt: skip
    assert all(issue["diagnostics"].startswith(issue["expression"][0]) for issue in outcome["issue"])


@pytest.mark.parametrize(
    ("request_change", "place"),
    [
        ({"method": "DELETE"}, "Bundle.entry[0].request.method"),
        ({"method": "POST", "url": "Endpoint"}, "Bundle.entry[0].request.method"),
        ({"url": "Endpoint?identifier=1"}, "Bundle.entry[0].request.url"),
        ({"url": "Patient/e"}, "Bundle.entry[0].request.url"),
        ({"url": "Endpoint/other"}, "Bundle.entry[0].resource"),
        ({"url": "Organization/e"}, "Bundle.entry[0].resource"),
        ({"ifNoneExist": "identifier=1"}, "Bundle.entry[0].request.ifNoneExist"),
        ({"ifNoneMatch": "*"}, "Bundle.entry[0].request.ifNoneMatch"),
    ],
)
async def test_an_entry_is_a_put_of_its_own_resource(directory: Directory, request_change: dict[str, Any], place: str) -> None:
    answer = await directory.transact(VENDOR, entry(directory.endpoint("e", VENDOR), **request_change))
    outcome = await refused(directory, answer, 422, "profile", "transaction")
    assert place in {issue["expression"][0] for issue in outcome["issue"]}


async def test_a_resource_stands_in_it_once(directory: Directory) -> None:
    twice = entry(directory.endpoint("e", VENDOR))
    outcome = await refused(directory, await directory.transact(VENDOR, twice, twice), 422, "profile", "transaction")
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1].request.url"]


async def test_an_entry_without_a_resource_is_refused(directory: Directory) -> None:
    answer = await directory.transact(VENDOR, {"request": {"method": "PUT", "url": "Endpoint/e"}})
    await refused(directory, answer, 422, "profile", "transaction")


@pytest.mark.parametrize("bundle", [{"type": "batch"}, {"resourceType": "Endpoint"}, {"type": "transaction", "colour": "red"}])
async def test_only_a_transaction_is_taken(directory: Directory, bundle: dict[str, Any]) -> None:
    await refused(directory, await directory.transact(VENDOR, **bundle), 422, "profile", "transaction")


async def test_a_bsn_is_no_id(directory: Directory) -> None:
    answer = await directory.transact(VENDOR, entry(directory.endpoint("999910000", VENDOR)))
    outcome = await refused(directory, answer, 400, "identifier_in_url", "transaction")
    assert "999910000" not in str(outcome)


async def test_an_empty_transaction_does_nothing(directory: Directory) -> None:
    answer = await directory.transact(VENDOR)
    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


async def test_references_to_an_entry_become_references_to_its_resource(directory: Directory) -> None:
    place = "urn:uuid:6a1a4a0e-2a0e-4b1e-9a52-0d6f0f1f0a11"
    linked = directory.organization(HOSPITAL, endpoint=[{"reference": place}])
    answer = await directory.transact(REGISTER, entry(linked), entry(directory.endpoint("e", VENDOR)) | {"fullUrl": place})
    assert answer.status_code == 200
    assert (await directory.get(f"/Organization/{HOSPITAL}")).json()["endpoint"] == [{"reference": "Endpoint/e"}]


async def test_the_feed_of_the_whole_network_is_taken_and_taken_again(directory: Directory) -> None:
    network = topology.of(directory.seed)
    entries = feed.transaction(network)["entry"]
    for _ in range(2):
        assert (await directory.transact(REGISTER, *entries)).status_code == 200
    assert await total(directory) == len(entries)
    provider = (await directory.get(f"/Organization?identifier={URA_SYSTEM}|90000103&_include=Organization:endpoint")).json()
    assert {each["resource"]["address"] for each in provider["entry"][1:]} == {
        f"{network.datastation('verpleeghuis-avondrood')}/fhir", network.issuer("verpleeghuis-avondrood"),
    }  # fmt: skip
