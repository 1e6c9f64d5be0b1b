"""Every operation of every service, with what its OpenAPI allows and with what it does not: an answer always, and never a 500.

schemathesis makes requests from the OpenAPI document; beside them stand the words of the protocols with wrong values, good messages
with one part replaced, and bytes. The same seed each time, so what it finds once it finds again.
"""

import importlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from proeftuin.access.requirement import Requirement, requirement_of
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.reasons import CATALOGUE
from proeftuin.sandbox.nursing_records import generate
from proeftuin.sandbox.topology import APPLICATIONS
from proeftuin.tokens.access_token import Person
from tests.harness import Harness, routes_of
from tests.unit.test_every_route import CALLER, CLIENT, made

pytestmark = pytest.mark.anyio
PASSES = 12  # over all operations of a service
PATIENT = {"system": BSN_SYSTEM, "value": CLIENT}
WORDS = {  # parameters of the protocols, with values that are nearly good
    "grant_type": ["client_credentials", "authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
    "client_id": ["ura:90000101", "x"], "scope": ["openid", "nvi:localize", "patient/Patient.rs", ""],
    "resource": ["https://localhost:8440"],
    "code": ["x", ""], "code_verifier": ["v" * 43], "redirect_uri": ["https://localhost/"], "login": ["x"], "person": ["999910000"],
    "token": ["x", "a.b.c", "e30.e30.e30"], "subject_token": ["x", "e30.e30.e30"], "client": [CLIENT],
    "professional": ["900000011"],
    "subject_token_type": ["urn:ietf:params:oauth:token-type:access_token"], "client_assertion": ["e30.e30.e30", "x"],
    "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"], "id_token": ["e30.e30.e30", "x"],
    "authorization_details": [json.dumps([{"type": "client_data", "patient": PATIENT, "purpose_of_use": "PATRQT"}]), "[{}]", "["],
    "subject:identifier": [f"{BSN_SYSTEM}|{CLIENT}", "|"], "patient": ["Patient/1"], "_count": ["1", "-1", "x"],
    "_include": ["*", "x:y"],    "_since": ["2026", "x"], "date": ["ge2026-01-01", "x"], "_id": ["1"],
    "identifier": ["x|y", "|", ""], "query": ["SELECT * {}"],
}  # fmt: skip
MESSAGES: dict[str, Any] = {
    "AuditEvent": {
        "resourceType": "AuditEvent", "recorded": "2026-06-01T12:00:00.000Z", "outcome": "0",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "agent": [{"requestor": True, "who": {"display": "x"}}], "source": {"observer": {"display": "x"}},
    },
    "Organization": {"resourceType": "Organization", "id": "1", "active": True, "name": "x",
                     "identifier": [{"system": "x", "value": "y"}]},
    "List": {"resourceType": "List", "status": "current", "mode": "working",
             "subject": {"identifier": {"system": "x", "value": "y"}}},
    "Consent": {
        "resourceType": "Consent", "id": "1", "status": "active", "patient": {"identifier": PATIENT},
        "provision": {"type": "permit", "code": [{"coding": [{"system": "x", "code": "Patient"}]}]},
    },
    "decisions": {
        "patient": PATIENT, "holder": {"ura": "90000103", "kind": "verpleeghuis"},
        "user": {"ura": "90000101", "kind": "ziekenhuis"}, "categories": ["Patient"], "purpose": "TREAT",
    },
    "ended": {"kind": "consent", "id": "Consent/1"},
    "evaluate": {"blinded_input": "x", "recipient_organization": "oin:00000001000000000000", "recipient_scope": "x"},
}  # fmt: skip
TEXT = st.text(max_size=12) | st.sampled_from(["", "\x00", "\ud800", "é" * 300, "../..", "999910000", "%s", "1e999"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(params=APPLICATIONS)
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Harness, FastAPI]]:
    """One service, running."""
    harness, app = made(tmp_path, request.param)
    async with harness.running(app):
        yield harness, app


def replaced(draw: st.DrawFn, message: Any) -> Any:
    """Return the message with one part of it, wherever it stands, replaced."""
    if isinstance(message, dict) and message and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(message)))
        return message | {name: replaced(draw, message[name])}
    if isinstance(message, list) and message and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(message) - 1))
        return [*message[:place], replaced(draw, message[place]), *message[place + 1 :]]
    return draw(JSON)


@st.composite
def calls(
    draw: st.DrawFn, harness: Harness, operation: Any, requirement: Requirement, bundle: Any
) -> tuple[str, str, dict[str, Any]]:
    """Make one request to an operation: method, path, and what goes with it."""
    case = draw(operation.as_strategy())
    path: str = operation.path
    party = harness.settings.tenants[0].party
    good = {
        "party": party,
        "resource_type": draw(st.sampled_from(["Patient", "Consent", "List", "AuditEvent", "Organization", "X"])),
    }
    for name, value in case.path_parameters.items():
        usual = good.get(name, draw(st.sampled_from(["1", "0", "000", CLIENT, "x" * 64])))
        path = path.replace("{" + name + "}", usual if draw(st.integers(0, 9)) else str(value))
    described = [(name, str(value)) for name, value in dict(case.query or {}).items()]  # what OpenAPI shows, beside our own words
    rest: dict[str, Any] = {"params": [*draw(st.lists(words(), max_size=3)), *(described if draw(st.booleans()) else [])]}
    headers = {"If-Match": draw(st.sampled_from(['W/"1"', "x", "*"]))} if draw(st.booleans()) else {}
    if media_types := sorted(requirement.media_types):
        headers["Content-Type"] = draw(st.sampled_from(media_types))
        rest["content"] = draw(body(case, headers["Content-Type"], path, bundle))
    who = draw(st.sampled_from([CALLER, party, "mijn-dossier"]))
    if requirement.scopes:
        person = draw(st.sampled_from([None, Person(CLIENT, BSN_SYSTEM), Person("900000011", UZI_SYSTEM, "01.015", "90000101")]))
        bounds: dict[str, Any] = {"audience": harness.settings.tenants[0].audience, "patient": CLIENT, "person": person}
        rest["token"] = harness.token(who, *requirement.scopes, **bounds)
    if draw(st.integers(0, 9)) == 0:
        headers["DPoP"] = draw(st.sampled_from(["x", "e30.e30.e30"]))
    return case.method, path, {"party": who, "headers": headers} | rest


def words() -> st.SearchStrategy[tuple[str, str]]:
    """Name a parameter, and give it a value."""
    pairs = st.sampled_from([(name, value) for name, values in WORDS.items() for value in values])
    printable = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    return pairs | st.tuples(st.sampled_from(sorted(WORDS)), printable) | st.tuples(printable, printable)


@st.composite
def body(draw: st.DrawFn, case: Any, media_type: str, path: str, bundle: Any) -> bytes:
    """Make a body: of schemathesis, of the protocol's words, a good message with one part replaced, or bytes."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if "urlencoded" in media_type:
        fields = case.body if isinstance(case.body, dict) and draw(st.booleans()) else {}
        return urlencode(fields | dict(draw(st.lists(words(), max_size=9))), errors="replace").encode()
    if kind == 1:
        return json.dumps(case.body if isinstance(case.body, dict | list | str) else {}, default=str).encode()
    known = next((message for name, message in MESSAGES.items() if name in path), bundle)
    return json.dumps(replaced(draw, known)).encode()


async def test_there_is_an_answer_to_everything_and_it_is_no_500(service: tuple[Harness, FastAPI]) -> None:
    harness, app = service
    requests = made_for(harness, app)
    assert len(requests) > PASSES * 4
    faults = []
    for method, path, call in requests:
        answer = await harness.call(method, path, **call)
        if answer.status_code == 500 or (answer.status_code >= 400 and answer.headers.get("X-Reason") not in CATALOGUE):
            faults.append((answer.status_code, method, path, call, answer.text))
    assert faults == []
    await harness.logged()  # whatever was said, the log takes it


def made_for(harness: Harness, app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Return PASSES requests for each operation of a service, the same each time."""
    bundle = generate(harness.seed.clients[0], next(each for each in harness.seed.parties if each.is_care_provider))
    requirements = {
        (method, route.path.replace(":path", "")): requirement_of(route.endpoint)
        for route in routes_of(app)
        for method in route.methods
    }
    found = []
    for result in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        requirement = requirements[operation.method.upper(), operation.path]

        @settings(
            max_examples=PASSES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(calls(harness, operation, requirement, bundle))
        def collect(made: tuple[str, str, dict[str, Any]]) -> None:
            found.append(made)

        collect()
    return found


def test_every_service_is_tried() -> None:
    assert len(APPLICATIONS) >= 8
    for application in APPLICATIONS.values():
        assert importlib.import_module(application).create_app
