"""Bundles in answer to a search or a history."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fhir.resources.R4B.bundle import Bundle

from proeftuin.fhir import bundle
from proeftuin.fhir.repository import HistoryPage, Page, Version
from proeftuin.fhir.validation import validate
from tests.unit.fhir.examples import ENDPOINT, ORGANIZATION

BASE = "https://localhost:8440/fhir"


def links(found: dict[str, Any]) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in found["link"]}


def test_searchset() -> None:
    page = Page([ORGANIZATION], [ENDPOINT], 7, "bmV4dA")
    url = f"{BASE}/Organization?name=a%20b&_cursor=b2xk&active="
    found = bundle.searchset(page, url, BASE + "/", "2026-11-23T10:00:00.000Z")
    assert validate(found) == []
    Bundle.model_validate(found)
    assert found["total"] == 7
    assert found["meta"] == {"lastUpdated": "2026-11-23T10:00:00.000Z"}
    assert [(entry["fullUrl"], entry["search"]["mode"]) for entry in found["entry"]] == [
        (f"{BASE}/Organization/verpleeghuis", "match"),
        (f"{BASE}/Endpoint/e1", "include"),
    ]
    assert links(found)["self"] == url
    query = parse_qsl(urlsplit(links(found)["next"]).query, keep_blank_values=True)
    assert query == [("name", "a b"), ("active", ""), ("_cursor", "bmV4dA")]


def test_the_last_page_has_no_next_and_an_empty_one_no_entries() -> None:
    found = bundle.searchset(Page([], [], 0, None), f"{BASE}/Organization", BASE)
    assert set(links(found)) == {"self"}
    assert "entry" not in found
    assert validate(found) == []


def test_a_search_by_post_goes_on_by_post() -> None:
    found = bundle.searchset(Page([], [], 9, "bmV4dA"), f"{BASE}/Patient/_search", BASE)
    assert links(found)["next"] == f"{BASE}/Patient/_search?_cursor=bmV4dA"


def test_a_bsn_in_a_link_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="BSN"):
        bundle.searchset(Page([], [], 0, None), f"{BASE}/Patient?identifier=999910000", BASE)


def test_history() -> None:
    moment = "2026-11-23T10:00:00.000Z"
    stored = [ORGANIZATION | {"meta": {"versionId": version, "lastUpdated": moment}} for version in ("2", "1")]
    versions = [
        Version("Organization", "verpleeghuis", 3, moment, None),
        Version("Organization", "verpleeghuis", 2, moment, stored[0]),
        Version("Organization", "verpleeghuis", 1, moment, stored[1]),
    ]
    found = bundle.history(HistoryPage(versions, 3, None), f"{BASE}/Organization/_history", BASE)
    assert validate(found) == []
    Bundle.model_validate(found)
    assert [(entry["request"], entry["response"]["etag"]) for entry in found["entry"]] == [
        ({"method": "DELETE", "url": "Organization/verpleeghuis"}, 'W/"3"'),
        ({"method": "PUT", "url": "Organization/verpleeghuis"}, 'W/"2"'),
        ({"method": "POST", "url": "Organization"}, 'W/"1"'),
    ]
