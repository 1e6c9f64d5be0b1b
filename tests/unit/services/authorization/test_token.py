"""The token endpoint: what it gives, and every ground on which it does not."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.tokens.keys import SigningKeys
from services.authorization.app import create_app
from tests.harness import BASE, Harness

HOSPITAL, PORTAL = "ziekenhuis-de-linde", "mijn-dossier"


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """The national instance: its issuer and the two identity providers."""
    made = Harness(tmp_path, "authorization", ["vws", "cibg"])
    tenants = [
        each.model_copy(update={"issuer": f"{BASE}/oauth2/{each.party}", "audience": f"{BASE}/oauth2/{each.party}"})
        for each in made.settings.tenants
    ]
    made.settings = made.settings.model_copy(update={"tenants": tenants})
    async with made.running(create_app(made.settings, made.wiring)):
        yield made


async def ask(harness: Harness, party: str = HOSPITAL, /, **changes: str | None) -> Any:
    form = {
        "grant_type": "client_credentials", "client_id": harness.peer(party).client_id, "scope": "nvi:localize", "resource": BASE,
    } | changes  # fmt: skip
    return await harness.call("POST", "/oauth2/vws/token", party=party, data={k: v for k, v in form.items() if v is not None})


def details(bsn: str = "999910000", **changes: Any) -> str:
    content = {"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": bsn}, "purpose_of_use": "PATRQT"}
    return json.dumps([content | changes])


async def log_in(harness: Harness, party: str, provider: str, **who: str) -> Any:
    form = {"client_id": harness.peer(party).client_id} | who
    return await harness.call("POST", f"/oauth2/{provider}/login", party=party, data=form)


@pytest.mark.anyio
async def test_a_token_is_bound_to_certificate_audience_scope_and_time(harness: Harness) -> None:
    answer = await ask(harness)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["cnf"] == {"x5t#S256": harness.peer(HOSPITAL).thumbprint}
    assert (claims["aud"], claims["scope"], claims["sub"]) == (BASE, "nvi:localize", "ura:90000101")
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 300
    (event,) = await harness.logged()
    assert claims["jti"] in json.dumps(event)
    assert answer.json()["access_token"] not in json.dumps(event)


@pytest.mark.anyio
async def test_a_client_gets_a_token_for_the_own_data(harness: Harness) -> None:
    statement = (await log_in(harness, PORTAL, "vws", client="999910000")).json()["id_token"]
    answer = await ask(
        harness, PORTAL, scope="patient/AuditEvent.rs", authorization_details=details(expires_in=60), id_token=statement
    )
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["extensions"]["ihe_iua"]["person_id"] == "999910000"
    assert answer.json()["expires_in"] == 60


@pytest.mark.anyio
@pytest.mark.parametrize(("reason", "changes"), [
    ("unknown_client", {"client_id": "ura:90000102"}), ("unknown_client", {"client_id": None}),
    ("invalid_request", {"grant_type": None}), ("unsupported_grant_type", {"grant_type": "password"}),
    ("scope_unknown", {"scope": ""}), ("scope_unknown", {"scope": "nvi:localize everything"}),
    ("scope_unknown", {"scope": "patient/Condition.rs"}), ("scope_not_allowed", {"scope": "prs:register"}),
    ("resource_unknown", {"resource": BASE + "/else"}), ("resource_unknown", {"resource": None}),
])  # fmt: skip
async def test_a_request_that_is_refused(harness: Harness, reason: str, changes: dict[str, str | None]) -> None:
    answer = await ask(harness, **changes)
    assert answer.json()["reason"] == reason, answer.text
    assert "99991000" not in answer.text
    (event,) = await harness.logged()
    assert event["outcomeDesc"].startswith(f"{reason}:")


@pytest.mark.anyio
@pytest.mark.parametrize(("reason", "changes"), [
    ("subject_missing", {"authorization_details": None}), ("identity_missing", {"id_token": None}),
    ("identity_invalid", {"id_token": "x"}), ("subject_mismatch", {"authorization_details": details("999918138")}),
    ("purpose_not_allowed", {"authorization_details": details(purpose_of_use="TREAT")}),
    ("invalid_request", {"scope": "patient/AuditEvent.rs system/AuditEvent.c"}),
])  # fmt: skip
async def test_a_person_that_does_not_fit(harness: Harness, reason: str, changes: dict[str, str | None]) -> None:
    statement = (await log_in(harness, PORTAL, "vws", client="999910000")).json()["id_token"]
    form = {"scope": "patient/AuditEvent.rs", "authorization_details": details(), "id_token": statement} | changes
    assert (await ask(harness, PORTAL, **form)).json()["reason"] == reason


@pytest.mark.anyio
async def test_a_statement_that_is_expired_or_of_a_professional(harness: Harness) -> None:
    statement = (await log_in(harness, PORTAL, "vws", client="999910000")).json()["id_token"]
    form = {"scope": "patient/AuditEvent.rs", "authorization_details": details()}
    harness.clock.forward(hours=1)
    assert (await ask(harness, PORTAL, **form, id_token=statement)).json()["reason"] == "identity_invalid"
    nurse = next(each for each in harness.seed.professionals if each.employer == HOSPITAL)
    professional = (await log_in(harness, HOSPITAL, "cibg", professional=nurse.uzi)).json()["id_token"]
    assert (await ask(harness, PORTAL, **form, id_token=professional)).json()["reason"] == "party_mismatch"


@pytest.mark.anyio
async def test_who_may_log_whom_in(harness: Harness) -> None:
    other = next(each for each in harness.seed.professionals if each.employer != HOSPITAL)
    assert (await log_in(harness, HOSPITAL, "cibg", professional=other.uzi)).json()["reason"] == "party_mismatch"
    assert (await log_in(harness, HOSPITAL, "vws", client="999910000")).json()["reason"] == "party_mismatch"
    assert (await log_in(harness, HOSPITAL, "cibg", professional="999999999")).json()["reason"] == "party_mismatch"
    assert (await log_in(harness, PORTAL, "vws", client="999999990")).json()["reason"] == "identity_invalid"
    assert (await log_in(harness, PORTAL, "cibg", client="999910000")).json()["reason"] == "invalid_request"


@pytest.mark.anyio
async def test_introspection_and_revocation(harness: Harness) -> None:
    raw = (await ask(harness)).json()["access_token"]

    async def introspect(token: str, party: str = "vws") -> Any:
        return await harness.call("POST", "/oauth2/vws/introspect", party=party, data={"token": token})

    assert (await introspect(raw)).json()["active"] is True
    assert "authorization_details" not in (await introspect(raw)).json(), "a system's token is for no client of care"
    assert (await introspect(raw, HOSPITAL)).json()["reason"] == "party_mismatch"
    assert (await introspect(raw[:-4] + "AAAA")).json() == {"active": False}
    assert (await introspect("")).json()["reason"] == "invalid_request"
    claims = jwt.decode(raw, options={"verify_signature": False})
    foreign = SigningKeys(harness.folder / "foreign", harness.clock).sign(claims, typ="at+jwt")
    assert (await introspect(foreign)).json() == {"active": False}
    thief = await harness.call("POST", "/oauth2/vws/revoke", party="ziekenhuis-oeverzicht", data={"token": raw})
    assert thief.json()["reason"] == "party_mismatch"
    assert (await harness.call("POST", "/oauth2/vws/revoke", party=HOSPITAL, data={"token": raw})).status_code == 200
    assert (await introspect(raw)).json() == {"active": False}
    late = (await ask(harness)).json()["access_token"]
    harness.clock.forward(seconds=300)
    assert (await introspect(late)).json() == {"active": False}


@pytest.mark.anyio
async def test_a_rotated_key_signs_and_the_old_one_still_verifies(harness: Harness) -> None:
    before = (await ask(harness)).json()["access_token"]
    keys = SigningKeys(harness.settings.tenants[0].folder / "keys" / "signing", harness.clock)
    harness.clock.forward(seconds=1)
    fresh = keys.rotate()
    jwks = (await harness.call("GET", "/oauth2/vws/jwks", party=HOSPITAL)).json()["keys"]
    assert [key["kid"] for key in jwks] == [fresh, jwt.get_unverified_header(before)["kid"]]
    assert jwt.get_unverified_header((await ask(harness)).json()["access_token"])["kid"] == fresh
    assert (await harness.call("POST", "/oauth2/vws/introspect", party="vws", data={"token": before})).json()["active"] is True


ONE = json.loads(details())[0]
UNFIT: list[tuple[str, Any]] = [  # what is told, and of which authorization_details
    ("it is not JSON", "{"), ("it is not JSON", '[{"type": "client_data", "type": "client_data"}]'), ("it is not JSON", "[NaN]"),
    ("it is not JSON", f'{json.dumps([ONE])}, "list": []'), ("it is not a list", f'{json.dumps([ONE])}, "more": []'),
    ("it is not a list", 5), ("it is not a list", ONE), ("it is not a list", '"x"'),
    ("the list has not exactly one object", []), ("the list has not exactly one object", [ONE, ONE]),
    ("the list has not exactly one object", [1]),
    ("type is missing", [{"patient": ONE["patient"]}]), ("type is unknown", [ONE | {"type": "other"}]),
    ("type is unknown", [ONE | {"type": ["client_data"]}]), ("1 unknown field(s)", [ONE | {"locations": ["https://else.example"]}]),
    ("patient is missing", [{"type": "client_data"}]), ("patient is an object", [ONE | {"patient": "999910000"}]),
    ("patient: ", details(bsn="999910001")), ("purpose_of_use is", [ONE | {"purpose_of_use": "a b"}]),
    ("purpose_of_use is", [ONE | {"purpose_of_use": 5}]), ("not_before is", [ONE | {"not_before": -1}]),
    ("not_before is", [ONE | {"not_before": "now"}]), ("not_before is more than a day ahead", [ONE | {"not_before": 1 << 39}]),
    ("expires_in is", details(expires_in=3601)), ("expires_in is", details(expires_in=0)),
    ("expires_in is", details(expires_in=True)),
    ("reason is text", [ONE | {"reason": 5}]), ("reason carries a BSN", [ONE | {"reason": "999910000 valt"}]),
]  # fmt: skip


@pytest.mark.anyio
async def test_rfc9396_5_authorization_details_that_are_not_of_the_type_are_told_apart(harness: Harness) -> None:
    for told, wrong in UNFIT:
        answer = await ask(harness, authorization_details=wrong if isinstance(wrong, str) else json.dumps(wrong))
        found = answer.json()
        refused = (400, "invalid_authorization_details", "authorization_details")
        assert (answer.status_code, found["error"], found["reason"]) == refused, wrong
        assert found["error_description"].startswith(f"authorization_details: {told}"), found
        assert "99991000" not in answer.text
        (event,) = await harness.logged()
        assert event["outcomeDesc"].startswith("authorization_details:")


@pytest.mark.anyio
async def test_rfc6749_3_2_what_the_endpoint_does_not_know_it_ignores_and_says_what_it_gave(harness: Harness) -> None:
    begin = int(harness.clock.now().timestamp()) + 60
    answer = await ask(harness, expires_in="30", not_before=str(begin))
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert answer.json()["expires_in"] == claims["exp"] - claims["iat"] == 300
    assert "nbf" not in claims
    document = (await harness.call("GET", "/openapi.json", party=HOSPITAL)).json()
    body = document["paths"]["/oauth2/{party}/token"]["post"]["requestBody"]["content"]
    shown = body["application/x-www-form-urlencoded"]["schema"]["properties"]
    assert "authorization_details" in shown
    assert not {"expires_in", "not_before"} & shown.keys()


@pytest.mark.anyio
async def test_where_nobody_is_registered_nobody_signs_an_assertion(harness: Harness) -> None:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    signed = SigningKeys(harness.folder / "client", harness.clock).sign({"iss": "ura:90000101"}, typ="JWT")
    answer = await ask(harness, client_assertion=signed, client_assertion_type=kind)
    assert (answer.json()["reason"], answer.status_code) == ("client_assertion", 401)


@pytest.mark.anyio
async def test_a_parameter_that_stands_there_twice(harness: Harness) -> None:
    form = f"grant_type=client_credentials&client_id=ura:90000101&scope=nvi:localize&scope=nvi:localize&resource={BASE}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await harness.call("POST", "/oauth2/vws/token", party=HOSPITAL, content=form, headers=headers)
    assert answer.json()["reason"] == "invalid_request"


@pytest.mark.anyio
async def test_who_may_audit_the_log(harness: Harness) -> None:
    """A care provider its own events, a supervisor all; nobody else either."""
    open_to = {("log:audit", HOSPITAL), ("log:supervise", "igj")}
    for scope in ("log:audit", "log:supervise"):
        for party in (HOSPITAL, "igj", PORTAL, "nza", "vws"):
            answer = (await ask(harness, party, scope=scope)).json()
            assert answer.get("reason") == (None if (scope, party) in open_to else "scope_not_allowed")
