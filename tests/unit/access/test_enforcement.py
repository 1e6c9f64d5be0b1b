"""Every check of the enforcement point, one by one: each stands alone between a caller and the data."""

import base64
import importlib
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import fhir_response, problem
from proeftuin.access.requirement import UndeclaredRouteError, require
from proeftuin.access.route import guarded
from proeftuin.audit.events import READ
from proeftuin.reasons import CONFLICT, Refused
from proeftuin.service import Service
from proeftuin.tokens.access_token import MAX_LENGTH
from proeftuin.tokens.keys import SigningKeys
from services.pseudonymisation.app import create_app
from tests.harness import NETWORK, Harness

JSON = {"Content-Type": "application/json"}
HOSPITAL, THIEF = "ziekenhuis-de-linde", "ziekenhuis-oeverzicht"


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, "pseudonymisation", ["pseudoniemendienst"])


@pytest.fixture
def app(harness: Harness) -> FastAPI:
    """A service with one route for each kind of requirement, behind the real enforcement point."""
    service = Service(
        harness.settings, Path(importlib.import_module("services.pseudonymisation").__path__[0]) / "migrations", harness.wiring
    )
    router = guarded(problem)

    @router.get("/open")
    @require()
    async def open_(admission: Admitted) -> Response:
        return fhir_response({"who": admission.peer.client_id})

    @router.get("/scoped")
    @require("one", "two", event=READ)
    async def scoped(admission: Admitted) -> Response:
        admission.record.data = [{"reference": "List/1"}]
        return fhir_response({"jti": admission.token.jti})

    @router.get("/client")
    @require("one", patient=True, event=READ)
    async def client(admission: Admitted) -> Response:
        admission.record.data = [{"reference": "List/1"}]
        return fhir_response({"length": len(admission.patient)})

    @router.get("/own")
    @require(own_party=True)
    async def own(admission: Admitted) -> Response:
        return fhir_response({})

    @router.post("/body")
    @require(media_types=("application/json",), max_body=100)
    async def body(admission: Admitted) -> Response:
        return fhir_response(await admission.json_object())

    @router.get("/tokenless")
    @require()
    async def tokenless(admission: Admitted) -> Response:
        with pytest.raises(TypeError, match="no token"):
            _ = admission.token
        return fhir_response({})

    @router.get("/clientless")
    @require("one")
    async def clientless(admission: Admitted) -> Response:
        with pytest.raises(TypeError, match="no client"):
            _ = admission.patient
        return fhir_response({})

    @router.get("/{party}/door")
    @require("one", event=READ)
    async def door(admission: Admitted, party: str) -> Response:
        return fhir_response({})

    @router.get("/thing/{thing_id}")
    @require("one", event=READ)
    async def thing(admission: Admitted, thing_id: str) -> Response:
        return fhir_response({"id": thing_id})

    @router.post("/echo")
    @require(media_types=("application/json",), event=READ)
    async def echo(admission: Admitted) -> Response:
        raise Refused(CONFLICT, (await admission.json_object())["text"])

    @router.get("/broken")
    @require(event=READ)
    async def broken(admission: Admitted) -> Response:
        raise ZeroDivisionError

    return service.app("test", [router])


def tampered(token: str, **claims: Any) -> str:
    """Return the token with other claims and the old signature."""
    header, payload, signature = token.split(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(content | claims).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"


async def refused(harness: Harness, app: FastAPI, reason: str, path: str, **call: Any) -> dict[str, Any]:
    """Expect a refusal with this reason in header and body, and exactly one audit event that tells it."""
    async with harness.running(app):
        answer = await harness.call(call.pop("method", "GET"), path, **{"party": HOSPITAL} | call)
        assert answer.headers["X-Reason"] == reason, answer.text
        assert answer.json()["reason"] == reason
        assert answer.json()["remedy"]
        (event,) = await harness.logged()
    assert event["outcomeDesc"].startswith(f"{reason}:")
    return event


@pytest.mark.anyio
async def test_what_is_asked_for_is_given_and_logged(harness: Harness, app: FastAPI) -> None:
    async with harness.running(app):
        assert (await harness.call("GET", "/open", party=HOSPITAL)).json() == {"who": "ura:90000101"}
        assert (await harness.call("GET", "/own", party="pseudoniemendienst")).status_code == 200
        assert await harness.logged() == []
        for scopes in (("one",), ("two",), ("one", "other")):
            assert (await harness.call("GET", "/scoped", party=HOSPITAL, token=harness.token(HOSPITAL, *scopes))).status_code == 200
        token = harness.token(HOSPITAL, "one", patient="999910000")
        assert (await harness.call("GET", "/client", party=HOSPITAL, token=token)).json() == {"length": 9}
        events = await harness.logged()
    assert [event["outcome"] for event in events] == ["0"] * 4
    assert [len([e for e in event["entity"] if e.get("what", {}).get("type") == "Patient"]) for event in events] == [0, 0, 0, 1]


@pytest.mark.anyio
async def test_certificate_without_identity(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "certificate_invalid", "/open", party=None)


@pytest.mark.anyio
async def test_certificate_revoked_on_an_open_connection(harness: Harness, app: FastAPI) -> None:
    harness.authority.revoke(harness.peer(HOSPITAL).serial)
    await refused(harness, app, "certificate_revoked", "/open")


@pytest.mark.anyio
async def test_certificate_expired_on_an_open_connection(harness: Harness, app: FastAPI) -> None:
    harness.clock.moment = harness.peer(HOSPITAL).not_after
    await refused(harness, app, "certificate_expired", "/open")


@pytest.mark.anyio
async def test_nobodys_door_is_refused_and_logged_by_the_operator(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "not_found", "/nobody/door")


@pytest.mark.anyio
async def test_the_certificate_is_looked_at_before_the_door(harness: Harness, app: FastAPI) -> None:
    harness.authority.revoke(harness.peer(HOSPITAL).serial)
    await refused(harness, app, "certificate_revoked", "/nobody/door")


@pytest.mark.anyio
async def test_an_answer_that_cannot_be_logged_is_not_given(harness: Harness, app: FastAPI) -> None:
    token = harness.token(HOSPITAL, "one")
    async with harness.running(app):
        with app.state.service.operator.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE audit_outbox RENAME TO gone")
        answer = await harness.call("GET", "/scoped", party=HOSPITAL, token=token)
        assert (answer.status_code, answer.headers["X-Reason"]) == (500, "internal")
        assert "jti" not in answer.text
        with app.state.service.operator.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO audit_outbox")


@pytest.mark.anyio
async def test_another_party(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "party_mismatch", "/own")


@pytest.mark.anyio
async def test_no_token(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "token_missing", "/scoped")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "value", ["Basic eDp5", "Bearer", "Bearer a b", "Bearer x", "Bearer a.b.c", "Bearer " + "a" * (MAX_LENGTH + 1)]
)
async def test_garbage_instead_of_a_token(harness: Harness, app: FastAPI, value: str) -> None:
    await refused(harness, app, "token_malformed", "/scoped", headers={"Authorization": value})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("algorithm", "typ"), [("none", "at+jwt"), ("HS256", "at+jwt"), ("ES256", "JWT"), ("ES256", "verklaring+jwt")]
)
async def test_another_algorithm_or_kind_of_token(harness: Harness, app: FastAPI, algorithm: str, typ: str) -> None:
    claims = jwt.decode(harness.token(HOSPITAL, "one"), options={"verify_signature": False})
    if algorithm == "ES256":
        raw = harness.keys.sign(claims, typ=typ)
    else:
        raw = jwt.encode(claims, "x" * 32 if algorithm == "HS256" else "", algorithm=algorithm, headers={"typ": typ})
    await refused(harness, app, "token_malformed", "/scoped", token=raw)


@pytest.mark.anyio
async def test_a_good_token_under_another_scheme(harness: Harness, app: FastAPI) -> None:
    headers = {"Authorization": f"Basic {harness.token(HOSPITAL, 'one')}"}
    await refused(harness, app, "token_malformed", "/scoped", headers=headers)


@pytest.mark.anyio
async def test_a_good_token_that_is_too_long(harness: Harness, app: FastAPI) -> None:
    claims = jwt.decode(harness.token(HOSPITAL, "one"), options={"verify_signature": False})
    raw = harness.keys.sign(claims | {"filler": "x" * MAX_LENGTH}, typ="at+jwt")
    await refused(harness, app, "token_malformed", "/scoped", token=raw)


@pytest.mark.anyio
async def test_a_handler_cannot_use_what_its_route_did_not_ask_for(harness: Harness, app: FastAPI) -> None:
    async with harness.running(app):
        assert (await harness.call("GET", "/tokenless", party=HOSPITAL)).status_code == 200
        token = harness.token(HOSPITAL, "one")
        assert (await harness.call("GET", "/clientless", party=HOSPITAL, token=token)).status_code == 200


@pytest.mark.anyio
async def test_changed_claims(harness: Harness, app: FastAPI) -> None:
    raw = tampered(harness.token(HOSPITAL, "other"), scope="one")
    await refused(harness, app, "token_signature", "/scoped", token=raw)


@pytest.mark.anyio
async def test_a_key_of_somebody_else(harness: Harness, app: FastAPI, tmp_path: Path) -> None:
    claims = jwt.decode(harness.token(HOSPITAL, "one"), options={"verify_signature": False})
    foreign = SigningKeys(tmp_path / "foreign", harness.clock).sign(claims, typ="at+jwt")
    event = await refused(harness, app, "token_signature", "/scoped", token=foreign)
    assert "no key with the token's kid" in event["outcomeDesc"]


@pytest.mark.anyio
async def test_another_issuer(harness: Harness, app: FastAPI) -> None:
    claims = jwt.decode(harness.token(HOSPITAL, "one"), options={"verify_signature": False})
    raw = harness.keys.sign(claims | {"iss": NETWORK.issuer + "x"}, typ="at+jwt")
    await refused(harness, app, "token_issuer", "/scoped", token=raw)


@pytest.mark.anyio
async def test_another_audience(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "token_audience", "/scoped", token=harness.token(HOSPITAL, "one", audience="https://else"))


@pytest.mark.anyio
async def test_an_expired_token_at_the_very_second(harness: Harness, app: FastAPI) -> None:
    token = harness.token(HOSPITAL, "one", lifetime=60)
    harness.clock.forward(seconds=59)
    async with harness.running(app):
        assert (await harness.call("GET", "/scoped", party=HOSPITAL, token=token)).status_code == 200
        harness.clock.forward(seconds=1)
        answer = await harness.call("GET", "/scoped", party=HOSPITAL, token=token)
    assert answer.headers["X-Reason"] == "token_expired"


@pytest.mark.anyio
async def test_a_stolen_token(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "token_binding", "/scoped", party=THIEF, token=harness.token(HOSPITAL, "one"))


@pytest.mark.anyio
async def test_a_token_of_another_client_bound_to_this_certificate(harness: Harness, app: FastAPI) -> None:
    token = harness.token(HOSPITAL, "one", bound_to=THIEF)
    await refused(harness, app, "party_mismatch", "/scoped", party=THIEF, token=token)


@pytest.mark.anyio
@pytest.mark.parametrize("scopes", [(), ("three",), ("onetwo",)])
async def test_another_scope(harness: Harness, app: FastAPI, scopes: tuple[str, ...]) -> None:
    await refused(harness, app, "insufficient_scope", "/scoped", token=harness.token(HOSPITAL, *scopes))


@pytest.mark.anyio
async def test_no_client_in_the_token(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "subject_missing", "/client", token=harness.token(HOSPITAL, "one"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "claims", [{"cnf": {}}, {"cnf": None}, {"exp": "soon"}, {"jti": None, "client_id": None, "scope": None, "exp": None}]
)
async def test_a_signed_token_with_a_claim_that_is_no_claim(harness: Harness, app: FastAPI, claims: dict[str, Any]) -> None:
    known = jwt.decode(harness.token(HOSPITAL, "one"), options={"verify_signature": False})
    await refused(harness, app, "token_malformed", "/scoped", token=harness.keys.sign(known | claims, typ="at+jwt"))


@pytest.mark.anyio
@pytest.mark.parametrize(("reason", "content", "media_type"), [
    ("content_type", b"{}", "text/plain"), ("too_large", b'{"a":"' + b"x" * 100 + b'"}', "application/json"),
    ("malformed", b"{", "application/json"), ("malformed", b'{"a":1,"a":2}', "application/json"),
    ("malformed", b"[]", "application/json"), ("malformed", b'{"a":NaN}', "application/json"),
    ("malformed", b'{"a":1e400}', "application/json"),
])  # fmt: skip
async def test_a_body_that_is_not_as_it_should(
    harness: Harness, app: FastAPI, reason: str, content: bytes, media_type: str
) -> None:
    await refused(harness, app, reason, "/body", method="POST", content=content, headers={"Content-Type": media_type})


@pytest.mark.anyio
async def test_a_fault_of_ours_is_told_and_logged(harness: Harness, app: FastAPI) -> None:
    event = await refused(harness, app, "internal", "/broken")
    assert event["outcome"] == "12"


def test_a_route_without_a_requirement_cannot_be_made() -> None:
    router = guarded(problem)
    with pytest.raises(UndeclaredRouteError):

        @router.get("/undeclared")
        async def undeclared() -> None: ...


def test_a_route_whose_handler_takes_more_than_text_cannot_be_made() -> None:
    router = guarded(problem)

    @require()
    async def number(admission: Admitted, count: int) -> Response:
        raise NotImplementedError

    @require()
    async def default(admission: Admitted, order: str = "name") -> Response:
        raise NotImplementedError

    @require()
    async def unadmitted(party: str) -> Response:
        raise NotImplementedError

    for endpoint, words in ((number, "count is no text"), (default, "order is no text, or has"), (unadmitted, "not its admission")):
        with pytest.raises(UndeclaredRouteError, match=words):
            router.get("/x")(endpoint)


def test_the_app_of_the_harness_is_the_services_own(harness: Harness) -> None:
    assert create_app(harness.settings, harness.wiring).title == "Proeftuin pseudonymisation"


@pytest.mark.anyio
@pytest.mark.parametrize("part", ["%00", "a%00b", "%20", "%ED%A0%80", "a" * 65, "\u00e9"])
async def test_a_part_of_the_path_that_can_be_no_id(harness: Harness, app: FastAPI, part: str) -> None:
    await refused(harness, app, "not_found", f"/thing/{part}", token=harness.token(HOSPITAL, "one"))


@pytest.mark.anyio
async def test_a_refusal_echoes_what_no_utf_8_can_hold(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "conflict", "/echo", method="POST", headers=JSON, content=r'{"text": "\ud800"}')


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [("GET", "/nowhere", "not_found"), ("DELETE", "/scoped", "method_not_allowed"), ("TRACE", "/scoped", "method_not_allowed")],
)
async def test_a_path_or_method_that_is_not_there(harness: Harness, app: FastAPI, method: str, path: str, reason: str) -> None:
    event = await refused(harness, app, reason, path, method=method)
    assert event["agent"][0]["who"]["identifier"]["value"] == "ura:90000101"


@pytest.mark.anyio
async def test_a_path_that_is_not_there_is_behind_the_enforcement_point_too(harness: Harness, app: FastAPI) -> None:
    await refused(harness, app, "certificate_invalid", "/nowhere", party=None)


@pytest.mark.anyio
async def test_a_revocation_list_that_ended_lets_nobody_in(harness: Harness, app: FastAPI) -> None:
    harness.authority.write_crls(1)
    async with harness.running(app):
        harness.clock.forward(hours=23)
        assert (await harness.call("GET", "/open", party=HOSPITAL)).status_code == 200
        harness.clock.forward(hours=2)
        assert (await harness.call("GET", "/open", party=HOSPITAL)).headers["X-Reason"] == "crl_expired"
        (event,) = await harness.logged()
        assert event["outcomeDesc"].startswith("crl_expired:")


@pytest.mark.anyio
async def test_openapi_says_what_a_route_requires(harness: Harness, app: FastAPI) -> None:
    async with harness.running(app):
        document = (await harness.call("GET", "/openapi.json", party=HOSPITAL)).json()
    operation = document["paths"]["/client"]["get"]
    assert operation["security"] == [{"certificate": [], "token": ["one"]}]
    assert "`one`" in operation["x-requirement"]
    assert set(operation["responses"]) >= {"401", "403"}
    assert list(document["paths"]["/body"]["post"]["requestBody"]["content"]) == ["application/json"]
    assert document["components"]["securitySchemes"]["certificate"]["type"] == "mutualTLS"


@pytest.mark.anyio
async def test_a_bsn_in_the_path(harness: Harness, app: FastAPI) -> None:
    event = await refused(harness, app, "identifier_in_url", "/thing/999910000", token=harness.token(HOSPITAL, "one"))
    assert "999910000" not in str(event)
