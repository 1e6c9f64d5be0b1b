"""The message check: each kind of message that a vendor may send to Mitz or get from it, and each rule broken by itself."""

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signxml.signer import XMLSigner

from proeftuin.identifiers import BSN_SYSTEM
from services.consent import pcf, subscriptions
from services.consent.app import create_app
from services.consent.consent_rules import MITZ_38, MITZ_40, PCF
from services.consent.mitz import notification, xcpd
from services.consent.mitz.fhir_xml import from_xml, to_xml
from services.consent.mitz.notification import RECEIVERS
from services.consent.mitz.notification_rules import NOTIFICATION
from services.consent.mitz.rules import errors
from services.consent.mitz.subscription_rules import SUBSCRIPTION
from services.consent.model import Consent, Whom
from tests.harness import Harness
from tests.unit.services.consent import messages

VENDOR, CLIENT = "zorgsoft", "999910000"
FHIR_JSON, FHIR_XML = "application/fhir+json", "application/fhir+xml"
NO_RESOURCE = b'<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Patient value="x"/></resource></entry></Bundle>'
TWICE = b'<Consent xmlns="http://hl7.org/fhir"><status value="active"/><status value="inactive"/></Consent>'
STORED = [Consent("a", True, Whom(), Whom(kind="ziekenhuis"), frozenset({"GGC013"}))]
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    made = Harness(tmp_path_factory.mktemp("check"), "consent", ["toestemmingsregister"])
    async with made.running(create_app(made.settings, made.wiring)):
        yield made


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def check(harness: Harness, kind: str, body: Any, content_type: str = FHIR_JSON, **headers: str) -> dict[str, Any]:
    answer = await post(harness, kind, body, content_type, **headers)
    assert answer.status_code == 200, answer.text
    assert "9999" not in answer.text
    found: dict[str, Any] = answer.json()
    assert found["accepted"] == all(each["severity"] == "warning" for each in found["findings"])
    assert all(each["clause"] and each["text"] for each in found["findings"])
    return found


async def post(harness: Harness, kind: str, body: Any, content_type: str = FHIR_JSON, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": content_type} | headers
    return await harness.call("POST", f"/mitz/check/{kind}", party=VENDOR, content=content, headers=sent)


def broken(found: dict[str, Any], severity: str = "error") -> set[str]:
    return {each["rule"] for each in found["findings"] if each["severity"] == severity}


def told(*, beta: bool = False) -> dict[str, Any]:
    """Return a notification as the register tells it."""
    profiles = ["http://vzvz.nl/fhir/otv/StructureDefinition/mitz-Subscription"] if beta else []
    resource = {"meta": {"profile": profiles}, "channel": {}}
    subscription = subscriptions.Subscription("1", "ura:90000103", "90000103", "X3", "1.2.3", "1.2.4", resource)
    return notification.bundle(subscription, CLIENT, STORED, "2026-06-01T12:00:00.000Z")


def changed(resource: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """Return a copy with another value at a place such as `entry.0.resource.status`; None takes it out."""
    made = copy.deepcopy(resource)
    *path, last = (int(each) if each.isdigit() else each for each in place.split("."))
    target: Any = made
    for each in path:
        target = target[each]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return made


async def test_what_the_register_tells_itself_has_no_deviation_in_json_and_in_xml(harness: Harness) -> None:
    for beta in (False, True):
        bundle = told(beta=beta)
        assert from_xml(to_xml(bundle)) == bundle
        for content_type, body in ((FHIR_JSON, bundle), (FHIR_XML, to_xml(bundle))):
            assert (await check(harness, "notification", body, content_type))["findings"] == []
        consents = [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Consent"]
        for consent in consents:
            assert (await check(harness, "Consent", consent))["findings"] == []
            assert (await check(harness, "Consent", to_xml(consent), FHIR_XML))["findings"] == []
            if not beta:
                assert (await check(harness, "Consent", pcf.from_mitz(consent, "1")))["findings"] == []


NOTIFICATIONS: list[tuple[str, Any, set[str]]] = [
    ("type", "batch", {"NT-01"}), ("resourceType", "List", {"NT-01"}), ("entry.0.request", None, {"NT-02"}),
    ("entry.0.request.method", "PUT", {"NT-02"}), ("entry", [], {"NT-02", "NT-03", "NT-04", "NT-05"}),
    ("entry", "x", {"NT-02", "NT-03", "NT-04", "NT-05"}), ("entry.0", "x", {"NT-02"}),
    ("entry.-2.resource.identifier.0.value", "999910001", {"NT-04", "NT-08"}), ("entry.-2", None, {"NT-04", "NT-08"}),
    ("entry.-1.resource.identifier.0.value", "9", {"NT-05", "NT-09"}), ("entry.-1", None, {"NT-05", "NT-09"}),
    ("entry.0.resource.meta.profile", ["https://else.example"], {"NT-07", "MC-01"}),
    ("entry.0.resource.patient.identifier.value", "999918138", {"NT-08"}),
    ("entry.0.resource.patient.identifier.value", "999910001", {"NT-08", "MC-08"}),
    ("entry.0.resource.status", "inactive", set()), ("entry.0.resource.provision.type", "deny", {"MC-02"}),
    ("entry.0.resource.provision.actor", [], {"NT-09", "MC-05"}), ("entry.0.resource.provision.purpose", [], {"MC-06"}),
    ("entry.0.resource.category", [], {"MC-03"}), ("entry.0.resource.extension", [], {"MC-04"}),
    ("entry.0.resource.dateTime", None, {"MC-09"}), ("entry.0.resource.scope", {}, {"MC-10"}),
    ("entry.0.resource.provision", "x", {"NT-09", "MC-02", "MC-05", "MC-06"}),
]  # fmt: skip


async def test_each_rule_on_a_notification(harness: Harness) -> None:
    bundle = told()
    for place, value, rules in NOTIFICATIONS:
        made = changed_from_end(bundle, place, value)
        found = broken(await check(harness, "notification", made))
        assert found == rules, place
    twice = changed(bundle, "entry", [*bundle["entry"], copy.deepcopy(bundle["entry"][0])])
    assert broken(await check(harness, "notification", twice)) == {"NT-10"}
    untyped = changed_from_end(bundle, "entry.-1.resource.type", None)
    assert (await check(harness, "notification", untyped))["findings"][0]["rule"] == "NT-06"
    mixed = changed(bundle, "entry.0", told(beta=True)["entry"][0])
    assert "NT-07" in broken(await check(harness, "notification", mixed))
    placed = await check(harness, "notification", changed(bundle, "entry.0.resource.dateTime", None))
    assert placed["findings"][0]["expression"] == "Bundle.entry[0].resource.dateTime"


def changed_from_end(bundle: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    count = len(bundle["entry"])
    return changed(bundle, place.replace(".-1", f".{count - 1}").replace(".-2", f".{count - 2}"), value)


async def test_each_rule_on_a_consent_in_the_form_of_4_beta_of_pcf_and_of_the_register(harness: Harness) -> None:
    beta = told(beta=True)["entry"][0]["resource"]
    profiled = pcf.from_mitz(told()["entry"][0]["resource"], "1")
    coding = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}
    rows: list[tuple[dict[str, Any], str, Any, set[str]]] = [
        (beta, "category", [coding, coding], {"MB-03"}), (beta, "category.0.coding.0.code", "GGC002", {"MB-03"}),
        (beta, "provision.purpose", None, {"MB-06"}), (beta, "extension", None, {"MB-04"}),
        (profiled, "performer", None, {"PC-01"}), (profiled, "organization", None, {"PC-01"}),
        (profiled, "organization", profiled["organization"] * 2, {"PC-02"}), (profiled, "sourceReference", None, {"PC-03"}),
        (profiled, "verification", [{"verified": True}], {"PC-04"}), (profiled, "extension", None, {"PC-05"}),
        (profiled, "status", "inactive", {"PC-06"}), (profiled, "provision.type", None, {"PC-06"}),
        (profiled, "provision.code", [{"text": "x"}], {"PC-07"}), (profiled, "provision.period", {"start": "2026"}, {"PC-07"}),
        (profiled, "provision.purpose.0.code", "HPAYMT", {"PC-11"}), (profiled, "provision.actor", None, {"PC-12"}),
        (profiled, "dateTime", None, {"PC-09"}), (profiled, "patient", {"display": "x"}, {"PC-08"}),
        (profiled, "invented", 1, {"R4-01"}), (profiled, "status", "x", {"R4-01"}), (profiled, "meta", None, {"RC-01"}),
    ]  # fmt: skip
    for resource, place, value, rules in rows:
        assert broken(await check(harness, "Consent", changed(resource, place, value))) == rules, place
    assert broken(await check(harness, "Consent", {"resourceType": "Patient"})) == {"R4-01"}


SUBSCRIPTIONS: list[tuple[dict[str, Any], set[str], set[str]]] = [  # change, errors, warnings
    ({}, set(), set()), ({"resourceType": "Consent"}, {"SB-01"}, set()), ({"status": "active"}, {"SB-02"}, set()),
    ({"reason": None}, {"SB-03"}, set()), ({"criteria": 1}, {"SB-04", "SB-05", "SB-06", "SB-07"}, set()),
    ({"criteria": "Consent?_query=otv&patientid=999910001&providerid=9&providertype=Q"}, {"SB-05", "SB-06", "SB-07"}, set()),
    ({"channel": []}, {"SB-08", "SB-09", "SB-10"}, {"SB-15"}),
    ({"channel": {"type": "rest-hook", "endpoint": "https://localhost/x"}}, set(), {"SB-15"}),
    ({"extension": []}, {"SB-11"}, set()), ({"meta": {"profile": "x"}}, {"SB-12"}, {"SB-16"}),
    ({"meta": {"profile": ["https://else.example"]}}, set(), {"SB-16"}), ({"extension": "x"}, {"SB-11"}, {"SB-13", "SB-14"}),
]  # fmt: skip


async def test_each_rule_on_a_subscription_and_its_door_says_the_same(harness: Harness) -> None:
    extra = {"url": "http://fhir.nl/StructureDefinition/Patient.birthDate", "valueDate": "x"}
    odd = messages.subscription()["extension"] + [extra, {"url": "https://else.example", "valueString": "x"}]
    for change, wrong, warned in (*SUBSCRIPTIONS, ({"extension": odd}, set[str](), {"SB-13", "SB-14"})):
        resource = messages.subscription(**change)
        found = await check(harness, "Subscription", resource)
        assert (broken(found), broken(found, "warning")) == (wrong, warned), change
        door = await harness.call("POST", "/mitz/abonnementen/fhir/Subscription", party=VENDOR, json=resource)
        assert (door.status_code == 202) == found["accepted"]
        if wrong:
            assert {each["diagnostics"].split()[0] for each in door.json()["issue"]} == wrong
    as_xml = await check(harness, "Subscription", to_xml(messages.subscription()), FHIR_XML)
    assert as_xml["findings"] == []
    assert broken(await check(harness, "Subscription", messages.subscription(), "application/json"), "warning") == {"SB-00"}
    assert broken(await check(harness, "Subscription", messages.subscription(), "text/json")) == {"SB-00"}


async def test_an_open_question_is_told_everything_at_once_and_its_door_says_the_same(harness: Harness) -> None:
    await harness.logged()
    soap = messages.HEADERS | {"Content-Type": "application/soap+xml"}
    request_id = {"X-Request-Id": soap["X-Request-Id"]}
    good = messages.open_question(messages.assertion(harness.clock.now()))
    found = await check(harness, "openautorisatievraag", good, soap["Content-Type"], **request_id)
    assert (broken(found), broken(found, "warning")) == (set(), {"OQ-11", "OQ-14", "OQ-15", "OQ-16"})
    bad = messages.open_question(
        messages.assertion(harness.clock.now(), audience="x", end="2020", user="9", role=""), patient="999910001", action="x"
    )
    wrong = {"OQ-10", "OQ-02", "OQ-04", "OQ-05", "OQ-06", "OQ-07"}
    assert broken(await check(harness, "openautorisatievraag", bad, "text/xml")) == wrong | {"OQ-08", "OQ-09"}
    door = await harness.call("POST", "/mitz/openautorisatievraag", party="ziekenhuis-de-linde", content=bad, headers=soap)
    told = etree.fromstring(door.content).findall(".//{https://proeftuin.example/reasons}finding")
    assert {each.get("rule") for each in told} == wrong
    assert all(each.get("clause") and each.get("severity") == "error" and each.text for each in told)
    unasserted = messages.open_question(etree.Element("none"), body=f'<x xmlns="{xcpd.XCPD_NS}"/>')
    found = await check(harness, "openautorisatievraag", unasserted, soap["Content-Type"], **request_id)
    assert broken(found) == {"OQ-01", "OQ-02", "OQ-03"}
    (event,) = await harness.logged()  # the door's refusal: a check is no use of data
    assert event["outcomeDesc"].startswith("profile")


async def test_a_signature_covers_the_assertion_and_nothing_else(harness: Harness) -> None:
    harness.peer(VENDOR)
    folder = harness.folder / "peers" / VENDOR
    leaf = (folder / "certificate.pem").read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    signer = XMLSigner(signature_algorithm="ecdsa-sha256", c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")

    async def told(*covered: str) -> set[str]:
        stated = messages.assertion(harness.clock.now())
        for name in ("_s", "_t"):
            etree.SubElement(stated, f"{{{xcpd.SAML_NS}}}Subject").set("ID", name)
        signed = signer.sign(
            stated, key=(folder / "certificate.key").read_bytes(), cert=leaf, reference_uri=list(covered), id_attribute="ID"
        )
        found = await check(harness, "openautorisatievraag", messages.open_question(signed), "application/soap+xml")
        return (broken(found) | broken(found, "warning")) & {"OQ-13", "OQ-14"}

    assert await told("_a") == set()
    for covered in (("_s",), ("_s", "_t"), ("_a", "_s")):
        assert await told(*covered) == {"OQ-13"}, covered


@pytest.mark.parametrize(("kind", "content_type", "body", "status", "reason"), [
    ("geslotenautorisatievraag", "application/json", b"{}", 415, "content_type"),
    ("Consent", "text/plain", b"x", 415, "content_type"),
    ("openautorisatievraag", FHIR_JSON, b"{}", 415, "content_type"), ("Consent", FHIR_JSON, b"{", 400, "malformed"),
    ("notification", FHIR_XML, b"<a/>", 400, "malformed"), ("notification", FHIR_JSON, b"[]", 400, "malformed"),
    ("notification", FHIR_XML, NO_RESOURCE, 400, "malformed"), ("Consent", FHIR_XML, TWICE, 400, "malformed"),
    ("Patient", FHIR_JSON, b"{}", 404, "not_found"),
])  # fmt: skip
async def test_what_cannot_be_read_is_no_message(
    harness: Harness, kind: str, content_type: str, body: bytes, status: int, reason: str
) -> None:
    answer = await post(harness, kind, body, content_type)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


words = st.sampled_from(
    ["Bundle", "transaction", "Consent", "Patient", "Subscription", "active", "permit", CLIENT, BSN_SYSTEM, "", RECEIVERS, "TREAT"]
)
names = st.sampled_from(
    [
        "resourceType",
        "type",
        "entry",
        "resource",
        "meta",
        "profile",
        "identifier",
        "system",
        "value",
        "extension",
        "url",
        "provision",
        "valueCoding",
        "code",
        "category",
        "coding",
        "actor",
        "role",
        "reference",
        "status",
        "criteria",
        "channel",
        "patient",
        "request",
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=40,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(names, anything, max_size=8))
def test_whatever_shape_a_resource_has_it_is_told_what_it_lacks(resource: dict[str, Any]) -> None:
    for rules in (SUBSCRIPTION, NOTIFICATION, MITZ_38, MITZ_40, PCF):
        assert all(each.rule and each.clause and each.text for each in rules.findings(resource))
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": resource | {"resourceType": "Consent"}}]}
    assert errors(NOTIFICATION.findings(bundle)), "a Bundle without a client"


async def test_a_refusal_for_very_many_things_stays_a_sentence(harness: Harness) -> None:
    body = messages.question(purpose=["x"] * 200)
    answer = await harness.call(
        "POST", "/mitz/geslotenautorisatievraag/xacml3", party=VENDOR, content=body, headers=messages.HEADERS
    )
    found = etree.fromstring(answer.content)
    assert len(found.findall(".//{https://proeftuin.example/reasons}finding")) > 200
    assert "more" in (found.findtext(".//{http://www.w3.org/2003/05/soap-envelope}Text") or "")
    (event,) = [each for each in await harness.logged() if each["outcomeDesc"].startswith("profile: CQ")]
    assert len(event["outcomeDesc"]) < 5000
