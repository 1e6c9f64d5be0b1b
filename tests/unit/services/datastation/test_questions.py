"""The SPARQL door: a validated question over the party's own records, and nothing else."""

import json
from typing import Any

import httpx
import pytest

from services.datastation import questions
from tests.harness import BASE
from tests.unit.services.datastation.station import CLIENT, HOLDER, OFFICE, OTHER, OTHER_HOLDER, Station

pytestmark = pytest.mark.anyio
ID = "clients-per-zorgprofiel"
ONZ_ZORG = "http://purl.org/ozo/onz-zorg#"


async def ask(
    station: Station, body: Any, *scopes: str, holder: str = HOLDER, media_type: str = "application/json"
) -> httpx.Response:
    token = station.token(OFFICE, *(scopes or ("system/kik-v.s",)), audience=f"{BASE}/{holder}")
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": media_type}
    return await station.call("POST", f"/{holder}/sparql", party=OFFICE, token=token, headers=headers, content=content)


def at(day: str) -> dict[str, Any]:
    return {"question": ID, "parameters": {"peildatum": day}}


def counts(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    rows = answer.json()["results"]["bindings"]
    return {row["zorgprofiel"]["value"].removeprefix(ONZ_ZORG): int(row["clients"]["value"]) for row in rows}


async def profile(station: Station, bsn: str) -> str:
    """The zorgprofiel in the client's own care plan."""
    plan = (await station.ask("/CarePlan", patient=bsn)).json()["entry"][0]["resource"]
    codings = [coding for concept in plan["category"] for coding in concept.get("coding", [])]
    return str(next(coding["code"] for coding in codings if coding["system"].endswith("/zorgprofiel")))


async def test_the_answer_follows_from_the_records_of_that_party_alone(station: Station) -> None:
    await station.load(station.records(OTHER, OTHER_HOLDER), OTHER_HOLDER)  # as many plans as the other, of the same moment
    expected: dict[str, int] = {}
    for bsn in (CLIENT, OTHER):
        found = await profile(station, bsn)
        expected[found] = expected.get(found, 0) + 1
    assert counts(await ask(station, at("2026-09-01"))) == expected
    assert counts(await ask(station, at("1990-01-01"))) == {}
    assert counts(await ask(station, at("2026-09-01"), holder=OTHER_HOLDER)) != expected


@pytest.mark.parametrize(("end", "last", "after"), [("2026-02", "2026-02-28", "2026-03-01"), ("2026", "2026-12-31", "2027-01-01")])
async def test_an_end_date_is_inclusive_also_when_it_is_a_month_or_a_year(
    station: Station, end: str, last: str, after: str
) -> None:
    before = counts(await ask(station, at("2026-09-01")))
    bundle = station.records(CLIENT)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "CarePlan":
            entry["resource"]["period"] = {"start": "2024", "end": end}
    assert (await station.load(bundle)).status_code == 200
    assert counts(await ask(station, at(last))) == before
    assert counts(await ask(station, at("2024-01-01"))) != {}
    assert sum(counts(await ask(station, at(after))).values()) == sum(before.values()) - 1


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"question": "SELECT * WHERE {?s ?p ?o}", "parameters": {}}, 403, "question_unknown"),
        ({"question": "SELECT * WHERE { SERVICE <https://x.example/sparql> {?s ?p ?o} }"}, 403, "question_unknown"),
        ({"question": "DROP ALL"}, 403, "question_unknown"),
        ({"question": "SELECT WHERE {"}, 403, "question_unknown"),
        ({"question": ID + " " * (64 << 10)}, 413, "too_large"),
        (b"SELECT * WHERE {?s ?p ?o}", 400, "malformed"),
        ({"question": ["x"]}, 403, "question_unknown"),
        ({}, 403, "question_unknown"),
        ({"question": ID}, 400, "parameter_invalid"),
        ({"question": ID, "parameters": []}, 400, "parameter_invalid"),
        (at("today"), 400, "parameter_invalid"),
        (at('2026-01-01"^^xsd:date) SERVICE <https://x> {?s ?p ?o} #'), 400, "parameter_invalid"),
        ({"question": ID, "parameters": {"peildatum": "2026-01-01", "more": "2026-01-01"}}, 400, "parameter_invalid"),
    ],
)
async def test_what_was_not_validated_is_refused(station: Station, body: Any, status: int, reason: str) -> None:
    answer = await ask(station, body)
    assert (answer.status_code, answer.headers["X-Reason"]) == (status, reason), answer.text
    (event,) = await station.logged()
    assert event["outcome"] == "8"


@pytest.mark.parametrize("media_type", ["application/sparql-query", "application/sparql-update"])
async def test_sparql_itself_is_not_taken(station: Station, media_type: str) -> None:
    answer = await ask(station, b"DROP ALL", media_type=media_type)
    assert (answer.status_code, answer.headers["X-Reason"]) == (415, "content_type")
    (event,) = await station.logged()
    assert event["outcome"] == "8"


async def test_scope_revocation_and_logging(station: Station) -> None:
    assert (await ask(station, at("2026-09-01"), "patient/Patient.rs")).headers["X-Reason"] == "insufficient_scope"
    station.live = False
    assert (await ask(station, at("2026-09-01"))).headers["X-Reason"] == "token_revoked"
    station.live = True
    await station.logged()
    await ask(station, at("2026-09-01"))
    (event,) = await station.logged()
    details = {detail["type"]: detail["valueString"] for entity in event["entity"] for detail in entity.get("detail", [])}
    assert (details["question"], details["sha256"]) == (ID, questions.load()[ID].digest)


async def test_the_catalogue_shows_what_is_validated(station: Station) -> None:
    answer = await station.call("GET", f"/{HOLDER}/sparql/questions", party=OFFICE)
    assert [(each["id"], each["parameters"]) for each in answer.json()["questions"]] == [(ID, ["peildatum"])]
