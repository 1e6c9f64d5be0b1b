"""The delta of a replica."""

import pytest

from proeftuin.clock import instant
from tests.unit.services.addressing.directory import FHIR, HOSPITAL, REGISTER, VENDOR, Directory, refused

pytestmark = pytest.mark.anyio


async def test_the_delta_holds_every_version_since_a_moment_newest_first(filled: Directory) -> None:
    filled.clock.forward(seconds=10)
    since = instant(filled.clock.now())
    for number, etag in ((1, 'W/"1"'), (2, 'W/"2"')):
        changed = filled.endpoint("linde-fhir", VENDOR, address=f"https://localhost:900{number}/fhir")
        assert (await filled.put(VENDOR, changed, etag)).status_code == 200
    await filled.logged()
    bundle = (await filled.get(f"/Endpoint/_history?_since={since}")).json()
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    assert [each["response"]["etag"] for each in bundle["entry"]] == ['W/"3"', 'W/"2"']
    assert {each["request"]["method"] for each in bundle["entry"]} == {"PUT"}
    assert bundle["meta"]["lastUpdated"] < since
    (event,) = await filled.logged()
    assert event["subtype"][0]["code"] == "history-type"
    assert "meta" not in event


async def test_the_history_goes_by_pages(filled: Directory) -> None:
    first = (await filled.get("/Organization/_history?_count=2")).json()
    following = first["link"][1]["url"]
    second = (await filled.get(following.removeprefix(FHIR))).json()
    urls = [each["fullUrl"] for each in first["entry"] + second["entry"]]
    assert sorted(urls) == sorted(f"{FHIR}/Organization/{party}" for party in (HOSPITAL, VENDOR, "carewave"))
    assert "meta" not in second


async def test_what_the_register_feeds_again_unchanged_is_no_news(filled: Directory) -> None:
    await filled.feed(filled.organization(VENDOR), filled.endpoint("linde-fhir", VENDOR))
    assert (await filled.get("/Organization/_history")).json()["total"] == 3
    assert (await filled.put(REGISTER, filled.organization(VENDOR, active=False))).headers["ETag"] == 'W/"2"'
    assert (await filled.get("/Organization/_history")).json()["total"] == 4


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("_since=yesterday", "parameter_invalid"),
        ("_since=2026-01-01T00:00:00+01:00", "parameter_invalid"),  # + is a space in a query
        ("_since=2026-01-01&_since=2026-01-02", "parameter_invalid"),
        ("_cursor=ZQ", "parameter_invalid"),
        ("name=x", "parameter_unknown"),
        ("_include=Organization:endpoint", "parameter_unknown"),
        ("name=999910000", "identifier_in_url"),
    ],
)
async def test_a_history_that_cannot_be_is_refused(directory: Directory, query: str, reason: str) -> None:
    answer = await directory.get(f"/Organization/_history?{query}")
    await refused(directory, answer, 400, reason, "history-type")
