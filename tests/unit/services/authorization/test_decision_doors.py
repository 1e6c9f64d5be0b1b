"""The decision point's own doors: Authorization API 1.0, the RFC0052 dialect, the OPA answer, and explanations."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from regopy import RegoError

from services.authorization.decision.questions import FOLDER, SCOPE, QuestionDecisions
from services.datastation import questions
from tests.unit.services.authorization.iwlz_network import (
    AGB,
    BR,
    BR_SCOPE,
    ID,
    INDICATIE,
    IR,
    IR_SCOPE,
    NETWORK,
    SPEC,
    ZA,
    Network,
)
from tests.unit.services.authorization.rego import mutants

pytestmark = pytest.mark.anyio
SUBJECT = {
    "type": "organization", "id": f"agbcode:{AGB}",
    "properties": {"organization_type": "ZORGAANBIEDER", "identifiers": {"agb_code": AGB}, "scopes": [BR_SCOPE, IR_SCOPE]},
}  # fmt: skip
ACTION = {"name": "QUERY"}


def graphql(query: str, **variables: Any) -> dict[str, Any]:
    return {"type": "graphql_request", "id": "1", "properties": {"query": query, "variables": variables}}


OWN, FOREIGN = graphql(SPEC, za=AGB), graphql(SPEC, za="47990104")


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    made = Network(tmp_path)
    async with made.running(made.app):
        yield made


async def test_authzen_10_6_one_evaluation(network: Network) -> None:
    asked = {"subject": SUBJECT, "action": ACTION, "resource": OWN}
    answer = await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked, headers={"X-Request-ID": "abc-1"})
    assert (answer.status_code, answer.json()["decision"], answer.headers["X-Request-ID"]) == (200, True, "abc-1")
    assert set(answer.json()["context"]["policies"]) == {"version", "sha256"}
    denied = (await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked | {"resource": FOREIGN})).json()
    assert (denied["decision"], denied["context"]["reason"]) == (False, "br.spec.instelling")
    assert denied["context"]["findings"][0]["hint"].startswith("Set where: {instelling")


@pytest.mark.parametrize(
    ("resource", "action", "reason"),
    [
        ({"type": "record", "id": "1"}, ACTION, "no_policy"),
        (OWN, {"name": "delete"}, "action_mismatch"),
        (FOREIGN, {"name": "delete"}, "br.spec.instelling"),
        (graphql("{ levering { leveringID } }"), ACTION, "none"),
    ],
)
async def test_authzen_what_no_policy_opens_is_denied(
    network: Network, resource: dict[str, Any], action: dict[str, Any], reason: str
) -> None:
    asked = {"subject": SUBJECT, "action": action, "resource": resource}
    answer = (await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)).json()
    assert (answer["decision"], answer["context"]["reason"]) == (False, reason)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"subject": SUBJECT, "action": ACTION},
        {"subject": SUBJECT, "resource": OWN},
        {"subject": {"type": "organization"}, "action": ACTION, "resource": OWN},
        {"subject": SUBJECT, "action": {}, "resource": OWN},
        {"subject": SUBJECT, "action": ACTION, "resource": {"type": "graphql_request", "id": "1"}},
        {"subject": SUBJECT, "action": ACTION, "resource": OWN | {"properties": []}},
        {"subject": SUBJECT | {"properties": {"scopes": "x"}}, "action": ACTION, "resource": OWN},
        {"subject": SUBJECT, "action": ACTION, "resource": OWN, "context": {"profile": "x"}},
        {"subject": SUBJECT, "action": ACTION, "resource": OWN, "context": "x"},
        {"subject": SUBJECT, "action": ACTION, "resource": graphql(SPEC) | {"properties": {"query": SPEC, "variables": []}}},
        {"subject": SUBJECT | {"properties": {"identifiers": "x"}}, "action": ACTION, "resource": OWN},
    ],
)
async def test_authzen_6_a_question_that_is_not_well_formed_is_a_bad_request(network: Network, asked: dict[str, Any]) -> None:
    answer = await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)
    assert (answer.status_code, answer.headers["X-Reason"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        (None, [True, False, True]),
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
async def test_authzen_10_7_several_evaluations_with_defaults(
    network: Network, semantic: str | None, decisions: list[bool]
) -> None:
    asked: dict[str, Any] = {"subject": SUBJECT, "action": ACTION, "resource": OWN, "evaluations": [{}, {"resource": FOREIGN}, {}]}
    if semantic:
        asked["options"] = {"evaluations_semantic": semantic}
    answer = await network.call("POST", "/access/v1/evaluations", party=ZA, json=asked)
    assert [each["decision"] for each in answer.json()["evaluations"]] == decisions


async def test_authzen_7_1_without_evaluations_it_is_a_single_one(network: Network) -> None:
    asked = {"subject": SUBJECT, "action": ACTION, "resource": OWN}
    for one in (asked, asked | {"evaluations": []}):
        assert (await network.call("POST", "/access/v1/evaluations", party=ZA, json=one)).json()["decision"] is True


@pytest.mark.parametrize(
    "changes", [{"evaluations": "x"}, {"evaluations": [1]}, {"evaluations": [{}], "options": {"evaluations_semantic": "x"}}]
)
async def test_authzen_7_what_is_not_well_formed(network: Network, changes: dict[str, Any]) -> None:
    asked = {"subject": SUBJECT, "action": ACTION, "resource": OWN} | changes
    assert (await network.call("POST", "/access/v1/evaluations", party=ZA, json=asked)).status_code == 400


async def test_authzen_9_metadata(network: Network) -> None:
    found = (await network.call("GET", "/.well-known/authzen-configuration", party=ZA)).json()
    assert found["access_evaluation_endpoint"] == f"{found['policy_decision_point']}/access/v1/evaluation"


@pytest.mark.parametrize(("party", "allowed"), [(NETWORK, True), (ZA, False)])
async def test_a_relation_is_looked_up_for_the_networks_own_enforcement_point_alone(
    network: Network, party: str, *, allowed: bool
) -> None:
    asked = {"subject": SUBJECT, "action": ACTION, "resource": graphql(INDICATIE)}
    answer = (await network.call("POST", "/access/v1/evaluation", party=party, json=asked)).json()
    assert answer["decision"] is allowed
    assert [url for url, _, _ in network.passed] == ([BR] if allowed else [])


def rfc0052(where: dict[str, Any], **context: Any) -> dict[str, Any]:
    given = {
        "purpose_of_use": "WLZ_UITVOERING", "service": "BEMIDDELINGSREGISTER", "operation": "regiehouder", "contract_active": True,
    }  # fmt: skip
    resource = {"type": "BEMIDDELING", "id": None, "properties": {"query_filter": where}}
    return {"subject": SUBJECT, "action": ACTION, "resource": resource, "context": given | context}


WHERE = {"regiehouderID": {"eq": ID}, "instelling": {"eq": AGB}}


async def test_rfc0052_answers_results_in_order(network: Network) -> None:
    wrong = rfc0052({"regiehouderID": {"eq": ID}, "instelling": {"eq": "x"}})
    missing = rfc0052(WHERE)
    del missing["context"]["purpose_of_use"]
    asked = [
        rfc0052(WHERE), wrong, missing, rfc0052(WHERE, purpose_of_use="ONDERZOEK"), rfc0052(WHERE, contract_active=False),
        rfc0052(WHERE, operation="levering"), rfc0052({"or": [WHERE, {}]}), rfc0052(WHERE, operation=[]),
    ]  # fmt: skip
    answer = await network.call("POST", "/rfc0052/access/v1/evaluations", party=ZA, json={"evaluations": asked})
    results = answer.json()["results"]
    assert [each["decision"] for each in results] == [True] + [False] * 7
    assert [each["context"].get("reason") for each in results] == [
        None, "BR_REGIE_OWN", "MISSING_PURPOSE_OF_USE", "PURPOSE_OF_USE_NOT_ALLOWED", "CONTRACT_NOT_ACTIVE", "OPERATION_UNKNOWN",
        "BR_REGIE_ID", "OPERATION_UNKNOWN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"evaluations": []},
        {"evaluations": [rfc0052({"instelling": "x"})]},
        {"evaluations": [rfc0052(WHERE) | {"context": "x"}]},
        {"evaluations": [rfc0052("x")]},  # type: ignore[arg-type] # what no filter is
        {"evaluations": [rfc0052([])]},  # type: ignore[arg-type] # nor is this
        {"evaluations": [rfc0052(None)]},  # type: ignore[arg-type] # nor this
        {"evaluations": [rfc0052(WHERE | {"instelling": {"eq": "x" * 65_536}})]},
    ],
)
async def test_rfc0052_what_is_not_well_formed(network: Network, content: dict[str, Any]) -> None:
    answer = await network.call("POST", "/rfc0052/access/v1/evaluations", party=ZA, json=content)
    assert answer.status_code == 400


async def test_who_acts_for_another_and_which_scopes_are_text(network: Network) -> None:
    """POL216: Silvester reports for a zorgaanbieder, as actor of the zorgkantoor that receives it."""
    message = {
        "timestamp": "2026-05-01T09:00:00Z", "afzenderIDType": "AGB", "afzenderID": AGB, "ontvangerIDType": "UZOVI",
        "ontvangerID": "9901", "eventType": "IWLZFOUTMELDING",
        "subjectList": [{"subject": "GGR0001", "recordID": f"Bemiddeling/{ID}"}],
    }  # fmt: skip
    resource = graphql("mutation M($i: MeldingInput!) { zendMelding(meldingInput: $i) { meldingID } }", i=message)
    scopes = [["x"], None, "organisaties/zorgkantoor/meldingen/melding:create"]
    about = {"organization_type": "ZORGKANTOOR", "identifiers": {"uzovi_code": "9901", "agb_code": 1}, "scopes": scopes}
    for actor, allowed in (("20001000001131", True), ("20001000001132", False), (1, False), (None, False)):
        subject = {"type": "organization", "id": "uzovi:9901", "properties": about | {"actor": actor}}
        asked = {"subject": subject, "action": {"name": "MUTATION"}, "resource": resource}
        answer = await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)
        assert answer.json()["decision"] is allowed, answer.text


async def opa(network: Network, party: str, token: str | None, query: str, **variables: Any) -> dict[str, Any]:
    content = {
        "input": {
            "parsed_body": {"query": query, "variables": variables},
            "attributes": {"request": {"http": {"headers": {"authorization": f"Bearer {token}"} if token else {}}}},
        }
    }
    answer = await network.call("POST", "/v1/data/authz/result", party=party, json=content)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["result"]
    return found


async def test_opa_the_result_that_an_enforcement_point_of_the_network_reads(network: Network) -> None:
    token = await network.token(ZA, BR_SCOPE, BR)
    assert await opa(network, NETWORK, token, SPEC, za=AGB) == {
        "allowed": True, "http_status": 200, "headers": {"content-type": "application/json"},
    }  # fmt: skip
    denied = await opa(network, NETWORK, token, SPEC)
    assert (denied["allowed"], denied["http_status"]) == (False, 400)
    assert "A 'instelling' or 'uitvoerendZorgkantoor' equals is required" in denied["body"]
    for party, raw, status in ((NETWORK, None, 401), (NETWORK, "x", 401), (ZA, token, 200), ("carewave", token, 403)):
        assert (await opa(network, party, raw, SPEC, za=AGB))["http_status"] == status


async def test_opa_without_a_body_to_judge(network: Network) -> None:
    answer = await network.call("POST", "/v1/data/authz/result", party=ZA, json={"input": []})
    assert answer.status_code == 400


async def test_explain_says_of_each_rule_whether_it_holds(network: Network) -> None:
    token = await network.token(ZA, BR_SCOPE, BR)
    asked = {"token": token, "query": SPEC, "variables": {"za": "1"}, "profile": "spec-2026-06"}
    answer = (await network.call("POST", "/explain", party=ZA, json=asked)).json()
    assert (answer["allowed"], answer["supposed"], answer["operation"]) == (False, False, "bemiddelingspecificatie")
    assert answer["rules"]["br.spec.instelling"] is False
    assert answer["rules"]["br.spec.id"] is True
    assert "br.spec.pgb" not in answer["rules"]
    assert [each["policies"] for each in answer["findings"]] == [["POL102", "POL103", "BRA0001"]]


@pytest.mark.parametrize("beside", [{}, {"token": None}, {"token": 1}])
async def test_explain_a_supposed_caller_opens_nothing_and_asks_nothing(network: Network, beside: dict[str, Any]) -> None:
    claims = {"agb": AGB, "instantie_type": "Zorgaanbieder", "scopes": [IR_SCOPE]}
    answer = (await network.call("POST", "/explain", party="carewave", json={"claims": claims, "query": INDICATIE} | beside)).json()
    assert (answer["allowed"], answer["supposed"]) == (False, True)
    assert network.passed == []
    (event,) = [each for each in await network.logged() if each["subtype"][0]["code"] == "policy-decision"]
    assert "explained: deny" in str(event)


async def test_explain_needs_somebody_to_explain_for(network: Network) -> None:
    token = await network.token(ZA, IR_SCOPE, IR)
    for content, status in (
        ({"query": SPEC}, 400),
        ({"query": SPEC, "token": "x"}, 401),
        ({"query": SPEC, "claims": {}, "profile": "x"}, 400),
    ):
        assert (await network.call("POST", "/explain", party=ZA, json=content)).status_code == status
    stolen = await network.call("POST", "/explain", party="carewave", json={"query": INDICATIE, "token": token})
    assert (stolen.status_code, stolen.headers["X-Reason"]) == (403, "token_binding")


DIGEST = questions.load()["clients-per-zorgprofiel"].digest
ASKER: dict[str, Any] = {
    "type": "organization",
    "id": "uzovi:9901",
    "properties": {"kind": "zorgkantoor", "scopes": ["system/kik-v.s"]},
}
DAY = {"peildatum": "2026-07-01"}


QUESTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"id": "another"}, ["kikv.question"]),
    ({"sha256": "0" * 64}, ["kikv.digest"]),
    ({"sha256": None}, ["kikv.digest"]),
    ({"parameters": {}}, ["kikv.parameters"]),
    ({"parameters": DAY | {"x": "1"}}, ["kikv.parameters"]),
    ({"parameters": {"peildatum": '2026-07-01" . ?s ?p ?o'}}, ["kikv.value"]),
    ({"parameters": {"peildatum": 20260701}}, ["kikv.value"]),
    ({"kind": "ziekenhuis"}, ["kikv.asker"]),
    ({"scopes": []}, ["scope"]),
]


@pytest.mark.parametrize(("changes", "rules"), QUESTIONS)
async def test_a_validated_question_is_asked_as_it_was_validated(
    network: Network, changes: dict[str, Any], rules: list[str]
) -> None:
    subject = ASKER | {"properties": ASKER["properties"] | {name: changes[name] for name in ("kind", "scopes") if name in changes}}
    properties = {"sha256": DIGEST, "parameters": DAY} | {
        name: changes[name] for name in ("sha256", "parameters") if name in changes
    }
    resource = {"type": "validated_question", "id": changes.get("id", "clients-per-zorgprofiel"), "properties": properties}
    asked = {"subject": subject, "action": {"name": "ask"}, "resource": resource}
    answer = (await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)).json()
    assert [each["rule"] for each in answer["context"].get("findings", [])] == rules
    assert answer["decision"] is (not rules)


KIND = f"""
[question.of-another-kind]
sha256 = "{DIGEST}"
parameters = {{ peildatum = "number" }}
askers = ["zorgkantoor"]
"""


def test_no_rule_on_questions_and_no_condition_can_be_taken_out_unnoticed(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "policies")
    module, survivors = tmp_path / "policies" / "kikv.rego", list[str]()
    questions = (FOLDER / "profiles.toml").read_text() + KIND
    (tmp_path / "policies" / "profiles.toml").write_text(questions)
    for what, text in mutants((FOLDER / "kikv.rego").read_text()):
        module.write_text(text)
        try:
            decisions = QuestionDecisions(tmp_path / "policies")
        except RegoError:
            continue  # it does not compile, so that nobody can deploy it
        for changes, rules in [*QUESTIONS, ({"id": "of-another-kind"}, ["kikv.value"])]:
            asked = {"id": "clients-per-zorgprofiel", "sha256": DIGEST, "parameters": DAY} | changes
            kind, scopes = asked.pop("kind", "zorgkantoor"), frozenset(asked.pop("scopes", [SCOPE]))
            found = decisions.decide(kind, scopes, asked)["context"]
            if [each["rule"] for each in found.get("findings", [])] != rules:
                break
        else:
            survivors.append(what)
    assert survivors == [], "\n".join(survivors)


async def test_a_fhir_request_is_judged_by_the_policy_of_its_scope(network: Network) -> None:
    subject = {"type": "organization", "id": "x", "properties": {"scopes": ["mcsd_query"], "identifiers": {"ura": "90000101"}}}
    for path, allowed in (("Organization", True), ("Patient", False)):
        resource = {"type": "fhir_request", "id": "1", "properties": {"method": "GET", "path": path, "query": ""}}
        asked = {"subject": subject, "action": {"name": "read"}, "resource": resource}
        answer = (await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)).json()
        assert (answer["decision"], answer["context"].get("reason")) == (allowed, None if allowed else "not_allowed")


async def test_a_question_without_digest_and_parameters_is_denied(network: Network) -> None:
    resource = {"type": "validated_question", "id": "clients-per-zorgprofiel"}
    asked = {"subject": ASKER, "action": {"name": "ask"}, "resource": resource}
    answer = (await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)).json()
    assert [each["rule"] for each in answer["context"]["findings"]] == ["kikv.digest", "kikv.parameters"]


async def test_nobodys_consent_is_asked_for_who_only_supposes(network: Network) -> None:
    subject = {"type": "organization", "id": "x", "properties": {"scopes": ["pzp_gf"], "identifiers": {"ura": "90000101"}}}
    query = "identifier=http://fhir.nl/fhir/NamingSystem/bsn|999910000"
    resource = {"type": "fhir_request", "id": "1", "properties": {"method": "GET", "path": "Patient", "query": query}}
    asked = {"subject": subject, "action": {"name": "read"}, "resource": resource}
    answer = (await network.call("POST", "/access/v1/evaluation", party=ZA, json=asked)).json()
    assert answer["context"]["findings"]["pzp_gf"]["reasons"][0]["code"] == "pip_error"
    assert network.passed == []
