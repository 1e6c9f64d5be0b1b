"""The closed question of Mitz: what the register decides, what a message must be, and what systems in the field send instead."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.seeding import consent_resource
from proeftuin.tokens.access_token import Person
from services.consent import levers
from services.consent.app import create_app
from services.consent.mitz import xacml
from tests.harness import Harness
from tests.unit.services.consent.messages import ENDPOINT, HEADERS, question

PORTAL, HOLDER, VENDOR = "mijn-dossier", "verpleeghuis-avondrood", "zorgsoft"
PATH = "/mitz/geslotenautorisatievraag/xacml3"
OPEN = "/mitz/openautorisatievraag"
CHECK = "/mitz/check/geslotenautorisatievraag"
pytestmark = pytest.mark.anyio


@pytest.fixture
def harness(tmp_path: Path, database_url: str) -> Harness:
    return Harness(tmp_path, "consent", ["toestemmingsregister"], database_url)


async def ask(harness: Harness, body: bytes, party: str = HOLDER, path: str = PATH, **headers: str) -> httpx.Response:
    sent = {name: value for name, value in (HEADERS | headers).items() if value}
    return await harness.call("POST", path, party=party, content=body, headers=sent)


async def register(harness: Harness, permit: bool, *categories: str) -> None:
    consent = harness.seed.consents[0]
    token = harness.token(
        PORTAL, "patient/Consent.cruds", patient=consent.client, person=Person(consent.client, BSN_SYSTEM), purpose="PATRQT"
    )
    resource = consent_resource(harness.seed, consent)
    resource["provision"]["type"] = "permit" if permit else "deny"
    resource["provision"]["class"] = [
        {"system": "http://fhir.nl/otv/CodeSystem/gegevenscategorie", "code": each} for each in categories
    ]
    answer = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=resource)
    assert answer.status_code == 201, answer.text


def results(answer: httpx.Response) -> list[tuple[str | None, str | None]]:
    """Return of each Result the data category that it repeats, and the decision."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/soap+xml; charset=UTF-8"
    found = []
    for result in etree.fromstring(answer.content).iter(f"{{{xacml.XACML_NS}}}Result"):
        code = result.find(f".//{{{xacml.HL7_NS}}}CodedValue[@codeSystem='2.16.840.1.113883.2.4.3.111.5.10.1']")
        found.append((None if code is None else code.get("code"), result.findtext(f"{{{xacml.XACML_NS}}}Decision")))
    return found


async def test_each_category_has_its_own_result_and_the_stored_consents_decide(harness: Harness) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        whole = question(data=["GGC002", "GGC012", "GGC013"])
        assert results(await ask(harness, whole)) == [("GGC002", "Deny"), ("GGC012", "Deny"), ("GGC013", "Deny")]
        await register(harness, True, "GGC002")
        assert results(await ask(harness, whole)) == [("GGC002", "Permit"), ("GGC012", "Permit"), ("GGC013", "Permit")]
        await register(harness, False, "GGC013")
        assert results(await ask(harness, whole)) == [("GGC002", "Deny"), ("GGC012", "Permit"), ("GGC013", "Deny")]
        presumed = question(purpose="COC", patient="999918138")
        assert results(await ask(harness, presumed)) == [("GGC002", "Permit")]
        assert results(await ask(harness, question(data=["GGC012"]), party=VENDOR)) == [("GGC012", "Permit")]
        events = [event for event in await harness.logged() if event["subtype"][0]["code"] == "AuthZ-Consent"]
    assert [event["outcome"] for event in events] == ["8", "0", "8", "0", "0"]
    assert all(event["agent"][2]["who"]["identifier"]["value"] == "900010001" for event in events)


async def test_the_answer_says_which_message_it_is_to_and_repeats_what_it_was_asked_to_repeat(harness: Harness) -> None:
    message_id = "urn:uuid:3f1c1c1e-0000-4000-8000-00000000000a"
    async with harness.running(create_app(harness.settings, harness.wiring)):
        echoing = etree.fromstring((await ask(harness, question(message_id=message_id))).content)
        silent = etree.fromstring((await ask(harness, question(echoed=False))).content)
    relates_to = echoing.findtext(".//{http://www.w3.org/2005/08/addressing}RelatesTo")
    assert relates_to == message_id
    assert echoing.findtext(".//{http://www.w3.org/2005/08/addressing}Action") == xacml.ANSWER
    echoed = {each.get("AttributeId") for each in echoing.iter(f"{{{xacml.XACML_NS}}}Attribute")}
    assert echoed == {each.id for each in xacml.ATTRIBUTES if each.name != "mandated"}
    assert list(silent.iter(f"{{{xacml.XACML_NS}}}Attribute")) == []


async def test_who_may_ask(harness: Harness) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        for party in ("ziekenhuis-de-linde", "carewave", PORTAL):
            answer = await ask(harness, question(), party=party)
            assert (answer.status_code, answer.headers["X-Reason"]) == (403, "party_mismatch")
        events = await harness.logged()
    assert [event["outcomeDesc"].partition(":")[0] for event in events] == ["party_mismatch"] * 3


FIELD: list[tuple[str, dict[str, str], dict[str, Any], list[str]]] = [  # what is wrong, headers, message, errors
    ("text/xml", {"Content-Type": "text/xml"}, {}, ["CQ-01"]),
    ("no X-Request-Id", {"X-Request-Id": ""}, {}, ["CQ-02"]),
    ("another action", {}, {"action": "XACMLAuthzDecisionQuery"}, ["CQ-03"]),
    ("a MessageID that is no urn:uuid", {}, {"message_id": "1"}, ["CQ-04"]),
    ("one decision for all", {}, {"combined": "true"}, ["CQ-08"]),
    ("no holder", {}, {"holder": None}, ["CQ-10"]),
    ("no data category", {}, {"data": None}, ["CQ-10"]),
    ("two clients", {}, {"patient": ["999910000", "999918138"]}, ["CQ-10"]),
    ("33 data categories", {}, {"data": ["GGC012"] * 33}, ["CQ-10", "CQ-15"]),
    ("strings OID^code", {}, {"typed": False}, ["CQ-13"]),
    ("a URA under another OID", {}, {"oids": {"holder": "2.16.528.1.1007.3.1"}}, ["CQ-13"]),
    ("a BSN that fails the 11-proef", {}, {"patient": "999910001"}, ["CQ-14"]),
    ("a data category that is gone", {}, {"data": ["GGC007"]}, ["CQ-14"]),
    ("a data category of another catalogue", {}, {"data": ["huisartsgegevens"]}, ["CQ-14"]),
    ("emergency", {}, {"purpose": "ETREAT"}, ["CQ-14"]),
    ("a provider type that nobody knows", {}, {"user_type": "Q9"}, ["CQ-14"]),
    ("a BSN where the URA belongs", {}, {"holder": "999910000"}, ["CQ-14"]),
    ("a category twice", {}, {"data": ["GGC012", "GGC012"]}, ["CQ-15"]),
    ("categories in one Attributes", {}, {"data": ["GGC012", "GGC013"], "together": True}, ["CQ-15"]),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "message", "errors"), [each[1:] for each in FIELD], ids=[each[0] for each in FIELD])
async def test_what_the_field_sends_is_refused_with_the_rule_and_the_check_says_the_same(
    harness: Harness, headers: dict[str, str], message: dict[str, Any], errors: list[str]
) -> None:
    body = question(**message)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        refused = await ask(harness, body, **headers)
        assert refused.status_code in (400, 415, 422)
        text = etree.fromstring(refused.content).findtext(".//{http://www.w3.org/2003/05/soap-envelope}Text") or ""
        assert all(each in text for each in errors), text
        told = etree.fromstring(refused.content).findall(".//{https://proeftuin.example/reasons}finding")
        assert {each.get("rule") for each in told} == set(errors)
        assert all(each.get("clause") and each.get("severity") == "error" and each.text for each in told)
        assert "9999" not in text
        checked = (await ask(harness, body, party="ziekenhuis-de-linde", path=CHECK, **headers)).json()
        events = await harness.logged()
    assert not checked["accepted"]
    assert sorted({each["rule"] for each in checked["findings"] if each["severity"] == "error"}) == sorted(errors)
    assert len(events) == 1
    assert "9999" not in events[0]["outcomeDesc"]


async def test_what_is_no_soap_is_not_read_and_refused_in_its_form(harness: Harness) -> None:
    sent = [
        (PATH, "CQ-01", "application/json"),
        (OPEN, "OQ-08", "application/json"),
        (PATH, "CQ-01", "text/xml"),
        (OPEN, "OQ-08", ""),
    ]
    async with harness.running(create_app(harness.settings, harness.wiring)):
        for path, rule, content_type in sent:
            answer = await ask(harness, b'{"patient": "999910000"}', path=path, **{"Content-Type": content_type})
            assert (answer.status_code, answer.headers["X-Reason"]) == (415, "content_type")
            assert answer.headers["Content-Type"].startswith("application/soap+xml")
            found = etree.fromstring(answer.content)
            assert found.findtext(".//{http://www.w3.org/2003/05/soap-envelope}Value") == "env:Sender"
            (told,) = found.iter("{https://proeftuin.example/reasons}finding")
            assert (told.get("rule"), told.get("clause")) == (rule, "Mitz: media type")
        events = await harness.logged()
    assert [event["outcomeDesc"].partition(":")[0] for event in events] == ["content_type"] * len(sent)


@pytest.mark.parametrize(("message", "warnings"), [
    ({}, []),
    ({"to": "http://localhost:8000/4"}, ["CQ-05"]),
    ({"oids": {"person": "2.16.840.1.113883.2.4.6.1"}}, []),
    ({"data": ["GGC012", "GGC013"], "echoed": False}, ["CQ-17"]),
    ({"extra": '<Attributes Category="x"><Attribute AttributeId="y" IncludeInResult="false"/></Attributes>'}, ["CQ-11"]),
])  # fmt: skip
async def test_a_warning_is_answered_and_named_by_the_check(harness: Harness, message: dict[str, Any], warnings: list[str]) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        assert (await ask(harness, question(**message))).status_code == 200
        checked = (await ask(harness, question(**message), path=CHECK)).json()
    assert checked["accepted"]
    assert [each["rule"] for each in checked["findings"]] == warnings


@pytest.mark.parametrize("body", [
    b"", b"<", b"<a/>", b"\xff\xfe", question(soap="http://schemas.xmlsoap.org/soap/envelope/"),
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    b'<!DOCTYPE lol [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>' + question(),
    b"<a>" * 100 + b"</a>" * 100, b"<a>" * 5000 + b"</a>" * 5000, question()[:-20],
])  # fmt: skip
async def test_hostile_xml_is_a_fault_and_never_a_failure(harness: Harness, body: bytes) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        for path in (PATH, CHECK):
            answer = await ask(harness, body, path=path)
            assert (answer.status_code, answer.headers["X-Reason"]) == (400, "malformed"), path
            assert "root:" not in answer.text


async def test_levers_work_for_who_pulled_them_as_often_as_asked(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levers, "DELAY", 0.01)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        await register(harness, True, "GGC002")

        async def pull(name: str, times: Any) -> httpx.Response:
            return await harness.call("PUT", f"/sandbox/levers/{name}", party=HOLDER, json={"times": times})

        assert (await pull("indeterminate", 1)).status_code == 200
        assert results(await ask(harness, question(), party=VENDOR)) == [("GGC002", "Permit")]  # another's lever
        assert results(await ask(harness, question())) == [("GGC002", "Indeterminate")]
        assert results(await ask(harness, question())) == [("GGC002", "Permit")]
        for name, status, reason in (("fault", 500, "internal"), ("throttle", 429, "throttled")):
            await pull(name, 2)
            for _ in range(2):
                answer = await ask(harness, question())
                assert (answer.status_code, answer.headers["X-Reason"]) == (status, reason)
            assert results(await ask(harness, question())) == [("GGC002", "Permit")]
        await pull("wrong_echo", 1)
        assert b'"999999990"' in (await ask(harness, question())).content
        await pull("delay", 5)
        assert results(await ask(harness, question())) == [("GGC002", "Permit")]
        await pull("delay", 0)
        shown = (await harness.call("GET", "/sandbox/levers", party=HOLDER)).json()["levers"]
        assert {each["name"]: each["times"] for each in shown} == dict.fromkeys(levers.NAMES, 0)
        assert (await pull("earthquake", 1)).headers["X-Reason"] == "not_found"
        for times in (-1, 1001, "1", True, None):
            assert (await pull("delay", times)).headers["X-Reason"] == "invalid_request"


def test_the_endpoint_of_the_messages_is_the_one_that_is_tested() -> None:
    assert ENDPOINT.endswith(PATH)
