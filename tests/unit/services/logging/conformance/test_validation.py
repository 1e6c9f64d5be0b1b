"""$validate and header Prefer: the report is given when it is asked for, and nothing is refused for it unless that is asked."""

import json
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome

from proeftuin.identifiers import URA_SYSTEM
from services.logging.conformance.nen7513 import requirements
from tests.unit.services.logging.conformance.examples import CANONICAL, CLIENT, EXAMPLES, Resource
from tests.unit.services.logging.logbook import HOME, HOSPITAL, JSON, READ, URA, WRITE, Logbook, event, ids, refused

pytestmark = pytest.mark.anyio
PATIENT_READ = f"{CANONICAL}IHE.BasicAudit.PatientRead"
GOOD = EXAMPLES["IHE.BasicAudit.PatientRead"] | {"meta": {"profile": [PATIENT_READ]}, "id": "good"}
CLAIMING = GOOD | {"id": "claiming", "action": "E"}  # what it claims does not hold
BARE = event(HOME, id="bare")  # claims nothing, and says too little
REPORT, STRICT = {"Prefer": "return=OperationOutcome"}, {"Prefer": "handling=strict"}


async def validate(logbook: Logbook, content: Any, scope: str = WRITE) -> httpx.Response:
    token = logbook.token(HOME, scope)
    path = "/fhir/AuditEvent/$validate"
    return await logbook.call("POST", path, party=HOME, token=token, headers=JSON, content=json.dumps(content))


def told(outcome: Resource) -> set[str]:
    """The severities in a report, after it is checked to be a valid OperationOutcome that shows nobody."""
    OperationOutcome.model_validate(outcome)
    assert CLIENT not in json.dumps(outcome)
    return {issue["severity"] for issue in outcome["issue"]}


@pytest.mark.parametrize(("sent", "expected"), [
    (GOOD, {"information"}), (CLAIMING, {"error", "information"}), (BARE, {"warning", "information"}),
])  # fmt: skip
@pytest.mark.parametrize("scope", [READ, WRITE])
async def test_an_event_that_is_sent_is_judged_and_not_stored(
    logbook: Logbook, sent: Resource, expected: set[str], scope: str
) -> None:
    before = await logbook.checkpoint()
    answer = await validate(logbook, sent, scope)
    assert answer.status_code == 200
    assert told(answer.json()) == expected
    assert (await logbook.checkpoint()).size == before.size
    assert await logbook.logged() == []


async def test_a_deviation_is_located_and_says_what_was_expected_and_found(logbook: Logbook) -> None:
    issues = (await validate(logbook, CLAIMING)).json()["issue"]
    (error,) = [issue for issue in issues if issue["severity"] == "error"]
    assert error["expression"] == ["AuditEvent.action"]
    assert error["details"]["coding"][0]["code"] == "not_conforming"
    assert "IHE.BasicAudit.PatientRead, action (codes): expected R, found E" in error["diagnostics"]


async def test_each_element_of_nen_7513_has_its_issue(logbook: Logbook) -> None:
    issues = (await validate(logbook, BARE)).json()["issue"]
    nen = [issue["diagnostics"] for issue in issues if "NEN 7513" in issue["diagnostics"]]
    assert len(nen) == len(set(nen)) == len(requirements())
    assert {text.rpartition(": ")[2].partition(" (")[0] for text in nen} == {"is present", "is missing", "is not applicable"}


async def test_parameters_may_ask_for_a_profile_that_is_not_claimed(logbook: Logbook) -> None:
    for key in ("valueUri", "valueCanonical"):
        asked = {"name": "profile", key: f"{CANONICAL}IHE.BasicAudit.PatientQuery|1.1.5"}
        mode = {"name": "mode", "valueCode": "profile"}
        content = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": GOOD}, asked, mode]}
        outcome = (await validate(logbook, content)).json()
        assert told(outcome) == {"error", "information"}
        errors = [issue["diagnostics"] for issue in outcome["issue"] if issue["severity"] == "error"]
        assert all(text.startswith("IHE.BasicAudit.PatientQuery, ") for text in errors)


def parameters(*others: Any, resource: bool = True) -> Resource:
    return {"resourceType": "Parameters", "parameter": [*([{"name": "resource", "resource": GOOD}] if resource else []), *others]}


@pytest.mark.parametrize(("content", "reason"), [
    ({"resourceType": "Parameters"}, "malformed"),
    (parameters("x"), "malformed"),
    (parameters({"name": "profile", "valueUri": PATIENT_READ}, resource=False), "malformed"),
    (parameters({"name": "resource", "resource": GOOD}), "parameter_unknown"),
    (parameters({"name": "colour"}), "parameter_unknown"),
    (parameters({"name": ["mode"], "valueCode": "profile"}), "parameter_unknown"),
    (parameters({"name": "profile", "valueUri": "https://example.org/x"}), "parameter_invalid"),
    (parameters({"name": "profile", "valueUri": 5}), "parameter_invalid"),
    (parameters({"name": "profile"}), "parameter_invalid"),
    (parameters({"name": "mode", "valueCode": "delete"}), "parameter_invalid"),
    (parameters({"name": "mode", "valueCode": ["profile"]}), "parameter_invalid"),
])  # fmt: skip
async def test_what_is_no_validation_is_refused(logbook: Logbook, content: Resource, reason: str) -> None:
    await refused(logbook, await validate(logbook, content), 400, reason)


@pytest.mark.parametrize("content", [{"resourceType": "Patient"}, {}, GOOD | {"recorded": "yesterday"}, GOOD | {"colour": "red"}])
async def test_what_is_no_auditevent_is_told_and_not_judged(logbook: Logbook, content: Resource) -> None:
    answer = await validate(logbook, content)
    assert (answer.status_code, {issue["severity"] for issue in answer.json()["issue"]}) == (200, {"error"})


async def test_an_event_of_the_log_is_judged_for_whom_it_is_of(logbook: Logbook) -> None:
    await logbook.post(CLAIMING)
    answer = await logbook.get("/claiming/$validate")
    assert told(answer.json()) == {"error", "information"}
    (read,) = await logbook.logged()
    assert (read["type"]["code"], read["subtype"][0]["code"]) == ("110101", "read")
    assert [entity["what"] for entity in read["entity"] if "lifecycle" in entity] == [{"reference": "AuditEvent/claiming"}]
    opaque = f"{CANONICAL}IHE.BasicAudit.OAUTHaccessTokenUse.Opaque"
    assert opaque.rpartition("/")[2] in (await logbook.get(f"/claiming/$validate?profile={opaque}")).text
    await logbook.logged()
    await refused(logbook, await logbook.get("/claiming/$validate", HOSPITAL), 404, "not_found")
    await refused(logbook, await logbook.get("/claiming/$validate?colour=red"), 400, "parameter_unknown")
    await refused(logbook, await logbook.get("/claiming/$validate?profile=x"), 400, "parameter_invalid")
    await refused(logbook, await logbook.get(f"/{CLIENT}/$validate"), 400, "identifier_in_url")


@pytest.mark.parametrize("sent", [GOOD, CLAIMING, BARE])
async def test_intake_takes_what_does_not_conform_and_tells_when_asked(logbook: Logbook, sent: Resource) -> None:
    silent = await logbook.post(sent)
    assert silent.json() == sent
    assert "Preference-Applied" not in silent.headers
    answer = await logbook.post(sent | {"id": "again"}, headers=REPORT)
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "return=OperationOutcome"
    assert answer.headers["Location"].endswith("/AuditEvent/again")
    assert answer.json() == (await validate(logbook, sent)).json()


@pytest.mark.parametrize("sent", [CLAIMING, BARE])
@pytest.mark.parametrize(
    "prefer", ["handling=strict", 'HANDLING="strict"; x=y', "respond-async, handling=strict, handling=lenient"]
)
async def test_strictly_what_does_not_conform_is_refused_and_not_stored(logbook: Logbook, sent: Resource, prefer: str) -> None:
    before = (await logbook.checkpoint()).size
    answer = await logbook.post(sent, headers={"Prefer": prefer})
    await refused(logbook, answer, 422, "not_conforming")
    assert answer.json()["issue"] == (await validate(logbook, sent)).json()["issue"]
    assert (await logbook.checkpoint()).size == before
    assert ids(await logbook.get("?date=ge2026-01-01")) == []


@pytest.mark.parametrize("prefer", ["handling=lenient", "return=representation", "handling=lenient, handling=strict", "strict", ""])
async def test_another_preference_changes_nothing(logbook: Logbook, prefer: str) -> None:
    answer = await logbook.post(BARE, headers={"Prefer": prefer})
    assert (answer.status_code, answer.json()) == (201, BARE)


async def test_strictly_what_conforms_is_stored(logbook: Logbook) -> None:
    answer = await logbook.post(GOOD, headers={"Prefer": "handling=strict, return=OperationOutcome"})
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "return=OperationOutcome, handling=strict"
    assert told(answer.json()) == {"information"}


async def test_in_a_batch_each_entry_has_its_own_report(logbook: Logbook) -> None:
    entries = [{"resource": each} for each in (GOOD, CLAIMING, BARE, {"resourceType": "Patient"})]
    bundle = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})
    answers = {}
    for prefer in (STRICT, REPORT):
        answer = await logbook.call(
            "POST", "/fhir", party=HOME, token=logbook.token(HOME, WRITE), headers=JSON | prefer, content=bundle
        )
        answers[prefer["Prefer"]] = [each["response"] for each in answer.json()["entry"]]
    assert [each["status"][:3] for each in answers["handling=strict"]] == ["201", "422", "422", "400"]
    assert [each["status"][:3] for each in answers["return=OperationOutcome"]] == ["200", "201", "201", "400"]
    assert ["outcome" in each for each in answers["return=OperationOutcome"]] == [True] * 4
    assert set(ids(await logbook.get("?date=ge2026-01-01"))) == {"good", "claiming", "bare"}


async def test_of_thousands_of_faults_the_first_are_told(logbook: Logbook) -> None:
    agents = [agent | {"policy": ["x"] * 30_000} for agent in EXAMPLES["IHE.BasicAudit.OAUTHaccessTokenUse.Minimal"]["agent"]]
    claims = [f"{CANONICAL}{name}" for name in EXAMPLES]
    outcome = (await validate(logbook, GOOD | {"agent": agents, "meta": {"profile": claims}})).json()
    assert 100 < sum(issue["severity"] == "error" for issue in outcome["issue"]) <= 100 * len(claims)
    assert len(json.dumps(outcome)) < 1 << 20


async def test_an_event_too_large_to_judge_is_taken_but_not_strictly(logbook: Logbook) -> None:
    agents = [{"who": {"identifier": {"system": URA_SYSTEM, "value": URA[HOME]}}, "requestor": False}] * 600
    large = GOOD | {"id": "large", "agent": [*GOOD["agent"], *agents]}
    outcome = (await logbook.post(large, headers=REPORT)).json()
    assert [issue["code"] for issue in outcome["issue"]] == ["too-costly"]
    await refused(logbook, await logbook.post(large | {"id": "larger"}, headers=STRICT), 422, "not_conforming")
