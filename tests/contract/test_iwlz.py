"""The iWlz network by requirement (RFC0014, RFC0040), black box: token door and enforcement point of any target, in both profiles.

A target that speaks one profile is named by `--iwlz-profile`; ours is asked for each in turn. Only what every target must show is
looked at: status, code and text. The certificate is that of a zorgaanbieder, whose AGB `--agb` gives.
"""

from typing import Any

import pytest

from tests.contract.iwlz_matrix import BR, ID, IR, MESSAGES, OWN, QUERIES, Row, message, regie, spec
from tests.contract.iwlz_target import NOWHERE, SPEC, VECOZO, Iwlz, refused
from tests.contract.proofs import proves

NO_RIGHT = "authenticating with issuing authority"


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"audience": None}, 400, "audience is required"),
        ({"audience": "http://localhost/graphql"}, 400, "audience is required"),
        ({"audience": [NOWHERE, NOWHERE]}, 400, "audience is required"),
        ({"audience": f"{NOWHERE} {NOWHERE}"}, 400, "audience is required"),
        ({"scope": f"{BR} registers/unknown:read"}, 400, "Access denied, invalid scope"),
        ({"scope": ""}, 400, "Access denied, invalid scope"),
        ({"scope": None}, 400, "Access denied, invalid scope"),
        ({"scope": BR.upper()}, 400, "Access denied, invalid scope"),
        ({"access_token": {"sub": "agbcode:47990103"}}, 401, NO_RIGHT),
        ({"access_token": {"sub": "agbcode:99999999"}}, 401, NO_RIGHT),
    ],
)
@proves(
    "iwlz server: no audience", "iwlz server: http audience", "iwlz server: two audiences", "iwlz server: empty scope",
    "iwlz server: unknown beside a known scope", "iwlz server: actor without a mandate",
)  # fmt: skip
def test_iwlz_3_the_authorization_server_refuses(iwlz: Iwlz, changes: dict[str, Any], status: int, text: str) -> None:
    answer = iwlz.ask(**changes)
    assert (answer.status_code, answer.text) == (status, text)


@proves("iwlz server: actor is oneself")
def test_iwlz_3_an_actor_is_not_oneself(iwlz: Iwlz) -> None:
    answer = iwlz.ask(access_token={"sub": f"agbcode:{iwlz.identity['zorgaanbieder']}"})
    assert (answer.status_code, answer.text) == (401, NO_RIGHT)


@proves("iwlz server: form-encoded body")
def test_iwlz_3_the_body_is_json_and_no_form(iwlz: Iwlz) -> None:
    form = {"grant_type": "client_credentials", "scope": BR, "audience": NOWHERE}
    assert iwlz.target.http.post(f"{iwlz.base}/auth/token", data=form).status_code == 415


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Bearer", "Basic eDp5"])
@proves("iwlz token: none")
def test_iwlz_5_without_a_token(iwlz: Iwlz, authorization: str | None) -> None:
    for profile in iwlz.profiles:
        headers = {"Authorization": authorization} if authorization else {}
        refused(iwlz.pep(None, "{ client { bsn } }", profile, **headers), profile, 401, "Jwt is invalid")


@pytest.mark.parametrize("row", [*QUERIES, *MESSAGES], ids=lambda row: row.proves)
@proves(*(f"iwlz {row.proves}" for row in (*QUERIES, *MESSAGES)))
def test_iwlz_13_what_is_too_wide_or_not_ones_own(iwlz: Iwlz, row: Row) -> None:
    query, variables = (
        (row.query, {"agb": iwlz.identity["zorgaanbieder"]}) if isinstance(row.query, str) else message(row, iwlz.identity)
    )
    token = iwlz.token(row.by, scope=row.scope)
    for profile in iwlz.profiles:
        answer = iwlz.pep(token, query, profile, variables, row.by)
        if (row.bundle if profile == VECOZO else row.specification) == 0:
            assert answer.status_code in (200, 502, 504), answer.text  # nobody answers there, but it was let through
        elif profile == VECOZO:
            assert isinstance(row.bundle, tuple)
            status, code = row.bundle
            said = [(each["message"], each["extensions"]["code"]) for each in answer.json()["errors"]]
            told = [(text.partition(": ")[2] or text, code) for text, code in said]  # what comes before is the operation
            assert (answer.status_code, sorted(told)) == (status, sorted((text, code) for text in row.texts)), answer.text
        else:
            text = answer.json()["Error"].partition(": ")[2] or answer.json()["Error"]
            code = "access_denied" if row.specification == 403 else "bad_request"
            assert (answer.status_code, answer.json()["ErrorCode"]) == (row.specification, code), answer.text
            assert text in ((row.said_in_spec,) if row.said_in_spec else row.texts)
        if answer.status_code < 500:
            assert answer.headers["content-type"].partition(";")[0] == "application/json"


@proves("iwlz message: duplicate argument")
def test_iwlz_6_a_second_argument_does_not_fool_the_check(iwlz: Iwlz) -> None:
    row = next(row for row in MESSAGES if row.proves == "message: wrong afzenderID")
    text, variables = message(row, iwlz.identity)
    good = variables["i"] | {"afzenderID": iwlz.identity[row.by]}
    for argument in ("notificatieInput2: $j", "notificatieInput: $j"):
        twice = text.replace("$i: NotificatieInput!", "$i: NotificatieInput!, $j: NotificatieInput!").replace(
            "$i)", f"$i, {argument})"
        )
        for profile in iwlz.profiles:
            answer = iwlz.pep(iwlz.token(row.by, scope=row.scope), twice, profile, variables | {"j": good}, row.by)
            assert answer.status_code == 400, answer.text
            assert "The query does not fit the schema." in answer.text


def test_iwlz_4_an_alias_on_the_root_changes_nothing(iwlz: Iwlz) -> None:
    plain, variables = spec(OWN, regie("")), {"agb": iwlz.identity["zorgaanbieder"]}
    for profile in iwlz.profiles:
        answers = [
            iwlz.pep(iwlz.token(), text, profile, variables)
            for text in (plain, plain.replace("bemiddelingspecificatie(", "x: bemiddelingspecificatie("))
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].text == answers[1].text


@proves("iwlz record: no bemiddeling on the indicatie", "iwlz pip: register is down")
def test_iwlz_13_a_register_that_does_not_list_the_caller_denies(iwlz: Iwlz) -> None:
    """Where nobody answers the look-up, the bundle denies as if nothing were found; the specification says that it failed."""
    query = f'query I {{ wlzIndicatie(where: {{wlzindicatieID: {{eq: "{ID}"}}}}) {{ bsn }} }}'
    for profile in iwlz.profiles:
        answer = iwlz.pep(iwlz.token(scope=IR), query, profile)
        if profile == VECOZO:
            said = "I query: Subject is not listed as `instelling` of a bemiddeling with the specified `wlzindicatieID`"
            first = answer.json()["errors"][0]
            assert (answer.status_code, first["message"], first["extensions"]["code"]) == (401, said, "UNAUTHORIZED")
        else:
            told = answer.json()
            assert (answer.status_code, told["ErrorCode"], told["Error"]) == (
                500,
                "server_error",
                "I query: a register did not answer",
            )


@pytest.mark.parametrize(("method", "headers", "status"), [
    ("GET", {}, 405), ("PUT", {"Content-Type": "application/json"}, 405), ("POST", {"Content-Type": "application/graphql"}, 415),
    ("POST", {"Content-Type": "text/plain"}, 415),
])  # fmt: skip
@proves("iwlz http: GET", "iwlz http: content type")
def test_iwlz_5_graphql_is_posted_as_json(iwlz: Iwlz, method: str, headers: dict[str, str], status: int) -> None:
    headers = headers | {"Authorization": f"Bearer {iwlz.token()}"}
    answer = iwlz.target.http.request(
        method, f"{iwlz.base}/pep", content=b"" if method == "GET" else b"{ client { bsn } }", headers=headers
    )
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("trace", [None, "", "0" * 32, "abc", "A" * 32])
@proves("iwlz trace: missing", "iwlz trace: short", "iwlz trace: upper case", "iwlz trace: all zero")
def test_iwlz_9_an_invalid_trace_is_served_under_a_new_one(iwlz: Iwlz, trace: str | None) -> None:
    given = {"X-B3-TraceId": trace} if trace is not None else {}
    answer = iwlz.pep(iwlz.token(), "{ client", SPEC, **given)
    new = answer.headers["traceparent"].split("-")[1]
    assert (answer.status_code, len(new)) == (400, 32)
    assert new not in (trace, "0" * 32)
    assert new == new.lower()


def test_iwlz_9_a_valid_trace_is_kept(iwlz: Iwlz) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = iwlz.pep(iwlz.token(), "{ client", SPEC, **{"X-B3-TraceId": trace, "X-B3-SpanId": "b7ad6b7169203331"})
    assert answer.headers["traceparent"].split("-")[1] == trace
