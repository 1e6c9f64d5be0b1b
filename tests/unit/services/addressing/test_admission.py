"""Who may call each route: refused at the enforcement point, each with its event."""

import pytest

from tests.unit.services.addressing.directory import ENDPOINT, HOSPITAL, ORGANIZATION, OTHER_VENDOR, VENDOR, Directory, refused

pytestmark = pytest.mark.anyio
READS = [
    ("GET", "/fhir/metadata", "110132"),
    *(("GET", f"/fhir/{kind}", "search-type") for kind in ("Organization", "Endpoint")),
    *(("POST", f"/fhir/{kind}/_search", "search-type") for kind in ("Organization", "Endpoint")),
    *(("GET", f"/fhir/{kind}/_history", "history-type") for kind in ("Organization", "Endpoint")),
    *(("GET", f"/fhir/{kind}/1", "read") for kind in ("Organization", "Endpoint")),
    *(("GET", f"/fhir/{kind}/1/_history/1", "read") for kind in ("Organization", "Endpoint")),
]
WRITES = [
    ("PUT", "/fhir/Organization/1", "update", ENDPOINT),
    ("PUT", "/fhir/Endpoint/1", "update", ORGANIZATION),
    ("POST", "/fhir", "transaction", "nvi:read"),
]


@pytest.mark.parametrize(("method", "path", "code"), [*READS, *(each[:3] for each in WRITES)])
async def test_a_certificate_without_an_identity_is_refused(directory: Directory, method: str, path: str, code: str) -> None:
    await refused(directory, await directory.call(method, path, party=None), 401, "certificate_invalid", code)


@pytest.mark.parametrize(("method", "path", "code", "other_scope"), WRITES)
async def test_to_write_a_token_is_needed(directory: Directory, method: str, path: str, code: str, other_scope: str) -> None:
    async def attempt(reason: str, status: int, token: str | None, party: str = VENDOR) -> None:
        answer = await directory.call(method, path, party=party, token=token, json={})
        await refused(directory, answer, status, reason, code)

    scopes = (ORGANIZATION, ENDPOINT)
    await attempt("token_missing", 401, None)
    await attempt("token_malformed", 401, "nonsense")
    await attempt("insufficient_scope", 403, directory.token(VENDOR, other_scope))
    await attempt("token_binding", 401, directory.token(VENDOR, *scopes), OTHER_VENDOR)
    await attempt("party_mismatch", 403, directory.token(VENDOR, *scopes, bound_to=HOSPITAL), HOSPITAL)
    await attempt("token_audience", 401, directory.token(VENDOR, *scopes, audience="https://elsewhere.example"))
    expired = directory.token(VENDOR, *scopes, lifetime=60)
    directory.clock.forward(hours=1)
    await attempt("token_expired", 401, expired)


async def test_to_read_a_certificate_is_enough(directory: Directory) -> None:
    for method, path, _ in READS:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await directory.call(method, path, party=OTHER_VENDOR, headers=headers)
        assert answer.status_code == (404 if path.endswith("/1") else 200)
    assert {event["outcome"] for event in await directory.logged()} == {"0", "8"}
