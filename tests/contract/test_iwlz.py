"""The iWlz network by requirement (RFC0014, RFC0040), black box: token door and enforcement point of any target, in both profiles.

A target that speaks one profile is named by `--iwlz-profile`; ours is asked for each in turn. Only what every target must show is
looked at: status, code and text. The certificate is that of a zorgaanbieder, whose AGB `--agb` gives.
"""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Target

VECOZO, SPEC = "vecozo-2026-03", "spec-2026-06"
ID = "c37239b0-9e3d-4c00-88fd-01f37e590fc0"
AUDIENCE = "https://localhost:1/graphql"
IR = "registers/wlzindicatieregister/indicaties/indicatie:read"
BR = "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"
N_ZA, N_ZK = (f"organisaties/{kind}/notificaties/notificatie:create" for kind in ("zorgaanbieder", "zorgkantoor"))
M_ZK = "organisaties/zorgkantoor/meldingen/melding:create"


@dataclass
class Iwlz:
    """The network under test as its caller sees it."""

    http: httpx.Client
    base: str
    agb: str
    profiles: list[str]

    def ask(self, **content: Any) -> httpx.Response:
        asked = {"grant_type": "client_credentials", "scope": BR, "audience": AUDIENCE} | content
        return self.http.post(f"{self.base}/auth/token", json={name: value for name, value in asked.items() if value is not None})

    def pep(self, scope: str, query: str, profile: str, variables: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.ask(scope=scope).json()['access_token']}", "X-Iwlz-Profile": profile}
        return self.http.post(f"{self.base}/pep", json={"query": query, "variables": variables or {}}, headers=headers)


@pytest.fixture(scope="session")
def iwlz(target: Target, request: pytest.FixtureRequest) -> Iwlz:
    base = request.config.getoption("--iwlz-url") or target.services["authorization"].partition("/oauth2/")[0] + "/netwerkmodel/v3"
    named = request.config.getoption("--iwlz-profile")
    return Iwlz(target.http, base, request.config.getoption("--agb"), [named] if named else [VECOZO, SPEC])


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"audience": None}, 400, "audience is required"),
        ({"audience": "http://localhost/graphql"}, 400, "audience is required"),
        ({"audience": [AUDIENCE, AUDIENCE]}, 400, "audience is required"),
        ({"scope": f"{BR} registers/unknown:read"}, 400, "Access denied, invalid scope"),
        ({"scope": ""}, 400, "Access denied, invalid scope"),
        ({"access_token": {"sub": "agbcode:47990103"}}, 401, "authenticating with issuing authority"),
    ],
)
def test_iwlz_3_the_authorization_server_refuses(iwlz: Iwlz, changes: dict[str, Any], status: int, text: str) -> None:
    answer = iwlz.ask(**changes)
    assert (answer.status_code, answer.text) == (status, text)


def test_iwlz_3_an_actor_is_not_oneself(iwlz: Iwlz) -> None:
    assert iwlz.ask(access_token={"sub": f"agbcode:{iwlz.agb}"}).status_code == 401


def test_iwlz_3_the_body_is_json_and_no_form(iwlz: Iwlz) -> None:
    form = {"grant_type": "client_credentials", "scope": BR, "audience": AUDIENCE}
    assert iwlz.http.post(f"{iwlz.base}/auth/token", data=form).status_code in (400, 415)


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic eDp5"])
def test_iwlz_5_without_a_token_that_holds(iwlz: Iwlz, authorization: str | None) -> None:
    for profile in iwlz.profiles:
        headers = {"X-Iwlz-Profile": profile} | ({"Authorization": authorization} if authorization else {})
        answer = iwlz.http.post(f"{iwlz.base}/pep", json={"query": "{ client { bsn } }"}, headers=headers)
        assert answer.status_code == 401
        if profile == VECOZO:
            assert (answer.text, answer.headers["content-type"].partition(";")[0]) == ("Jwt is invalid", "text/plain")


UNRELATED = f'query I {{ wlzIndicatie(where: {{wlzindicatieID: {{eq: "{ID}"}}}}) {{ bsn }} }}'
BY_ID = f'bemiddelingspecificatieID: {{eq: "{ID}"}}'
OWN = f"{BY_ID}, instelling: {{eq: $agb}}"
DATES = 'toewijzingIngangsdatum: {eq: "2026-01-01"}, toewijzingEinddatum: {eq: null}, vaststellingMoment: {eq: "2025-12-01T10:00Z"}'
BAD, INVALID, UNAUTHORIZED = (400, "BAD_REQUEST"), (400, "GRAPHQL_VALIDATION_FAILED"), (401, "UNAUTHORIZED")


def spec(where: str, fields: str, more: str = "") -> str:
    return f"query B($agb: String) {{ bemiddelingspecificatie(where: {{{where}}}) {{ {fields} }} }} {more}"


@dataclass(frozen=True)
class Row:
    """A request to deny: status and code by the bundle, status by the specification (0: allowed there), and the text."""

    name: str
    scope: str
    query: str
    bundle: tuple[int, str]
    specification: int
    text: str


FRAGMENT = "fragment F on Client { x: bemiddeling { __typename } }"
FILTER = "are required and must be used to filter the subentities."
DEEP = "bemiddeling { client { " * 8 + "bsn" + " } }" * 8
MATRIX = [
    Row("scope", N_ZK, spec(OWN, "zzpCode"), BAD, 403, "scope not allowed"),
    Row("two operations", BR, "query A { client { bsn } } query B { client { bsn } }", BAD, 400, "Only one operation"),
    Row("two root fields", BR, "{ client { bsn } regiehouder { regierol } }", BAD, 400, "Only one selectionset"),
    Row("no GraphQL", BR, "{ client", BAD, 400, "Unable to parse graphql query"),
    Row("nothing known", BR, "{ users { name } }", BAD, 400, "No operation found to evaluate"),
    Row("introspection", BR, "{ __schema { types { name } } }", BAD, 400, "Introspection is not offered."),
    Row("depth bomb", BR, spec(OWN, DEEP), BAD, 400, "The query is too large."),
    Row("bsn on IR 2", IR, 'query I { wlzIndicatie(where: {bsn: {eq: "999910000"}}) { bsn } }', INVALID, 400, "does not fit"),
    Row("POL104 no id", IR, "query I { wlzIndicatie { bsn } }", UNAUTHORIZED, 403, "A where 'wlzindicatieID' is required."),
    Row("POL102 no id", BR, spec("instelling: {eq: $agb}", "zzpCode"), BAD, 403, "'bemiddelingspecificatieID' equals"),
    Row("POL102 foreign agb", BR, spec(f'{BY_ID}, instelling: {{eq: "1"}}, zzpCode: {{neq: $agb}}', "zzpCode"),
        BAD, 403, "A where 'instelling' equals is required and set to your agb."),
    Row("only in", BR, spec(f"{BY_ID}, instelling: {{in: [$agb]}}", "zzpCode"), BAD, 403,
        "A 'instelling' or 'uitvoerendZorgkantoor' equals is required"),
    Row("or around the filter", BR, spec(f"or: [{{{OWN}}}, {{percentage: {{gt: 0}}}}]", "zzpCode"), BAD, 403,
        "A where 'bemiddelingspecificatieID' equals is required."),
    Row("overdracht by a provider", BR, spec(OWN, "overdrachtspecificatie { __typename }"), BAD, 403,
        "'overdracht' and 'overdrachtSpecificatie' may not be queried as part of this query."),
    Row("client{bemiddeling} in a fragment", BR, spec(OWN, "bemiddeling { client { ...F } }", FRAGMENT), BAD, 403,
        "You may only query your own 'bemiddeling'."),
    Row("subentity without filter", BR, spec(f"{OWN}, {DATES}", "bemiddeling { regiehouder { regierol } }"), BAD, 403, FILTER),
    Row("subentity without dates", BR, spec(OWN, "bemiddeling { regiehouder { regierol } }"), BAD, 403,
        "A where 'toewijzingEinddatum' equals is required"),
    Row("POL109 by a provider", BR, f'query O {{ overdracht(where: {{overdrachtID: {{eq: "{ID}"}}}}) {{ verhuisDatum }} }}',
        UNAUTHORIZED, 403, "The 'uzovi' claim is not present in your token"),
    Row("POL213 another event", M_ZK, "melding FOUT", INVALID, 403, "M mutation: event_type is not valid."),
    Row("a provider as notifier", N_ZA, "notificatie NIEUWE_REGIEHOUDER_ZORGAANBIEDER", INVALID, 0, "afzender_type is"),
    Row("scope for another receiver", N_ZK, "notificatie NIEUWE_REGIEHOUDER_ZORGAANBIEDER", INVALID, 403,
        "Scope for `ontvangerIDType` not valid."),
]  # fmt: skip


def written(iwlz: Iwlz, query: str) -> tuple[str, dict[str, Any]]:
    """Return the text and variables of a row; a message is named by kind and event."""
    kind, _, event = query.partition(" ")
    if kind not in ("melding", "notificatie"):
        return query, {"agb": iwlz.agb}
    name, receiver = ("Melding", "UZOVI") if kind == "melding" else ("Notificatie", "AGB")
    message = {
        "timestamp": "2026-05-01T09:00:00Z", "afzenderIDType": "AGB", "afzenderID": iwlz.agb, "ontvangerIDType": receiver,
        "ontvangerID": "9901", "eventType": event, "subjectList": [{"subject": "GGR0001", "recordID": f"Bemiddeling/{ID}"}],
    }  # fmt: skip
    text = f"mutation {name[0]}($i: {name}Input!) {{ zend{name}({kind}Input: $i) {{ {kind}ID }} }}"
    return text, {"i": message}


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.name)
def test_iwlz_13_what_is_too_wide_or_not_ones_own(iwlz: Iwlz, row: Row) -> None:
    text, variables = written(iwlz, row.query)
    for profile in iwlz.profiles:
        answer = iwlz.pep(row.scope, text, profile, variables)
        if profile == VECOZO:
            assert answer.status_code == row.bundle[0], answer.text
            said = [(each["message"], each["extensions"]["code"]) for each in answer.json()["errors"]]
            assert any(row.text in message and code == row.bundle[1] for message, code in said), said
        elif row.specification:
            assert answer.status_code == row.specification, answer.text
            assert row.text.lower().removeprefix("scope ") in json.dumps(answer.json(), ensure_ascii=False).lower()
            assert {"ErrorCode", "Error"} <= answer.json().keys()


def test_iwlz_4_an_alias_on_the_root_changes_nothing(iwlz: Iwlz) -> None:
    plain = spec(OWN, "bemiddeling { regiehouder { regierol } }")
    for profile in iwlz.profiles:
        answers = [
            iwlz.pep(BR, text, profile, {"agb": iwlz.agb})
            for text in (plain, plain.replace("bemiddelingspecificatie(", "x: bemiddelingspecificatie("))
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].text == answers[1].text


def test_iwlz_13_a_register_that_is_down_denies(iwlz: Iwlz) -> None:
    for profile in iwlz.profiles:
        assert iwlz.pep(IR, UNRELATED, profile).status_code == (401 if profile == VECOZO else 500)


def test_iwlz_9_an_invalid_trace_is_served(iwlz: Iwlz) -> None:
    token = iwlz.ask().json()["access_token"]
    for trace in ("", "0" * 32, "ABC", "A" * 32):
        headers = {"Authorization": f"Bearer {token}", "X-B3-TraceId": trace}
        answer = iwlz.http.post(f"{iwlz.base}/pep", json={"query": "{ client"}, headers=headers)
        assert answer.status_code == 400
        assert trace not in answer.headers["traceparent"].split("-")
