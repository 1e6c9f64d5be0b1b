"""Whatever a party sends: it never comes to bear an identifier that is not its own."""

from hypothesis import given
from hypothesis import strategies as st

from proeftuin.identifiers import AGB_SYSTEM, KVK_SYSTEM, URA_SYSTEM
from proeftuin.reasons import PARTY_MISMATCH, Refused
from services.addressing.ownership import OWN_ID_SYSTEM, Resource, Writer, check

OWN = (KVK_SYSTEM, "90990401")
VENDOR = Writer(frozenset({OWN}))
SYSTEMS = [URA_SYSTEM, KVK_SYSTEM, AGB_SYSTEM, OWN_ID_SYSTEM, "https://proeftuin.example/NamingSystem/service"]
identifiers = st.builds(
    lambda pairs: [{"system": system, "value": value} for system, value in pairs],
    st.lists(st.one_of(st.just(OWN), st.tuples(st.sampled_from(SYSTEMS), st.sampled_from(["90990401", "90000101"]))), max_size=4),
)
references = st.fixed_dictionaries(
    {}, optional={
        "identifier": st.sampled_from([{"system": KVK_SYSTEM, "value": value} for value in ("90990401", "90990402")]),
        "reference": st.sampled_from(["Organization/mine", "Organization/theirs", "Organization/none"]),
    },
)  # fmt: skip
organizations = st.builds(lambda found: {"resourceType": "Organization", "name": "N", "identifier": found}, identifiers)
endpoints = st.builds(
    lambda found, manager: {"resourceType": "Endpoint", "identifier": found, "managingOrganization": manager},
    identifiers,
    references,
)
pairs = st.one_of(
    st.tuples(organizations, st.one_of(st.none(), organizations)), st.tuples(endpoints, st.one_of(st.none(), endpoints))
)


def find(reference: str) -> Resource | None:
    known = {"Organization/mine": "90990401", "Organization/theirs": "90990402"}
    return {"identifier": [{"system": KVK_SYSTEM, "value": known[reference]}]} if reference in known else None


def keys(resource: Resource | None) -> set[tuple[str, str]]:
    return {(each["system"], each["value"]) for each in (resource or {}).get("identifier", [])}


def refusal(resource: Resource, stored: Resource | None) -> Refused | None:
    try:
        check(VENDOR, resource, stored, find)
    except Refused as refused:
        return refused
    return None


@given(pairs)
def test_a_refusal_repeats_no_value(pair: tuple[Resource, Resource | None]) -> None:
    refused = refusal(*pair)
    assert refused is None or (refused.reason is PARTY_MISMATCH and "909904" not in refused.detail)


@given(pairs)
def test_no_identifier_is_gained_and_nothing_of_another_is_written(pair: tuple[Resource, Resource | None]) -> None:
    resource, stored = pair
    if refusal(resource, stored) is not None:
        return
    gained = keys(resource) - keys(stored) - {OWN}
    assert {system for system, _ in gained} <= {OWN_ID_SYSTEM}
    for each in (resource, stored) if stored else (resource,):
        if each["resourceType"] == "Organization":
            assert OWN in keys(each)
        else:
            manager = each["managingOrganization"]
            assert manager.get("identifier", {"value": "90990401"})["value"] == "90990401"
            assert manager.get("reference", "Organization/mine") == "Organization/mine"
            assert manager


@given(pairs)
def test_the_register_writes_everything(pair: tuple[Resource, Resource | None]) -> None:
    check(Writer(frozenset(), is_register=True), *pair, find)
