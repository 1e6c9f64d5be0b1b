"""Black-box tests by requirement: each is named by the source, section and what it asks. They run against any base URL."""

import base64
import time
from typing import Any

import pytest

from proeftuin.transparency import checkpoint, cosignature, merkle
from services.logging.conformance.report import issues, judge
from tests.contract.target import Target

CONTRACT_TEST = "contract test"
URA = "http://fhir.nl/fhir/NamingSystem/ura"


def test_mcsd_iti90_read_gives_etag_and_version(target: Target) -> None:
    """IHE mCSD ITI-90, MinVWS 0.10 care-services: versioned-update, ETag W/"n"."""
    found = target.http.get(f"{target.addressing}/fhir/Organization", params={"_count": "1"}).json()["entry"][0]["resource"]
    answer = target.http.get(f"{target.addressing}/fhir/Organization/{found['id']}")
    assert answer.headers["ETag"] == f'W/"{answer.json()["meta"]["versionId"]}"'


def test_mcsd_iti90_pages_give_every_resource_once_and_t0_on_the_first(target: Target) -> None:
    """MinVWS 0.10: link next until exhausted; Bundle.meta.lastUpdated of page 1 is the sync timestamp."""
    url, seen, first = f"{target.addressing}/fhir/Endpoint?_count=7", list[str](), True
    while url:
        bundle = target.http.get(url).json()
        assert bundle["type"] == "searchset"
        assert ("lastUpdated" in bundle.get("meta", {})) or not first
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        url, first = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), ""), False
    assert len(seen) == len(set(seen)) == bundle["total"]


def test_mcsd_organization_includes_its_endpoints(target: Target) -> None:
    """MinVWS 0.10 §1.8: _include=Organization:endpoint; MinVWS §1.4: endpoint users point to it."""
    params = {"identifier": f"{URA}|90000103", "_include": "Organization:endpoint"}
    entries = target.http.get(f"{target.addressing}/fhir/Organization", params=params).json()["entry"]
    kinds = {entry["resource"]["connectionType"]["code"] for entry in entries if entry["search"]["mode"] == "include"}
    assert kinds == {"hl7-fhir-rest", "oauth2"}


@pytest.mark.parametrize("query", ["colour=red", "_count=x", "active:contains=true", "_include=Nothing:here"])
def test_fhir_search_refuses_what_it_does_not_know(target: Target, query: str) -> None:
    """FHIR R4 §3.1.1: an OperationOutcome, 4xx, with a reason."""
    answer = target.http.get(f"{target.addressing}/fhir/Organization?{query}")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"].startswith("parameter_")


def test_house_a_bsn_in_a_url_is_refused(target: Target) -> None:
    """House rule 7: a BSN never stands in a URL."""
    answer = target.http.get(f"{target.addressing}/fhir/Organization?identifier=999910000")
    assert answer.headers["X-Reason"] == "identifier_in_url"


def test_rfc8414_metadata_stands_before_the_path_and_names_its_issuer(target: Target) -> None:
    """RFC 8414 §3.1, §3.3."""
    issuer = target.services["authorization"]
    host, _, path = issuer.removeprefix("https://").partition("/")
    metadata = target.http.get(f"https://{host}/.well-known/oauth-authorization-server/{path}").json()
    assert metadata["issuer"] == issuer
    assert metadata["tls_client_certificate_bound_access_tokens"] is True
    assert target.http.get(metadata["jwks_uri"]).json()["keys"][0]["alg"] == "ES256"


def test_rfc6749_token_response_and_errors(target: Target) -> None:
    """RFC 6749 §5.1, §5.2: no-store, token_type, expires_in; errors as JSON with error."""
    answer = target.token("localization", "nvi:localize")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["token_type"] == "Bearer"
    refused = target.token("localization", "everything")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    twice = target.http.post(
        f"{target.services['authorization']}/token", content=b"grant_type=client_credentials&scope=a&scope=b",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert twice.json()["error"] == "invalid_request"


def test_rfc6750_a_missing_token_is_answered_with_a_challenge(target: Target) -> None:
    """RFC 6750 §3: 401 with WWW-Authenticate: Bearer."""
    answer = target.http.post(f"{target.services['pseudonymisation']}/evaluate", json={})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_rfc6750_another_scope_is_insufficient(target: Target) -> None:
    """RFC 6750 §3.1: 403 insufficient_scope."""
    token = target.token("localization", "nvi:read").json()["access_token"]
    answer = target.http.delete(f"{target.services['localization']}/fhir/List/x", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["X-Reason"]) == (403, "insufficient_scope")


def test_rfc8707_a_token_for_one_service_is_no_token_for_another(target: Target) -> None:
    """RFC 8707 §2, RFC 9068 §4: the audience is checked."""
    token = target.token("localization", "nvi:localize").json()["access_token"]
    answer = target.http.post(
        f"{target.services['pseudonymisation']}/evaluate", json={}, headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.headers["X-Reason"]) == (401, "token_audience")


def test_w3c_trace_context_is_continued(target: Target) -> None:
    """W3C Trace Context §3: the answer stands in the caller's trace."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = target.http.get(f"{target.addressing}/fhir/metadata", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert answer.headers["traceparent"].split("-")[1] == trace


def audit_event() -> dict[str, Any]:
    """An AuditEvent that is R4 and no more."""
    return {
        "resourceType": "AuditEvent", "recorded": "2026-06-01T12:00:00.000Z", "outcome": "0",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": True, "who": {"display": CONTRACT_TEST}}], "source": {"observer": {"display": CONTRACT_TEST}},
    }  # fmt: skip


def test_iti20_an_audit_event_is_stored_once_however_often_it_is_sent(target: Target) -> None:
    """IHE ITI-20 with Idempotency-Key: 201 only after the checkpoint covers it."""
    token = target.token("logging", "system/AuditEvent.c").json()["access_token"]
    event = audit_event()
    key = f"contract-{token[-20:]}"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/fhir+json"}
    first = target.http.post(f"{target.services['logging']}/fhir/AuditEvent", json=event, headers=headers)
    again = target.http.post(f"{target.services['logging']}/fhir/AuditEvent", json=event, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Audit-Index"] == again.headers["Audit-Index"]
    size = int(target.http.get(f"{target.services['logging']}/checkpoint").text.split("\n")[1])
    assert size > int(first.headers["Audit-Index"])


def test_balp_and_nen7513_the_targets_own_events_are_what_they_claim_and_complete(target: Target) -> None:
    """IHE BALP 1.1.5 by meta.profile, NEN 7513:2018 chapter 7 by element, as the log gives them back (ITI-81)."""
    token = target.token("logging", "system/AuditEvent.rs").json()["access_token"]
    url, told = f"{target.services['logging']}/fhir/AuditEvent?date=ge2000-01-01&_count=200", list[str]()
    while url:
        page = target.http.get(url, headers={"Authorization": f"Bearer {token}"}).json()
        for entry in page.get("entry", []):
            event = entry["resource"]
            if event["source"]["observer"].get("display") != CONTRACT_TEST:  # what these tests themselves bring in
                wrong = [issue.diagnostics for issue in issues(judge(event)) if issue.severity in ("error", "warning")]
                told += [f"AuditEvent/{event['id']}: {each}" for each in wrong]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert told == []


def test_fhir_validate_tells_what_an_event_claims_and_lacks_and_stores_nothing(target: Target) -> None:
    """FHIR R4 $validate: 200 with an OperationOutcome; BALP: never refused, unless asked (RFC 7240 §4.4 handling=strict)."""
    token = target.token("logging", "system/AuditEvent.c").json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    event = audit_event() | {"meta": {"profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Read"]}}
    url = f"{target.services['logging']}/fhir/AuditEvent"
    answer = target.http.post(f"{url}/$validate", json=event, headers=headers)
    severities = {issue["severity"] for issue in answer.json()["issue"]}
    assert (answer.status_code, severities) == (200, {"error", "warning", "information"})
    strictly = target.http.post(url, json=event, headers=headers | {"Prefer": "handling=strict"})
    assert (strictly.status_code, strictly.headers["X-Reason"]) == (422, "not_conforming")


def test_c2sp_tlog_cosignature_the_witness_saw_the_log_that_the_log_shows(target: Target) -> None:
    log, witness = target.services["logging"], target.services["witness"]
    for _ in range(50):  # the witness is shown a checkpoint within a second
        witnessed = target.http.get(f"{log}/checkpoint/witnessed")
        if witnessed.status_code == 200:
            break
        time.sleep(0.2)
    key = target.http.get(f"{log}/key").text
    seen = checkpoint.verify(witnessed.text, key)
    assert cosignature.verify(witnessed.text, target.http.get(f"{witness}/key").text) > 0
    kept = checkpoint.verify(target.http.get(f"{witness}/checkpoint", params={"origin": seen.origin}).text, key)
    newest = checkpoint.verify(target.http.get(f"{log}/checkpoint").text, key)
    for old, new in ((seen, newest), (kept, newest)):
        answer = target.http.get(f"{log}/proof/consistency", params={"old": old.size, "new": new.size})
        path = [base64.b64decode(each) for each in answer.json()["path"]]
        merkle.verify_consistency(old.size, new.size, path, old.root, new.root)


def test_c2sp_tlog_witness_only_the_log_is_cosigned(target: Target) -> None:
    answer = target.http.post(
        f"{target.services['witness']}/add-checkpoint", content=b"old 0\n\nx\n", headers={"Content-Type": "text/plain"}
    )  # fmt: skip
    assert (answer.status_code, answer.headers["X-Reason"]) == (403, "party_mismatch")
