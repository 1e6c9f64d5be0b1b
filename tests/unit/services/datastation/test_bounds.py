"""What a scope, a consent and an id do not open: found by who tried to get round them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.datastation.station import CLIENT, OTHER, Resource, Station
from tests.unit.services.datastation.test_intake import first, named
from tests.unit.services.datastation.test_questions import ask, at

pytestmark = pytest.mark.anyio
THIRD = "999923146"


def bundle(*resources: Resource) -> Resource:
    entries = [{"fullUrl": f"https://x.example/{each['resourceType']}/{each['id']}", "resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@pytest.mark.parametrize(
    "path",
    ["/Patient?_revinclude=Condition:patient", "/Patient?_revinclude=CarePlan:subject", "/Condition?_include=Condition:patient",
     "/Patient?_revinclude:iterate=Condition:patient", "/Condition?_include:iterate=Condition:patient"],
)  # fmt: skip
async def test_an_include_brings_no_other_type_along(station: Station, path: str) -> None:
    by_form = path.partition("?")[2].partition("=")
    answers = [await station.ask(path), await station.ask(f"{path.partition('?')[0]}/_search", form={by_form[0]: by_form[2]})]
    for answer in answers:
        assert (answer.status_code, answer.headers["X-Reason"]) == (400, "parameter_unknown"), answer.text


async def test_another_client_does_not_take_over_an_id(station: Station) -> None:
    mine, other = (first(station.records(bsn), "Patient") for bsn in (CLIENT, THIRD))
    answer = await station.load(bundle(other | {"id": mine["id"]}))
    assert (answer.status_code, answer.headers["X-Reason"]) == (422, "profile")
    assert (await station.ask("/Condition", patient=THIRD)).headers["X-Reason"] == "subject_mismatch"


async def test_one_id_twice_in_a_bundle_is_refused(station: Station) -> None:
    condition = first(station.records(CLIENT), "Condition")
    sent = bundle(condition, condition | {"code": {"text": "second"}})
    sent["entry"][1]["fullUrl"] = "urn:uuid:1d7a1c0e-2f2f-4f6e-8d1d-3a0a6f0e9a99"
    answer = await station.load(sent)
    assert answer.status_code == 422
    assert "Bundle.entry[1].resource.id" in answer.text


async def test_records_without_the_patient_are_logged_with_the_client(station: Station) -> None:
    assert (await station.load(bundle(first(station.records(CLIENT), "Condition")))).status_code == 200
    assert named(await station.logged()) == [CLIENT]


async def test_a_bsn_as_id_is_refused_and_not_logged(station: Station) -> None:
    assert (await station.ask(f"/Patient/{CLIENT}")).headers["X-Reason"] == "identifier_in_url"
    (event,) = await station.logged()
    assert f"Patient/{CLIENT}" not in str(event)


def _end(value: str) -> Callable[[Resource], None]:
    return lambda plan: plan.update(period={"start": "2024-01-01", "end": value})


def _code(value: str | None) -> Callable[[Resource], None]:
    def change(plan: Resource) -> None:
        for coding in [coding for concept in plan["category"] for coding in concept.get("coding", [])]:
            if coding["system"].endswith("/zorgprofiel"):
                coding.pop("code")
                if value is not None:
                    coding["code"] = value

    return change


@pytest.mark.parametrize("change", [_end("9999"), _end("9999-12"), _code("VV 4>x"), _code(None)])
async def test_one_odd_care_plan_does_not_close_the_sparql_door(station: Station, change: Callable[[Resource], Any]) -> None:
    sent = copy.deepcopy(station.records(CLIENT))
    change(first(sent, "CarePlan"))
    assert (await station.load(sent)).status_code in (200, 422)
    answer = await ask(station, at("2026-09-01"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "reference", ["Patient/\x00", "Patient/\ud800", "Patient/" + "a" * 65, "Patient/", "Patient/x/_history/1", "x"]
)
async def test_a_subject_that_can_be_no_patient(tmp_path: Path, database_url: str, reference: str) -> None:
    station = Station(tmp_path, database_url)
    async with station.running(station.app):
        assert (await station.load(station.records(CLIENT))).status_code == 200
        condition = first(station.records(CLIENT), "Condition") | {"subject": {"reference": reference}}
        answer = await station.load(bundle(condition))
        assert (answer.status_code, answer.headers["X-Reason"]) == (422, "profile")
        assert "Bundle.entry[0].resource.subject.reference" in answer.text


async def test_a_record_that_moves_to_another_client_is_logged_with_both(station: Station) -> None:
    condition = first(station.records(CLIENT), "Condition")
    other = first(station.records(OTHER), "Patient")
    moved = condition | {"subject": {"reference": f"Patient/{other['id']}"}}
    assert (await station.load(bundle(moved))).status_code == 200
    assert sorted(named(await station.logged())) == sorted([CLIENT, OTHER])
