"""The knooppunt's policies: each opens what it must, and says why it does not open the rest."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from regopy import RegoError

from proeftuin.fhir.interaction import UnknownInteractionError, read
from proeftuin.reasons import CONSENT_UNAVAILABLE, NO_CONSENT, Refused
from services.authorization.decision.knooppunt import FOLDER, KnooppuntDecisions
from tests.unit.services.authorization.iwlz_network import NETWORK, ZA, Network
from tests.unit.services.authorization.rego import mutants

pytestmark = pytest.mark.anyio
BSN = "999910000"
IDENTIFIER = f"identifier=http://fhir.nl/fhir/NamingSystem/bsn|{BSN}"
PZP = (
    "patient=Patient/1&scope=http://terminology.hl7.org/CodeSystem/consentscope|treatment&category=http://snomed.info/sct|129125009"
)


def asked(scope: str, method: str, path: str, query: str = "", bsn: str = "", **subject: Any) -> dict[str, Any]:
    return {
        "subject": {"active": True, "client_id": "c", "scope": scope, "organization_ura": "90000101"} | subject,
        "request": {"method": method, "protocol": "HTTP/1.1", "path": path, "query": query, "header": {}, "body": ""},
        "context": {"connection_type_code": "hl7-fhir-rest", "data_holder_organization_id": "90000103", "patient_bsn": bsn},
    }


def sent(media_type: str, body: Any) -> dict[str, Any]:
    """A search by POST, whose parameters stand in the body where that is a form."""
    question = asked("pzp_gf", "POST", "Patient/_search")
    return question | {"request": question["request"] | {"header": {"Content-Type": [media_type]}, "body": body}}


async def permit(_bsn: str, _asked: dict[str, Any]) -> None:
    return None


async def deny(_bsn: str, _asked: dict[str, Any]) -> None:
    raise Refused(NO_CONSENT, "no permit")


async def silence(_bsn: str, _asked: dict[str, Any]) -> None:
    raise Refused(CONSENT_UNAVAILABLE, "no answer")


CASES = [
    (asked("mcsd_query", "GET", "Organization", "name:contains=x&_include=Organization:endpoint&_count=5"), []),
    (asked("mcsd-query", "GET", "/Organization/1"), []),
    (asked("mcsd_query", "GET", "Patient"), ["not_allowed"]),
    (asked("mcsd_query", "GET", "Organization", organization_ura=""), []),
    (asked("mcsd_query", "GET", "Organization", "_revinclude=Location:organization"), []),
    (asked("bgz mcsd_query", "GET", "Organization"), []),
    (asked("mcsd_query", "DELETE", "Organization/1"), ["not_allowed"]),
    (asked("mcsd_query", "GET", "Organization", "phone=1&_include=Organization:partof"), ["not_allowed", "not_allowed"]),
    (asked("mcsd_query", "GET", "Organization", "_revinclude=Patient:organization"), ["not_allowed"]),
    (asked("mcsd_update", "GET", "Endpoint/_history", "_since=2026-01-01"), []),
    (asked("mcsd_update", "GET", "Endpoint", "identifier=1"), ["not_allowed"]),
    (asked("mcsd_update", "GET", "Endpoint/1"), ["not_allowed"]),
    (asked("bgz", "GET", "Patient", IDENTIFIER), ["not_allowed", "not_allowed", "not_implemented"]),
    (asked("eoverdracht_receiver", "POST", "/"), []),
    (asked("eoverdracht_receiver", "POST", "Task"), ["not_allowed"]),
    (asked("eoverdracht_receiver", "POST", "", organization_ura=""), ["unexpected_input"]),
    (asked("eoverdracht_sender", "GET", "Task/1"), ["not_allowed"]),
    (asked("eoverdracht_sender", "PUT", "Composition/1"), ["not_allowed", "not_allowed"]),
    (asked("eoverdracht_sender", "PUT", "Task/1"), ["not_allowed"]),
    (asked("eoverdracht_sender", "DELETE", "Task/1"), ["not_allowed", "not_allowed"]),
    (asked("eoverdracht_sender", "POST", "Composition/1/$document"), ["not_allowed"]),
    (asked("eoverdracht_sender", "POST", "Composition/$document"), ["not_allowed", "not_allowed"]),
    (asked("eoverdracht_sender", "POST", "Task/1/$document"), ["not_allowed", "not_allowed"]),
    (asked("eoverdracht_sender", "POST", "Composition/1/$validate"), ["not_allowed", "not_allowed"]),
    (asked("pzp_gf", "GET", "Consent/1"), ["not_allowed", "pip_error", "unexpected_input"]),
    (asked("pzp_gf", "GET", "Patient", "_id=1", BSN), ["not_allowed"]),
    (sent("", IDENTIFIER), ["not_allowed", "pip_error", "unexpected_input"]),
    (sent("application/x-www-form-urlencoded", IDENTIFIER), []),
    (sent("application/x-www-form-urlencoded", {"identifier": 1}), ["not_allowed", "pip_error", "unexpected_input"]),
    (asked("pzp_gf", "GET", "Patient", IDENTIFIER), []),
    (asked("pzp_gf", "GET", "Patient", IDENTIFIER + "&_include=Patient:organization"), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Patient", IDENTIFIER + "&_revinclude=Condition:patient"), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Patient/_history", IDENTIFIER), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Practitioner", "identifier=1", BSN), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Consent/_history", PZP, BSN), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Condition", PZP, BSN), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Consent", PZP.replace("|treatment", "|research"), BSN), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Consent", PZP, BSN), []),
    (asked("pzp_gf", "GET", "Consent", PZP), ["pip_error"]),
    (asked("pzp_gf", "GET", "Consent", PZP + ",1", BSN), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Consent", PZP + "&_id=2", BSN), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Patient", IDENTIFIER + "&_id=1"), ["not_allowed"]),
    (asked("pzp_gf", "GET", "Condition"), ["not_allowed", "pip_error", "unexpected_input"]),
    (asked("medicatieoverdracht_gf", "GET", "MedicationRequest", "patient=Patient/1", BSN,
           patient_enrollment_identifier=f"http://fhir.nl/fhir/NamingSystem/bsn|{BSN}"), []),
    (asked("medicatieoverdracht_gf", "GET", "MedicationRequest", "patient=Patient/1", BSN), ["not_allowed"]),
    (asked("medicatieoverdracht_gf", "GET", "MedicationRequest", "patient=Patient/1", BSN,
           patient_enrollment_identifier="http://fhir.nl/fhir/NamingSystem/bsn|999918138"), ["not_allowed"]),
    (asked("medicatieoverdracht_gf", "GET", "MedicationRequest", "patient=Patient/1",
           patient_enrollment_identifier="http://fhir.nl/fhir/NamingSystem/bsn|null"), ["not_allowed", "pip_error"]),
    (asked("unheard-of", "GET", "Patient/1"), ["not_implemented"]),
]  # fmt: skip


@pytest.mark.parametrize(("question", "codes"), CASES)
async def test_a_policy_opens_what_it_must_and_says_why_not(question: dict[str, Any], codes: list[str]) -> None:
    answer = await KnooppuntDecisions(permit).decide(question)
    *_, policy = answer["policies"].values()
    assert [each["code"] for each in policy["reasons"]] == codes, policy
    assert answer["allow"] is policy["allow"] is (not codes)
    assert BSN not in str(answer)


def local_consent(decisions: KnooppuntDecisions) -> bool:
    """Tell whether a local Consent opens a Task, which this network has no register of yet."""
    facts = {
        "policy": "eoverdracht_sender", "subject": {}, "context": {},
        "action": {"fhir_rest": {"interaction_type": "read", "search_params": {}, "include": [], "revinclude": []}},
        "resource": {"id": "1", "type": "Task", "consents": [{"scope": "eoverdracht"}]},
    }  # fmt: skip
    return decisions.policies.current().evaluate("knooppunt", "failed", facts) == []


def test_a_local_consent_opens_an_eoverdracht() -> None:
    assert local_consent(KnooppuntDecisions(permit))


async def test_no_rule_and_no_condition_can_be_taken_out_unnoticed(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "policies")
    module, survivors = tmp_path / "policies" / "knooppunt.rego", list[str]()
    for what, text in mutants((FOLDER / "knooppunt.rego").read_text()):
        module.write_text(text)
        try:
            decisions = KnooppuntDecisions(permit, tmp_path / "policies")
        except RegoError:
            continue  # it does not compile, so that nobody can deploy it
        for question, codes in CASES:
            *_, policy = (await decisions.decide(question))["policies"].values()
            if [each["code"] for each in policy["reasons"]] != codes:
                break
        else:
            if not local_consent(decisions):
                continue
            survivors.append(what)
    assert survivors == [], "\n".join(survivors)


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (asked("", "GET", "Patient/1"), "missing required value, no policy defined"),
        (asked("pzp_gf", "GET", "patient/1"), "no interaction"),
        (asked("pzp_gf", "TRACE", "Patient/1"), "no interaction"),
        (asked("pzp_gf", "GET", "Patient/1", "_id=2"), "more than one client"),
        (asked("pzp_gf", "GET", "Patient", IDENTIFIER, "999918138"), "more than one client"),
        (asked("pzp_gf", "GET", "Consent", "patient=1&subject=Patient/2"), "more than one client"),
        (asked("pzp_gf", "GET", "Patient", "identifier=http://x|1"), "identifier: a BSN"),
        (asked("pzp_gf", "GET", "Patient", f"identifier=http://x|{BSN}"), "identifier: a BSN"),
        (asked("pzp_gf", "GET", "Patient", "identifier=http://fhir.nl/fhir/NamingSystem/bsn|123456789"), "identifier: a BSN"),
        (
            asked("mcsd_query", "GET", "Organization") | {"request": {"method": "GET", "path": "Organization", "query": 1}},
            "is text",
        ),
        (
            asked("mcsd_query", "GET", "Organization") | {"request": {"method": "GET", "path": "Organization", "header": 1}},
            "is text",
        ),
        (
            asked("mcsd_query", "GET", "Organization") | {"request": {"method": "GET", "path": "Organization", "query_params": {}}},
            "query_params",
        ),
    ],
)
async def test_a_request_that_cannot_be_read_is_denied_with_the_error(question: dict[str, Any], error: str) -> None:
    answer = await KnooppuntDecisions(permit).decide(question)
    assert (answer["allow"], answer["policies"]) == (False, {})
    assert error in answer["error"]


@pytest.mark.parametrize(
    ("consent", "code", "reason"), [(deny, "not_allowed", "no_consent"), (silence, "pip_error", "consent_unavailable")]
)
async def test_why_there_is_no_consent_is_told_apart(consent: Any, code: str, reason: str) -> None:
    answer = await KnooppuntDecisions(consent).decide(asked("pzp_gf", "GET", "Patient", IDENTIFIER))
    ((found,),) = [each["reasons"] for each in answer["policies"].values()]
    assert (found["code"], found["description"].partition(":")[0]) == (code, reason)


async def test_one_policy_that_allows_is_enough_and_the_rest_is_not_looked_at() -> None:
    answer = await KnooppuntDecisions(permit).decide(asked("pzp_gf mcsd_query bgz", "GET", "Organization"))
    assert (answer["allow"], list(answer["policies"])) == (True, ["bgz", "mcsd_query"])


async def test_without_its_rules_a_policy_opens_nothing(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "policies", ignore=shutil.ignore_patterns("*.rego"))
    decisions = KnooppuntDecisions(permit, tmp_path / "policies")
    answer = await decisions.decide(asked("mcsd_query", "GET", "Organization"))
    assert [each["code"] for each in answer["policies"]["mcsd_query"]["reasons"]] == ["internal_error"]


async def test_the_decision_point_is_for_the_enforcement_points_of_the_party(tmp_path: Path) -> None:
    network = Network(tmp_path)
    async with network.running(network.app):
        content = {"input": asked("mcsd_query", "GET", "Organization")}
        for path in ("/pdp", "/pdp/v1/data/knooppunt/authz"):
            assert (await network.call("POST", path, party=NETWORK, json=content)).json()["allow"] is True
            assert (await network.call("POST", path, party=ZA, json=content)).headers["X-Reason"] == "party_mismatch"
        malformed: list[dict[str, Any]] = [
            {},
            {"input": 1},
            {"input": {}},
            {"input": asked("system", "GET", "Patient")},
            {"input": asked("test_x", "GET", "")},
        ]
        for bad in malformed:
            assert (await network.call("POST", "/pdp", party=NETWORK, json=bad)).status_code == 400


@pytest.mark.parametrize(
    ("name", "asked_for"),
    [
        ("read", "GET Patient/1"), ("read", "HEAD Patient/1"), ("read", "GET Patient%2F1"), ("vread", "GET Patient/1/_history/2"),
        ("update", "PUT Patient/1"), ("patch", "PATCH Patient/1"), ("delete", "DELETE Patient/1"), ("create", "POST Patient"),
        ("history-instance", "GET Patient/1/_history"),
        ("history-type", "GET Patient/_history"), ("history-system", "GET _history"),
        ("search-type", "GET Patient"), ("search-type", "POST Patient/_search"), ("search-system", "GET "),
        ("search-system", "POST _search"), ("capabilities", "GET metadata"), ("transaction", "POST "),
        ("operation", "POST Composition/1/$document"), ("operation", "GET Observation/$lastn"),
        ("operation", "POST $process-message"),
    ],
)  # fmt: skip
def test_every_interaction_of_r4_is_known(name: str, asked_for: str) -> None:
    assert read(*_parts(asked_for), "").name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "Patient/../1"), ("GET", "Patient/1/x"), ("OPTIONS", ""), ("POST", "Patient/1"), ("GET", "Patient//1")],
)
def test_what_is_no_interaction(method: str, path: str) -> None:
    with pytest.raises(UnknownInteractionError):
        read(method, path, "")


def test_values_are_all_of_any_of() -> None:
    found = read("POST", "Condition/_search", "code=a,b%5C,c&_format=json", "code=d&_include=x:y")
    assert (found.parameters, found.include) == ({"code": [["a", "b,c"], ["d"]]}, ("x:y",))


def _parts(asked_for: str) -> tuple[str, str]:
    method, _, path = asked_for.partition(" ")
    return method, path
