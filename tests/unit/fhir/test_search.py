"""Parsing a search, and what a resource can be found by."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proeftuin.fhir.search import (
    MAXIMUM_COUNT,
    MAXIMUM_VALUES,
    SEARCH_PARAMETERS,
    Entry,
    Value,
    carries_bsn,
    date_range,
    index,
    parse,
    read_cursor,
    references,
    write_cursor,
)
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.reasons import Refused
from tests.unit.fhir.examples import CONDITION, LOCALIZATION, ORGANIZATION, PATIENT, URA

SCT = "http://snomed.info/sct"


def refusal(resource_type: str, *pairs: tuple[str, str], in_url: bool = False) -> Refused:
    with pytest.raises(Refused) as caught:
        parse(resource_type, list(pairs), in_url=in_url)
    return caught.value


def test_comma_is_or_and_repetition_is_and() -> None:
    search = parse("Condition", [("code", f"{SCT}|1,2"), ("code", "3")])
    assert [criterion.values for criterion in search.criteria] == [(Value("1", SCT), Value("2")), (Value("3"),)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", Value("a")), ("s|a", Value("a", "s")), ("|a", Value("a", "")), ("s|", Value(None, "s")), (r"a\,b\|c", Value("a,b|c"))],
)
def test_the_forms_of_a_token(text: str, expected: Value) -> None:
    assert parse("Patient", [("identifier", text)]).criteria[0].values == (expected,)


def test_a_reference_by_id_names_its_type() -> None:
    assert parse("Condition", [("patient", "p1")]).criteria[0].values == (Value("Patient/p1"),)
    assert parse("Condition", [("subject", "p1")]).criteria[0].values == (Value("Patient/p1"), Value("Group/p1"))
    assert parse("Condition", [("patient", "Patient/p1")]).criteria[0].values == (Value("Patient/p1"),)


def test_a_reference_by_identifier_is_a_token() -> None:
    (criterion,) = parse("List", [("subject:identifier", "sys|token")]).criteria
    assert (criterion.parameter, criterion.kind, criterion.values) == ("subject:identifier", "token", (Value("token", "sys"),))


@pytest.mark.parametrize("resource_type", [*SEARCH_PARAMETERS, "Basic"])
def test_every_type_has_the_common_parameters(resource_type: str) -> None:
    assert len(parse(resource_type, [("_id", "x"), ("_lastUpdated", "ge2026-01-01"), ("_format", "json")]).criteria) == 2


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [("Organization", "address"), ("Organization", "name:missing"), ("Organization", "active:not"), ("Organization", "name:"),
     ("Patient", "_sort"), ("Condition", "patient.identifier")],
)  # fmt: skip
def test_an_unknown_parameter_is_refused(resource_type: str, name: str) -> None:
    assert refusal(resource_type, (name, "x")).reason.code == "parameter_unknown"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identifier", ""), ("identifier", "a,"), ("identifier", "|"), ("identifier", "a|b|c"), ("_count", "-1"), ("_count", "x"),
        ("_cursor", "é"), ("_cursor", "%%%"), ("_cursor", write_cursor("spaties in de plaats")), ("_format", "xml"),
        ("_lastUpdated", "gisteren"), ("_lastUpdated", "ap2026"), ("_lastUpdated", "2026-02-30"), ("_lastUpdated", "2026-13"),
        ("_include", "Organization:name"), ("_include", "Endpoint:organization"), ("_include", "*"), ("_include", ""),
        ("_include", "Organization:endpoint:Patient"), ("_revinclude", "Organization:endpoint"), ("_revinclude", "Basic:subject"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_refused(name: str, value: str) -> None:
    assert refusal("Organization", (name, value)).reason.code == "parameter_invalid"


@pytest.mark.parametrize("name", ["_count", "_cursor"])
def test_paging_is_said_once(name: str) -> None:
    assert refusal("Organization", (name, "1"), (name, "1")).reason.code == "parameter_invalid"


def test_count_is_bounded() -> None:
    assert parse("Organization", [("_count", "100000")]).count == MAXIMUM_COUNT


def test_includes() -> None:
    pairs = [
        ("_include", "Organization:endpoint"),
        ("_include", "Organization:endpoint:Endpoint"),
        ("_revinclude", "Endpoint:organization"),
    ]
    search = parse("Organization", pairs)
    assert search.includes == (("Organization", "endpoint"),)
    assert search.revincludes == (("Endpoint", "organization"),)


@pytest.mark.parametrize(
    ("name", "value"),
    [("identifier", f"{BSN_SYSTEM}|999910000"), ("identifier", "999910000"), ("identifier", "|999910000"),
     ("identifier", f"{BSN_SYSTEM}|x"),
     ("identifier", f"{URA}|90000103,999910000"), ("family", "Jan 999910000"), ("patient", "Patient/999910000"),
     ("patient:identifier", f"{BSN_SYSTEM}|999910000"), ("999910000", "x"), ("onbekend", "999910000")],
)  # fmt: skip
def test_a_bsn_in_a_url_is_refused_before_anything_else(name: str, value: str) -> None:
    refused = refusal("Patient", (name, value), in_url=True)
    assert refused.reason.code == "identifier_in_url"
    assert "999910000" not in refused.detail


@pytest.mark.parametrize("value", [f"{UZI_SYSTEM}|999910000", "999910001", "9999100001", "a8f5f167-999910000-1", "2026-11-23"])
def test_other_numbers_may_stand_in_a_url(value: str) -> None:
    assert not carries_bsn(value)


def test_a_bsn_may_stand_in_a_form() -> None:
    assert parse("Patient", [("identifier", f"{BSN_SYSTEM}|999910000")]).criteria[0].values == (Value("999910000", BSN_SYSTEM),)


@given(st.text(), st.text())
def test_any_text_is_parsed_or_refused(name: str, value: str) -> None:
    for pair in [(name, value), ("identifier", value), ("_lastUpdated", value), ("_include", value), ("name:contains", value)]:
        code = None
        try:
            parse("Organization", [pair], in_url=True)
        except Refused as refused:
            code = refused.reason.code
        assert code in (None, "parameter_unknown", "parameter_invalid", "identifier_in_url")


@given(st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True))
def test_a_cursor_goes_there_and_back(place: str) -> None:
    assert read_cursor(write_cursor(place)) == place


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
        ("2026-12", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
        ("2026-11-23T10:00", "2026-11-23T10:00:00.000Z", "2026-11-23T10:01:00.000Z"),
        ("2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:01.000Z"),
        ("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00.500Z", "2026-11-23T10:00:00.501Z"),
        ("2026-12-31T23:59:60Z", "2026-12-31T23:59:59.000Z", "2027-01-01T00:00:00.000Z"),
    ],
)
def test_a_date_is_a_period(text: str, low: str, high: str) -> None:
    assert date_range(text) == (low, high)


@pytest.mark.parametrize(
    "text", ["", "26", "2026-00", "2026-02-30", "2026-1-1", "2026-11-23T24:00Z", "0000", "9999", "٢٠٢٦", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="not a date"):
        date_range(text)


def test_the_index_of_a_resource() -> None:
    assert set(index(ORGANIZATION)) == {
        Entry("_id", "verpleeghuis"),
        Entry("active", "true"),
        Entry("identifier", "90000103", URA),
        Entry("name", "verpleeghuis avondrood"),
        Entry("name:exact", "Verpleeghuis Avondrood"),
        Entry("type", "87301", "https://www.cbs.nl/standaard-bedrijfsindeling"),
        Entry("endpoint", "Endpoint/e1"),
    }
    assert Entry("birthdate", "1938-04-12T00:00:00.000Z", "", "1938-04-13T00:00:00.000Z") in index(PATIENT)
    assert Entry("patient", "Patient/p1") in index(CONDITION)
    assert any(entry.parameter == "subject:identifier" and entry.value == "token" for entry in index(LOCALIZATION))
    assert references(ORGANIZATION, "endpoint") == ["Endpoint/e1"]


def test_what_no_database_takes_is_indexed_all_the_same() -> None:
    name = "\ud800" + "\x00é" * 5000
    entries = index({"resourceType": "Organization", "name": name, "identifier": [{"system": 1, "value": name}]})
    assert {entry.parameter for entry in entries} == {"name", "name:exact", "identifier"}
    assert all(len(entry.value) < 300 and not re.search("[\x00\ud800-\udfff]", entry.value) for entry in entries)


def test_a_search_asks_for_a_bounded_number_of_values() -> None:
    many = ",".join(["a"] * (MAXIMUM_VALUES // 2))
    assert len(parse("Condition", [("code", many), ("category", many)]).criteria) == 2
    assert refusal("Condition", ("code", many), ("category", many + ",a")).reason.code == "parameter_invalid"
