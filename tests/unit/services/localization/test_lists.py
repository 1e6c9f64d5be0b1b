"""Registering and localizing by pseudonym, with an evaluation service that is the real one's code."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from proeftuin import pseudonym
from proeftuin.identifiers import URA_SYSTEM
from proeftuin.sandbox.care_system import LIST_SUBJECT
from services.localization.app import create_app
from services.localization.lists import CATEGORY_SYSTEM, CLIENT_SYSTEM, CUSTODIAN
from services.pseudonymisation import evaluation
from tests.harness import Harness

HOLDER, HOSPITAL = "verpleeghuis-avondrood", "ziekenhuis-de-linde"
SCOPE = "nationale-verwijsindex"
MASTER = bytes(range(32))


@pytest.fixture
async def harness(tmp_path: Path, database_url: str) -> AsyncIterator[Harness]:
    made = Harness(tmp_path, "localization", ["verwijsindex"], database_url)
    async with made.running(create_app(made.settings, made.wiring)):
        yield made


def subject(harness: Harness, bsn: str, *, audience: str | None = None, scope: str = SCOPE) -> str:
    """Return a subject token, evaluated and sealed for the register (or for another recipient)."""
    recipient = harness.peer("verwijsindex").client_id
    key = RSAKey.import_key((harness.settings.tenants[0].folder / "keys" / "evaluations.pem").read_bytes())
    blinded = pseudonym.blind(pseudonym.derive(bsn, recipient, SCOPE))
    evaluated = evaluation.evaluate(evaluation.evaluation_key(MASTER, recipient, SCOPE), blinded.blinded_input)
    sealed = evaluation.seal(evaluated, dict(key.as_dict(private=False)), audience or recipient, scope, harness.clock.now())
    return pseudonym.encode_token(sealed, blinded.blind_factor)


def registration(token: str, ura: str = "90000103", code: str = "Condition", source: str = "ura:90000103") -> dict[str, Any]:
    return {
        "resourceType": "List", "status": "current", "mode": "working",
        "code": {"coding": [{"system": CATEGORY_SYSTEM, "code": code}]},
        "subject": {"identifier": {"system": LIST_SUBJECT, "value": token, "use": "temp"}},
        "extension": [{"url": CUSTODIAN, "valueReference": {"identifier": {"system": URA_SYSTEM, "value": ura}}}],
        "source": {"identifier": {"system": CLIENT_SYSTEM, "value": source}},
        "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "withheld"}]},
    }  # fmt: skip


async def register(harness: Harness, resource: dict[str, Any], party: str = HOLDER, *scopes: str) -> Any:
    token = harness.token(party, *(scopes or ("nvi:create",)))
    return await harness.call("POST", "/fhir/List", party=party, token=token, json=resource)


async def localize(harness: Harness, token: str, party: str = HOSPITAL, scope: str = "nvi:localize", **form: str) -> Any:
    data = {"subject:identifier": f"{LIST_SUBJECT}|{token}"} | form
    return await harness.call("POST", "/fhir/List/_search", party=party, token=harness.token(party, scope), data=data)


@pytest.mark.anyio
async def test_what_is_registered_is_found_by_pseudonym_and_shows_no_subject(harness: Harness) -> None:
    given = await register(harness, registration(subject(harness, "999910000")))
    assert given.status_code == 201
    assert "subject" not in given.json()
    found = (await localize(harness, subject(harness, "999910000"), code="Condition")).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [given.json()["id"]]
    assert "subject" not in found["entry"][0]["resource"]
    for token, form in ((subject(harness, "999918138"), {}), (subject(harness, "999910000"), {"code": "Patient"})):
        assert (await localize(harness, token, **form)).json()["total"] == 0
    again = await register(harness, registration(subject(harness, "999910000")))
    assert (again.status_code, again.headers["X-Reason"]) == (409, "conflict")


@pytest.mark.anyio
async def test_an_evaluation_serves_once_in_time_and_for_this_register(harness: Harness) -> None:
    token = subject(harness, "999910000")
    assert (await localize(harness, token)).status_code == 200
    late = subject(harness, "999910000")
    cases = {
        "pseudonym_replayed": [token],
        "pseudonym_invalid": [
            subject(harness, "999910000", audience="oin:else"),
            subject(harness, "999910000", scope="nvi"),
            "x",
            token[:-9],
        ],
    }
    for reason, tokens in cases.items():
        for each in tokens:
            assert (await localize(harness, each)).headers["X-Reason"] == reason
    harness.clock.forward(seconds=evaluation.LIFETIME)
    assert (await localize(harness, late)).headers["X-Reason"] == "pseudonym_expired"
    assert {event["outcome"] for event in (await harness.logged())[1:]} == {"8"}


@pytest.mark.anyio
async def test_a_custodian_manages_its_own_registrations_alone(harness: Harness) -> None:
    other = await register(harness, registration(subject(harness, "999910000"), ura="90000105"))
    assert other.headers["X-Reason"] == "party_mismatch"
    source = await register(harness, registration(subject(harness, "999910000"), source="ura:90000105"))
    assert source.headers["X-Reason"] == "party_mismatch"
    given = (await register(harness, registration(subject(harness, "999910000")))).json()
    path = f"/fhir/List/{given['id']}"
    foreign = harness.token(HOSPITAL, "nvi:delete", "nvi:read")
    for method in ("GET", "DELETE"):
        assert (await harness.call(method, path, party=HOSPITAL, token=foreign)).headers["X-Reason"] == "not_found"
    own = harness.token(HOLDER, "nvi:delete", "nvi:read")
    assert (await harness.call("GET", path, party=HOLDER, token=own)).status_code == 200
    assert (await harness.call("DELETE", path, party=HOLDER, token=own)).status_code == 204
    assert (await localize(harness, subject(harness, "999910000"))).json()["total"] == 0


@pytest.mark.anyio
async def test_a_transaction_is_all_or_nothing_and_each_entry_needs_its_scope(harness: Harness) -> None:
    def bundle(*entries: dict[str, Any]) -> dict[str, Any]:
        return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}

    def post(code: str) -> dict[str, Any]:
        resource = registration(subject(harness, "999910000"), code=code)
        return {"resource": resource, "request": {"method": "POST", "url": "List"}}

    async def send(body: dict[str, Any], *scopes: str) -> Any:
        return await harness.call("POST", "/fhir", party=HOLDER, token=harness.token(HOLDER, *scopes), json=body)

    gone = {"request": {"method": "DELETE", "url": "List/none"}}
    failed = await send(bundle(post("Condition"), gone), "nvi:create", "nvi:delete")
    assert failed.headers["X-Reason"] == "not_found"
    assert (await localize(harness, subject(harness, "999910000"))).json()["total"] == 0
    assert (await send(bundle(post("Condition"), gone), "nvi:create")).headers["X-Reason"] == "insufficient_scope"
    assert (await send(bundle(post("Condition"), post("Patient")), "nvi:create")).status_code == 200
    assert (await localize(harness, subject(harness, "999910000"))).json()["total"] == 2


@pytest.mark.anyio
async def test_nvi_read_shows_the_callers_own_and_a_bsn_in_the_url_is_refused(harness: Harness) -> None:
    await register(harness, registration(subject(harness, "999910000")))
    assert (await localize(harness, subject(harness, "999910000"), scope="nvi:read")).json()["total"] == 0
    token = harness.token(HOSPITAL, "nvi:localize")
    refused = await harness.call("GET", "/fhir/List?code=999910000", party=HOSPITAL, token=token)
    assert refused.headers["X-Reason"] == "identifier_in_url"
    for query in ("", "?code=Everything", "?colour=red"):
        answer = await harness.call("GET", f"/fhir/List{query}", party=HOSPITAL, token=token)
        assert answer.headers["X-Reason"] in ("parameter_invalid", "parameter_unknown")


@pytest.mark.anyio
async def test_a_transaction_removes_before_it_adds_whatever_the_order(harness: Harness) -> None:
    first = (await register(harness, registration(subject(harness, "999910000")))).json()["id"]
    post = {"resource": registration(subject(harness, "999910000")), "request": {"method": "POST", "url": "List"}}
    gone = {"request": {"method": "DELETE", "url": f"List/{first}"}}
    body = {"resourceType": "Bundle", "type": "transaction", "entry": [post, gone]}
    answer = await harness.call("POST", "/fhir", party=HOLDER, token=harness.token(HOLDER, "nvi:create", "nvi:delete"), json=body)
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["201 Created", "204 No Content"]
    (found,) = (await localize(harness, subject(harness, "999910000"))).json()["entry"]
    assert found["resource"]["id"] != first


@pytest.mark.anyio
async def test_a_subject_with_a_source_finds_what_that_source_registered(harness: Harness) -> None:
    await register(harness, registration(subject(harness, "999910000")))
    for source, total in (("ura:90000103", 1), ("ura:90000105", 0)):
        form = {"source:identifier": f"{CLIENT_SYSTEM}|{source}"}
        assert (await localize(harness, subject(harness, "999910000"), party=HOLDER, **form)).json()["total"] == total
    odd = await localize(harness, subject(harness, "999910000"), party=HOLDER, **{"source:identifier": "a\x00b"})
    assert odd.headers["X-Reason"] == "parameter_invalid"


@pytest.mark.anyio
@pytest.mark.parametrize("value", ["999910000", f"{LIST_SUBJECT}|999910000"])
async def test_a_bsn_in_the_place_of_a_pseudonym_in_the_url(harness: Harness, value: str) -> None:
    token = harness.token(HOSPITAL, "nvi:localize")
    answer = await harness.call("GET", "/fhir/List", party=HOSPITAL, token=token, params={"subject:identifier": value})
    assert answer.headers["X-Reason"] == "identifier_in_url"


@pytest.mark.anyio
async def test_what_a_registration_cannot_say(harness: Harness) -> None:
    two = registration(subject(harness, "999910000"))
    two["code"]["coding"] += [{"system": CATEGORY_SYSTEM, "code": "Patient"}]
    assert (await register(harness, two)).headers["X-Reason"] == "profile"
    echoed = await register(harness, registration(subject(harness, "999910000"), source="999910000"))
    assert (echoed.headers["X-Reason"], "999910000" in echoed.text) == ("party_mismatch", False)
    for url in ("List/\x00", "List/\ud800", "List/", f"List/{'a' * 65}", "Patient/1"):
        body = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": url}}]}
        sent: dict[str, Any] = {"headers": {"Content-Type": "application/fhir+json"}, "content": json.dumps(body)}
        answer = await harness.call("POST", "/fhir", party=HOLDER, token=harness.token(HOLDER, "nvi:delete"), **sent)
        assert (answer.status_code, answer.headers["X-Reason"]) == (400, "malformed")
