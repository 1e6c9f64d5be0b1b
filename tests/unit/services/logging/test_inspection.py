"""The client's overview: all on the client and nothing on another, each row with a proof that holds, for the client alone."""

import json

import pytest

from proeftuin import representation
from proeftuin.fhir.search import write_cursor
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, UZI_ROLE_SYSTEM, UZI_SYSTEM
from proeftuin.overview.reading import read
from proeftuin.tokens.access_token import Person
from proeftuin.transparency import checkpoint, merkle
from services.logging.indexing import patient_token
from services.logging.overview import Asked, overview
from tests.unit.services.logging.logbook import (
    CLIENT,
    FORM,
    HOME,
    HOSPITAL,
    OTHER,
    OWN,
    PORTAL,
    Logbook,
    check_row,
    client_entity,
    event,
    refused,
)

pytestmark = pytest.mark.anyio


async def test_each_row_says_what_its_document_says_and_is_in_the_log(logbook: Logbook) -> None:
    user = {
        "who": {"identifier": {"system": UZI_SYSTEM, "value": "900000011"}, "display": "A. Veenstra"},
        "role": [{"coding": [{"system": UZI_ROLE_SYSTEM, "code": "30.000"}]}],
        "requestor": True,
    }
    details = {"detail": [{"type": "category", "valueString": "Condition"}]}
    purpose = [{"coding": [{"display": "no code"}, {"code": "ETREAT"}]}]
    system = {
        "who": {"identifier": {"system": URA_SYSTEM, "value": "90000101"}, "display": "Ziekenhuis De Linde"},
        "requestor": False,
    }
    await logbook.post(event(HOME, CLIENT, agent=[user, system], entity=[client_entity(CLIENT), details], purposeOfEvent=purpose))
    await logbook.post(event(HOME, CLIENT, subtype=[{"code": "create"}], recorded="2026-03-02T10:00:00Z"))
    denied = {"detail": [{"type": "reason", "valueString": "no_consent"}]}
    await logbook.post(event(HOSPITAL, CLIENT, outcome="8", entity=[client_entity(CLIENT), denied]), HOSPITAL)
    await logbook.post(event(HOME, CLIENT, subtype=None))
    answer = await logbook.inspect()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    content = answer.json()
    signed = checkpoint.verify(content["checkpoint"], logbook.verifier)
    assert (content["complete"], signed.size) == (True, 4)
    documents = [check_row(row, signed) for row in content["rows"]]
    assert [row["when"] for row in content["rows"]] == [document["recorded"] for document in documents]
    assert [row["what"] for row in content["rows"]] == ["requested", "refused", "made available", "viewed"]
    assert [row["logged_by"] for row in content["rows"]] == [HOME, HOSPITAL, HOME, HOME]
    assert [row["outcome"] for row in content["rows"]] == ["given", "refused", "given", "given"]
    assert content["rows"][1]["reason"] == "no_consent"
    viewed = content["rows"][3]
    assert (viewed["role"], viewed["category"], viewed["purpose"], viewed["emergency"]) == ("30.000", "Condition", "ETREAT", True)
    assert viewed["organisation"] == {"name": "Ziekenhuis De Linde", "identifier": "90000101"}
    assert "Veenstra" not in str([{**row, "proof": None} for row in content["rows"]])


async def test_a_proof_does_not_hold_for_another_document_or_place(logbook: Logbook) -> None:
    for _ in range(3):
        await logbook.post(event(HOME, CLIENT))
    content = (await logbook.inspect()).json()
    signed = checkpoint.verify(content["checkpoint"], logbook.verifier)
    first, second, _ = content["rows"]
    swapped = first | {"proof": first["proof"] | {"document": second["proof"]["document"]}}
    with pytest.raises(AssertionError):
        check_row(swapped, signed)
    with pytest.raises(merkle.ProofError):
        check_row(first | {"proof": first["proof"] | {"index": 0}}, signed)


async def test_a_period_and_the_client_limit_the_overview(logbook: Logbook) -> None:
    for day in (1, 2, 3):
        await logbook.post(event(HOME, CLIENT, recorded=f"2026-03-0{day}T22:59:59.999Z"))  # the last moment of a Dutch day
        await logbook.post(event(HOME, OTHER, recorded=f"2026-03-0{day}T12:00:00Z"))
    rows = (await logbook.inspect(**{"from": "2026-03-02", "to": "2026-03-02"})).json()["rows"]
    assert [row["when"][:10] for row in rows] == ["2026-03-02"]
    assert len((await logbook.inspect()).json()["rows"]) == 3
    assert [row["when"] for row in (await logbook.inspect(to="2026-03-01")).json()["rows"]] == ["2026-03-01T22:59:59.999Z"]
    bads: list[dict[str, str]] = [
        {"from": "yesterday"}, {"to": "2026-13"}, {"to": "2026"}, {"from": "0001-01-01"}, {"organisation": "90000103"},
        {"_count": "0"}, {"_count": "501"}, {"_cursor": "x"}, {"_cursor": write_cursor("7.1")}, {"_cursor": write_cursor("1")},
    ]  # fmt: skip
    for bad in bads:
        await logbook.logged()
        await refused(logbook, await logbook.inspect(**bad), 400, "parameter_invalid")


async def test_an_event_about_two_clients_is_shown_to_both_and_its_document_to_neither(logbook: Logbook) -> None:
    await logbook.post(event(HOME, CLIENT, OTHER))
    for bsn, other in ((CLIENT, OTHER), (OTHER, CLIENT)):
        answer = await logbook.inspect(bsn)
        (row,) = answer.json()["rows"]
        assert (row["what"], row["proof"]["index"], row["proof"]["document"]) == ("viewed", 0, None)
        assert other not in answer.text


async def test_looking_is_logged_on_the_client(logbook: Logbook) -> None:
    await logbook.inspect()
    (logged,) = await logbook.logged()
    assert (logged["type"]["code"], logged["outcome"]) == ("110101", "0")
    user = next(agent for agent in logged["agent"] if agent["requestor"])
    assert user["who"]["identifier"] == {"system": BSN_SYSTEM, "value": CLIENT}
    assert CLIENT in json.dumps(logged["entity"])


async def test_the_overview_is_for_the_client_and_who_decides_for_it(logbook: Logbook) -> None:
    async def attempt(status: int, reason: str, token: str | None, party: str | None = PORTAL, form: str = "") -> None:
        answer = await logbook.call("POST", "/inzage/logging", party=party, token=token, headers=FORM, content=form)
        await refused(logbook, answer, status, reason)

    def token(*scopes: str, acting: Person | None, patient: str | None = None) -> str:
        return logbook.token(PORTAL, *scopes, person=acting, patient=patient)

    own = Person(CLIENT, BSN_SYSTEM)
    await attempt(401, "certificate_invalid", None, None)
    await attempt(401, "token_missing", None)
    await attempt(403, "insufficient_scope", token("system/AuditEvent.rs", acting=own, patient=CLIENT))
    await attempt(403, "subject_missing", token(OWN, acting=own))
    await attempt(403, "subject_mismatch", token(OWN, acting=None, patient=CLIENT))
    await attempt(403, "subject_mismatch", token(OWN, acting=Person(OTHER, BSN_SYSTEM), patient=CLIENT))
    await attempt(403, "subject_mismatch", token(OWN, acting=Person(CLIENT, UZI_SYSTEM, "30.000", "90000101"), patient=CLIENT))
    await attempt(401, "token_binding", token(OWN, acting=own, patient=CLIENT), HOSPITAL)
    await attempt(400, "invalid_request", token(OWN, acting=own, patient=CLIENT), form="from=2026&from=2027")
    answer = await logbook.call("POST", "/inzage/logging", party=PORTAL, token=token(OWN, acting=own, patient=CLIENT), json={})
    await refused(logbook, answer, 415, "content_type")


NOOR, BRAM, MARGA, MOTHER, SISTER = "999937121", "999938642", "999939427", "999937881", "999927528"  # 9, 13, under curatele


@pytest.mark.parametrize(("client", "acting", "years", "reason"), [
    (NOOR, MOTHER, 0, None), (BRAM, MOTHER, 0, None), (BRAM, BRAM, 0, None), (NOOR, NOOR, 0, None), (MARGA, SISTER, 0, None),
    (MARGA, MARGA, 0, None), (BRAM, MOTHER, 3, "representation"), (NOOR, MOTHER, 6, None), (NOOR, MOTHER, 8, "representation"),
    (MOTHER, NOOR, 0, "subject_mismatch"), (NOOR, SISTER, 0, "subject_mismatch"), (CLIENT, MOTHER, 0, "subject_mismatch"),
    ("999970008", MOTHER, 0, "subject_mismatch"),
])  # fmt: skip
async def test_who_may_decide_for_a_client_reads_its_overview_as_long_as_it_may(
    logbook: Logbook, monkeypatch: pytest.MonkeyPatch, client: str, acting: str, years: int, reason: str | None
) -> None:
    """WGBO: under 12 a parent, from 12 to 16 both, from 16 the client; a curator; nobody else."""
    await logbook.post(event(HOME, client))
    now = representation.age  # a clock that goes years ahead would find no certificate that holds
    monkeypatch.setattr(representation, "age", lambda born, today: now(born, today) + years)
    await logbook.logged()
    answer = await logbook.inspect(client, acting)
    if reason is not None:
        await refused(logbook, answer, 403, reason)
        return
    assert [row["what"] for row in answer.json()["rows"]] == ["viewed"]
    (logged,) = await logbook.logged()
    user = next(agent for agent in logged["agent"] if agent["requestor"])
    assert user["who"]["identifier"] == {"system": BSN_SYSTEM, "value": acting}
    assert client in json.dumps(logged["entity"])
    assert read(logged)["basis"]["kind"] == ("own request" if client == acting else "representative")


async def test_the_overview_shows_no_bsn_of_who_acted_for_the_client(logbook: Logbook) -> None:
    acting = {"who": {"identifier": {"system": BSN_SYSTEM, "value": OTHER}}, "requestor": True}
    await logbook.post(event(HOME, CLIENT, agent=[acting]))
    answer = await logbook.inspect()
    (row,) = answer.json()["rows"]
    assert row["organisation"] == {"name": None, "identifier": None}
    assert row["proof"]["document"] is None
    assert OTHER not in answer.text


async def test_the_overview_is_of_one_moment_of_the_log(logbook: Logbook) -> None:
    """On PostgreSQL an event may be committed between the reading of the checkpoint and that of the events."""
    for _ in range(2):
        await logbook.post(event(HOME, CLIENT))
    logbook.sql("DELETE FROM checkpoint WHERE size = 2")
    token = patient_token((logbook.secrets / "index.key").read_bytes(), CLIENT)
    content = logbook.database(lambda connection: overview(connection, Asked(token)))
    signed = checkpoint.verify(content["checkpoint"], logbook.verifier)
    (row,) = content["rows"]
    check_row(row, signed)
    assert (signed.size, row["proof"]["index"]) == (1, 0)
