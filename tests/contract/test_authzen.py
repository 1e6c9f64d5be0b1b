"""The Authorization API 1.0 of OpenID AuthZEN, black box, at the decision point of the target's authorization server."""

from typing import Any

import httpx
import pytest

from tests.contract.iwlz_matrix import OWN, spec
from tests.contract.target import Target

BR = "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"


@pytest.fixture
def pdp(target: Target) -> str:
    """The base address of the decision point."""
    return target.services["authorization"].partition("/oauth2/")[0]


@pytest.fixture
def asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A question that is permitted."""
    agb = request.config.getoption("--agb")
    about = {"organization_type": "ZORGAANBIEDER", "identifiers": {"agb_code": agb}, "scopes": [BR]}
    return {
        "subject": {"type": "organization", "id": f"agbcode:{agb}", "properties": about}, "action": {"name": "QUERY"},
        "resource": graphql(agb), "context": {"time": "2026-11-25T12:00:00Z"},
    }  # fmt: skip


def graphql(agb: str) -> dict[str, Any]:
    return {"type": "graphql_request", "id": "1", "properties": {"query": spec(OWN, "zzpCode"), "variables": {"agb": agb}}}


def post(target: Target, url: str, content: Any, **headers: str) -> httpx.Response:
    return target.http.post(url, json=content, headers=headers)


FOREIGN: dict[str, Any] = {"resource": graphql("1")}


def test_authzen_6_an_evaluation_permits_or_denies(target: Target, pdp: str, asked: dict[str, Any]) -> None:
    """§6.2, §10.1.2: a denial is 200 too."""
    for changes, decision in (({}, True), (FOREIGN, False), ({"resource": {"type": "unheard-of", "id": "1"}}, False)):
        answer = post(target, f"{pdp}/access/v1/evaluation", asked | changes)
        assert (answer.status_code, answer.json()["decision"]) == (200, decision), answer.text
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json().get("context", {}), dict)


@pytest.mark.parametrize("changes", [
    {"subject": None}, {"subject": "x"}, {"subject": {"type": "organization"}}, {"subject": {"id": "1"}}, {"action": None},
    {"action": {}}, {"action": {"name": 1}}, {"resource": None}, {"resource": {"type": "graphql_request"}},
    {"resource": {"id": "1"}},
    {"context": "x"}, {"resource": graphql("1") | {"properties": "x"}},
])  # fmt: skip
def test_authzen_10_1_2_a_question_that_is_not_well_formed_is_400(
    target: Target, pdp: str, asked: dict[str, Any], changes: dict[str, Any]
) -> None:
    content = {name: value for name, value in (asked | changes).items() if value is not None}
    for path in ("evaluation", "evaluations"):
        answer = post(target, f"{pdp}/access/v1/{path}", content, **{"X-Request-ID": "of the asker"})
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (400, "of the asker"), answer.text


def test_authzen_10_1_it_is_posted_as_json(target: Target, pdp: str, asked: dict[str, Any]) -> None:
    for path in ("evaluation", "evaluations"):
        url = f"{pdp}/access/v1/{path}"
        assert target.http.get(url).status_code == 405
        assert target.http.post(url, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
        for body in (b"{", b"[]", b"1"):
            assert target.http.post(url, content=body, headers={"Content-Type": "application/json"}).status_code == 400


@pytest.mark.parametrize(("semantic", "decisions"), [
    (None, [True, False, True, False]), ("execute_all", [True, False, True, False]), ("deny_on_first_deny", [True, False]),
    ("permit_on_first_permit", [True]),
])  # fmt: skip
def test_authzen_7_1_2_1_how_far_evaluations_go(
    target: Target, pdp: str, asked: dict[str, Any], semantic: str | None, decisions: list[bool]
) -> None:
    """§7.1.1: what stands beside `evaluations` is the default for each; §7.2: the same order, and no decision on all."""
    content = (
        asked | {"evaluations": [{}, FOREIGN, {}, FOREIGN]} | ({"options": {"evaluations_semantic": semantic}} if semantic else {})
    )
    answer = post(target, f"{pdp}/access/v1/evaluations", content)
    assert (answer.status_code, answer.json().keys()) == (200, {"evaluations"})
    assert [each["decision"] for each in answer.json()["evaluations"]] == decisions
    first = post(target, f"{pdp}/access/v1/evaluations", content | {"evaluations": [FOREIGN, {}, FOREIGN]}).json()["evaluations"]
    ends = {"deny_on_first_deny": [False], "permit_on_first_permit": [False, True]}
    assert [each["decision"] for each in first] == ends.get(semantic or "", [False, True, False])


def test_authzen_7_2_1_an_error_in_one_evaluation_denies_that_one(target: Target, pdp: str, asked: dict[str, Any]) -> None:
    content = asked | {"evaluations": [{}, {"action": {}}, {"subject": "x"}, {}]}
    answer = post(target, f"{pdp}/access/v1/evaluations", content)
    told = answer.json()["evaluations"]
    assert (answer.status_code, [each["decision"] for each in told]) == (200, [True, False, False, True])
    for each in told[1:3]:
        assert each["context"]["error"]["status"] == 400
        assert each["context"]["error"]["message"]


@pytest.mark.parametrize("changes", [
    {"evaluations": "x"}, {"evaluations": [1]}, {"evaluations": [{}], "options": {"evaluations_semantic": "x"}},
    {"evaluations": [{}], "options": "x"},
])  # fmt: skip
def test_authzen_7_2_1_an_error_in_the_whole_is_400(
    target: Target, pdp: str, asked: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert post(target, f"{pdp}/access/v1/evaluations", asked | changes).status_code == 400


def test_authzen_7_1_without_evaluations_it_is_one_evaluation(target: Target, pdp: str, asked: dict[str, Any]) -> None:
    for content in (asked, asked | {"evaluations": []}):
        assert post(target, f"{pdp}/access/v1/evaluations", content).json()["decision"] is True


def test_authzen_9_metadata_names_the_point_and_its_endpoints(target: Target, pdp: str, asked: dict[str, Any]) -> None:
    """§9.2.2: what it is called is what the address was made of; no endpoint stands there that is not offered."""
    answer = target.http.get(f"{pdp}/.well-known/authzen-configuration")
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert told["policy_decision_point"] == pdp
    assert post(target, told["access_evaluation_endpoint"], asked).json()["decision"] is True
    assert post(target, told["access_evaluations_endpoint"], asked | {"evaluations": [{}]}).status_code == 200
    assert not {name for name in told if name.startswith("search_")}


@pytest.mark.parametrize("named", ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "of the asker", "x" * 150])
def test_authzen_10_1_3_a_request_id_comes_back(target: Target, pdp: str, asked: dict[str, Any], named: str) -> None:
    for path, content in (("evaluation", asked), ("evaluations", asked | {"evaluations": [{}]}), ("evaluation", {})):
        assert post(target, f"{pdp}/access/v1/{path}", content, **{"X-Request-ID": named}).headers["X-Request-ID"] == named
