"""Consents through every form in which Mitz is spoken to come out as what the register itself decides."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import ConsentSeed
from proeftuin.sandbox.seeding import consent_resource
from services.consent import pcf, subscriptions
from services.consent.app import create_app
from services.consent.decisions import PERMIT, Question, decide
from services.consent.mitz import closed_rules, notification, soap, xacml
from services.consent.mitz.catalogue import CONSULTING, KIND_OF_TYPE, KINDS_OF
from services.consent.mitz.fhir_xml import from_xml, to_xml
from services.consent.mitz.notification_rules import NOTIFICATION
from services.consent.model import Consent
from tests.harness import Harness
from tests.unit.services.consent.messages import ENDPOINT, HEADERS, VALUES
from tests.unit.services.consent.messages import question as asked
from tests.unit.services.consent.test_decisions import NOW, consents
from tests.unit.services.consent.test_register import HOLDER, PORTAL, ask, own_token

DATA = ["GGC002", "GGC012", "GGC013"]
BETA = {"meta": {"profile": ["http://vzvz.nl/fhir/otv/StructureDefinition/mitz-Subscription"]}}
WORDS = {"Permit": "permit", "Deny": "deny", "Indeterminate": "no-decision"}
urases = st.sampled_from(["90000101", "90000103", "90000199"])
types = st.sampled_from(sorted(KIND_OF_TYPE))


def told(content: etree._Element) -> list[tuple[str, str | None]]:
    """Return of each Result in a Response what was decided, and the data category that it repeats."""
    found = []
    for result in content.iter(f"{{{xacml.XACML_NS}}}Result"):
        code = result.find(f".//{{{xacml.HL7_NS}}}CodedValue[@codeSystem='2.16.840.1.113883.2.4.3.111.5.10.1']")
        outcome = result.findtext(f"{{{xacml.XACML_NS}}}Decision", "")
        found.append((WORDS[outcome], None if code is None else code.get("code")))
    return found


@settings(deadline=None, max_examples=80)
@given(
    found=consents, data=st.permutations(DATA).flatmap(lambda each: st.integers(1, 3).map(lambda most: each[:most])),
    purpose=st.sampled_from(["TREAT", "COC"]), holder=urases, user=urases, holder_type=types, user_type=types,
    mandated=st.none() | st.just("900010002"), echoed=st.booleans(), to=st.sampled_from([ENDPOINT, "http://localhost:8000/4"]),
)  # fmt: skip
def test_a_closed_question_in_each_dialect_is_decided_as_the_register_decides(
    found: list[Consent], data: list[str], purpose: str, echoed: bool, to: str, **whom: Any
) -> None:
    """nk and repl: all attributes repeated, an address that is a constant; bast: none repeated; cad: several categories."""
    envelope = soap.read(asked(data=data, purpose=purpose, echoed=echoed, to=to, **whom))
    sent = xacml.attributes(envelope.body)
    message = closed_rules.ClosedQuestion(envelope, sent, ENDPOINT)
    assert {each.severity for each in closed_rules.RULES.findings(message)} <= {"warning"}
    patient, question, categories = xacml.question(sent)
    kinds = KIND_OF_TYPE[whom["holder_type"]], KIND_OF_TYPE[whom["user_type"]]
    assert (patient, categories) == (VALUES["patient"], data)
    assert question == Question(whom["holder"], kinds[0], whom["user"], kinds[1], purpose)
    decisions = [decide(question, each, found, NOW) for each in categories]
    answer = soap.read(soap.write(xacml.ANSWER, envelope.message_id, xacml.response(sent, decisions)))
    assert told(answer.body) == [(each.outcome, each.category if echoed else None) for each in decisions]
    for result in answer.body.iter(f"{{{xacml.XACML_NS}}}Result"):
        repeated = result.findall(f".//{{{xacml.XACML_NS}}}Attribute")
        assert len(repeated) == (len(sent) - len(data) + 1 if echoed else 0)


def said(bundle: dict[str, Any]) -> dict[tuple[str, str], bool]:
    """Return of each data category and receiving category what a notification says."""
    found: dict[tuple[str, str], bool] = {}
    for entry in bundle["entry"]:
        consent = entry["resource"]
        if consent["resourceType"] != "Consent":
            continue
        codings = [consent["category"][0]["coding"][0]]
        codings += [each["valueCoding"] for each in consent["extension"] if each["url"].endswith("/data-category")]
        for receiver in (each["valueCoding"]["code"] for each in consent["extension"] if each["url"] == notification.RECEIVERS):
            found[codings[-1]["code"], receiver] = consent["status"] == "active"
    return found


@settings(deadline=None, max_examples=60)
@given(found=consents, holder=urases, holder_type=types)
def test_notifications_of_3_8_and_of_4_beta_say_what_the_register_decides(
    found: list[Consent], holder: str, holder_type: str
) -> None:
    decided = {}
    for data in DATA:
        for receiver in CONSULTING:
            questions = [Question(holder, KIND_OF_TYPE[holder_type], None, kind, "TREAT") for kind in KINDS_OF[receiver]]
            decided[data, receiver] = all(decide(each, data, found, NOW).outcome == PERMIT for each in questions)
    for meta in ({}, BETA):
        subscription = subscriptions.Subscription(
            "1", f"ura:{holder}", holder, holder_type, "1.2.3", "1.2.4", meta | {"channel": {}}
        )
        bundle = notification.bundle(subscription, "999910000", found, NOW)
        assert from_xml(to_xml(bundle)) == bundle
        assert NOTIFICATION.findings(bundle) == []
        assert said(bundle) == decided
        for each in bundle["entry"] if not meta else []:
            if each["resource"]["resourceType"] == "Consent":
                consent = {name: value for name, value in each["resource"].items() if name != "text"}
                assert pcf.to_mitz(pcf.from_mitz(consent, "1")) == consent


@pytest.mark.anyio
async def test_the_doors_answer_alike_on_the_same_stored_consents(tmp_path: Path) -> None:
    """FHIR Consents registered by clients, asked for as JSON, as XACML that repeats and as XACML that does not."""
    harness, chance = Harness(tmp_path, "consent", ["toestemmingsregister"]), random.Random(7)
    outcomes = set()
    async with harness.running(create_app(harness.settings, harness.wiring)):
        for client in [each.bsn for each in harness.seed.clients if each.birth_date.year < 2005 and not each.representatives][:6]:
            token = own_token(harness, client)
            for _ in range(3):
                wanted = ConsentSeed(
                    client, chance.choice(["*", "verpleeghuis", HOLDER]), ("Condition",), chance.choice(["*", "ziekenhuis"]),
                    chance.choice(["permit", "permit", "deny"]),
                )  # fmt: skip
                resource = consent_resource(harness.seed, wanted)
                data = chance.sample(DATA, chance.randint(1, 2))
                system = "http://fhir.nl/otv/CodeSystem/gegevenscategorie"
                resource["provision"]["class"] = [{"system": system, "code": each} for each in data]
                given = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=resource)
                assert given.status_code == 201, given.text
                for purpose in ("TREAT", "COC"):
                    body = {
                        "patient": {"system": BSN_SYSTEM, "value": client}, "holder": {"ura": "90000103", "kind": "verpleeghuis"},
                        "user": {"ura": "90000101", "kind": "ziekenhuis"}, "categories": DATA, "purpose": purpose,
                    }  # fmt: skip
                    decided = [each["outcome"] for each in (await ask(harness, body)).json()["decisions"]]
                    for echoed in (True, False):
                        message = asked(patient=client, data=DATA, purpose=purpose, echoed=echoed)
                        path = "/mitz/geslotenautorisatievraag/xacml3"
                        answer = await harness.call("POST", path, party=HOLDER, content=message, headers=HEADERS)
                        assert [outcome for outcome, _ in told(etree.fromstring(answer.content))] == decided
                    outcomes.add(tuple(decided))
    assert len(outcomes) > 2, "the consents make a difference"
