"""Open question, subscriptions and notifications of Mitz, with a receiver that answers over real mTLS."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from fhir.resources.R4B.bundle import Bundle
from lxml import etree
from signxml.signer import XMLSigner

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import ConsentSeed
from proeftuin.sandbox.seeding import consent_resource
from proeftuin.tokens.access_token import Person
from proeftuin.transport.trust import Trust, server_context
from services.consent.app import create_app
from services.consent.mitz import xcpd
from services.consent.mitz.fhir_xml import from_xml, to_xml
from tests.harness import Harness
from tests.unit.services.consent.messages import HEADERS, assertion, open_question, subscription

CLIENT, PORTAL, HOLDER, HOSPITAL = "999910000", "mijn-dossier", "verpleeghuis-avondrood", "ziekenhuis-de-linde"
SUBSCRIPTION, OPEN = "/mitz/abonnementen/fhir/Subscription", "/mitz/openautorisatievraag"
pytestmark = pytest.mark.anyio


@pytest.fixture
def harness(tmp_path: Path, database_url: str) -> Harness:
    return Harness(tmp_path, "consent", ["toestemmingsregister"], database_url)


async def subscribe(harness: Harness, resource: dict[str, Any], party: str = HOLDER, *, as_xml: bool = False) -> httpx.Response:
    content = to_xml(resource) if as_xml else json.dumps(resource).encode()
    headers = {"Content-Type": f"application/fhir+{'xml' if as_xml else 'json'}"}
    return await harness.call("POST", SUBSCRIPTION, party=party, content=content, headers=headers)


async def withdraw(harness: Harness, resource: dict[str, Any]) -> None:
    token = harness.token(PORTAL, "patient/Consent.cruds", patient=CLIENT, person=Person(CLIENT, BSN_SYSTEM), purpose="PATRQT")
    path = f"/fhir/Consent/{resource['id']}"
    answer = await harness.call("PUT", path, party=PORTAL, token=token, json=resource | {"status": "inactive"})
    assert answer.status_code == 200


async def ask(harness: Harness, body: bytes, party: str = HOSPITAL) -> httpx.Response:
    return await harness.call("POST", OPEN, party=party, content=body, headers=HEADERS)


def located(answer: httpx.Response) -> dict[str, list[str]]:
    assert answer.status_code == 200, answer.text
    found = {}
    for entry in etree.fromstring(answer.content).iter(f"{{{xcpd.XCPD_NS}}}PatientLocationResponse"):
        institution = entry.find(f"{{{xcpd.XCPD_NS}}}author-institution")
        assert institution is not None
        found[institution.get("extension", "")] = [each.get("code", "") for each in entry.iter(f"{{{xcpd.XCPD_NS}}}event-code")]
    return found


async def grant_all(harness: Harness, permit: str = "permit", category: str = "GGC002", user: str = "ziekenhuis") -> dict[str, Any]:
    token = harness.token(PORTAL, "patient/Consent.cruds", patient=CLIENT, person=Person(CLIENT, BSN_SYSTEM), purpose="PATRQT")
    resource = consent_resource(harness.seed, ConsentSeed(CLIENT, "*", ("Condition",), user, permit))  # type: ignore[arg-type] # permit or deny
    resource["provision"]["class"] = [{"system": "http://fhir.nl/otv/CodeSystem/gegevenscategorie", "code": category}]
    answer = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=resource)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_open_question_names_subscribed_holders_with_a_permit_and_no_others(harness: Harness) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        body = open_question(assertion(harness.clock.now()))
        assert located(await ask(harness, body)) == {}
        await grant_all(harness)
        assert located(await ask(harness, body)) == {}  # permitted, but nobody has subscribed
        assert (await subscribe(harness, subscription())).status_code == 202
        assert located(await ask(harness, body)) == {"90000103": ["GGC002", "GGC012", "GGC013"]}
        await grant_all(harness, "deny", "GGC013", "*")
        assert located(await ask(harness, body)) == {"90000103": ["GGC012"]}
        assert located(await ask(harness, open_question(assertion(harness.clock.now(), user_type="T2")))) == {}
        assert located(await ask(harness, open_question(assertion(harness.clock.now()), patient="999918138"))) == {}
        events = [event for event in await harness.logged() if event["subtype"][0]["code"] == "search-type"]
    assert len(events) == 6
    assert all(event["agent"][2]["who"]["identifier"]["value"] == "900010001" for event in events)


@pytest.mark.parametrize(("values", "rule"), [
    ({"audience": "urn:oid:1.2.3"}, "OQ-05"), ({"end": "2020-01-01T00:00:00Z"}, "OQ-04"), ({"start": "2120-01-01"}, "OQ-04"),
    ({"start": "x"}, "OQ-04"), ({"user": ""}, "OQ-06"), ({"role": ""}, "OQ-06"), ({"user_type": "Q9"}, "OQ-07"),
    ({"purpose": "ETREAT"}, "OQ-07"),
])  # fmt: skip
async def test_an_assertion_that_does_not_hold_is_a_fault_with_its_rule(
    harness: Harness, values: dict[str, str], rule: str
) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        answer = await ask(harness, open_question(assertion(harness.clock.now(), **values)))
    assert answer.status_code in (400, 422)
    assert rule in answer.text


async def test_another_message_than_the_open_question_is_a_fault(harness: Harness) -> None:
    stated = assertion(harness.clock.now())
    async with harness.running(create_app(harness.settings, harness.wiring)):
        prpa = open_question(stated, body='<PRPA_IN201305UV02 xmlns="urn:hl7-org:v3"/>')
        assert "OQ-01" in (await ask(harness, prpa)).text
        assert "OQ-02" in (await ask(harness, open_question(stated, patient="999910001"))).text
        assert "OQ-03" in (await ask(harness, open_question(etree.Element("none")))).text
        assert "OQ-10" in (await ask(harness, open_question(stated, action="x"))).text
        refused = await ask(harness, open_question(stated), party="ziekenhuis-oeverzicht")
        assert refused.headers["X-Reason"] == "party_mismatch"


async def test_a_signed_assertion_is_what_the_certificate_of_the_connection_signed(harness: Harness) -> None:
    harness.peer(HOSPITAL)
    folder = harness.folder / "peers" / HOSPITAL
    key, certificate = ((folder / f"certificate.{end}").read_bytes() for end in ("key", "pem"))

    def signed(folder_key: bytes, folder_certificate: bytes) -> etree._Element:
        leaf = folder_certificate.split(b"-----END CERTIFICATE-----")[0] + b"-----END CERTIFICATE-----\n"
        signer = XMLSigner(signature_algorithm="ecdsa-sha256", c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
        made: etree._Element = signer.sign(
            assertion(harness.clock.now()), key=folder_key, cert=leaf.decode(), reference_uri="_a", id_attribute="ID"
        )
        return made

    async with harness.running(create_app(harness.settings, harness.wiring)):
        await grant_all(harness)
        await subscribe(harness, subscription())
        good = signed(key, certificate)
        assert located(await ask(harness, open_question(good))) == {"90000103": ["GGC002", "GGC012", "GGC013"]}
        changed = etree.tostring(good).replace(b'extension="90000101"', b'extension="90000102"')
        answer = await ask(harness, open_question(etree.fromstring(changed)))
        assert answer.headers["X-Reason"] == "signature_invalid"
        harness.peer("ziekenhuis-oeverzicht")
        other = harness.folder / "peers" / "ziekenhuis-oeverzicht"
        foreign = signed(*((other / f"certificate.{end}").read_bytes() for end in ("key", "pem")))
        assert (await ask(harness, open_question(foreign))).headers["X-Reason"] == "signature_invalid"


@pytest.mark.parametrize("change", [
    {"status": "active"}, {"reason": "x"}, {"criteria": "Consent?_query=otv"}, {"criteria": 1}, {"channel": "x"}, {"extension": []},
    {"criteria": "Consent?_query=otv&patientid=999910001&providerid=90000103&providertype=X3"},
    {"criteria": f"Consent?_query=otv&patientid={CLIENT}&providerid=90000103&providertype=Q9"},
    {"channel": {"type": "rest-hook", "endpoint": "http://localhost/notify"}},
    {"channel": {"type": "rest-hook", "endpoint": "https://localhost/notify", "payload": "text/plain"}},
    {"channel": {"type": "websocket", "endpoint": "https://localhost/notify"}}, {"meta": "x"}, {"meta": {"profile": [1]}},
])  # fmt: skip
async def test_a_subscription_that_is_not_as_mitz_has_it_is_refused_by_element(harness: Harness, change: dict[str, Any]) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        answer = await subscribe(harness, subscription(**change))
    assert (answer.status_code, answer.headers["X-Reason"]) == (422, "profile")
    assert answer.json()["issue"][0]["expression"][0].startswith("Subscription")
    assert "9999" not in answer.text


async def test_a_subscription_is_of_who_made_it_and_once_for_client_and_source(harness: Harness) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        made = [(await subscribe(harness, subscription(), as_xml=as_xml)).headers["Location"] for as_xml in (False, True, False)]
        both = await asyncio.gather(*(subscribe(harness, subscription(), party="zorgsoft") for _ in range(4)))
        assert (len(set(made)), len({each.headers["Location"] for each in both})) == (1, 1)
        assert (await subscribe(harness, subscription(), party=HOSPITAL)).headers["X-Reason"] == "party_mismatch"
        path = f"{SUBSCRIPTION}/$processingStatus?providerid=90000103"
        assert (await harness.call("GET", path, party=HOLDER)).json()["parameter"][0]["valueInteger"] == 2
        gone = f"/mitz/abonnementen/fhir/{made[0]}"
        assert (await harness.call("DELETE", gone, party="zorgsoft")).headers["X-Reason"] == "not_found"
        assert (await harness.call("DELETE", gone, party=HOLDER)).status_code == 204
        assert (await harness.call("DELETE", gone, party=HOLDER)).headers["X-Reason"] == "not_found"


class Receiver:
    """A holder's system that hears notifications over mTLS; `failing` of them it does not take."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        self.failing = 0
        self.port = 0

    async def notify(self, request: web.Request) -> web.Response:
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        self.heard.append((request.headers["X-Request-Id"], request.content_type, await request.read()))
        return web.Response(status=204)

    @asynccontextmanager
    async def listening(self, harness: Harness) -> AsyncIterator[str]:
        issued = harness.authority.issue(harness.seed.party(HOLDER), folder=harness.folder / "receiver")
        context: ssl.SSLContext = server_context(issued.certificate, issued.key, Trust(harness.authority.trust_folder), print)
        app = web.Application()
        app.router.add_post("/notify", self.notify)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield f"https://localhost:{self.port}/notify"
        finally:
            await runner.cleanup()

    async def hear(self, number: int) -> list[tuple[str, str, bytes]]:
        async with asyncio.timeout(20):
            while len(self.heard) < number:  # noqa: ASYNC110 - the receiver is told by its web server
                await asyncio.sleep(0.02)
        return self.heard


def receivers(bundle: dict[str, Any], category: str) -> dict[str, list[str]]:
    """Return by status the receiving categories that a notification names for a data category."""
    found: dict[str, list[str]] = {}
    for entry in bundle["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "Consent" and json.dumps(category) in json.dumps(resource):
            codes = [each["valueCoding"]["code"] for each in resource["extension"] if each["url"].endswith("OTV-ProviderCategory")]
            found[resource["status"]] = codes
    return found


async def test_every_change_is_told_in_order_until_it_is_taken(harness: Harness) -> None:
    receiver = Receiver()
    async with harness.running(create_app(harness.settings, harness.wiring)), receiver.listening(harness) as endpoint:
        await subscribe(harness, subscription(endpoint))
        given = await grant_all(harness)
        await receiver.hear(1)
        receiver.failing = 2
        await withdraw(harness, given)
        await grant_all(harness, category="GGC013")
        for _ in range(400):  # a notice that was not taken is due some seconds later, by a clock that stands still
            if len(receiver.heard) == 3:
                break
            harness.clock.forward(seconds=10)
            await asyncio.sleep(0.05)
        heard = await receiver.hear(3)
        told = [event for event in await harness.logged() if event["subtype"][0]["code"] == "notify"]
    assert [event["outcome"] for event in told].count("0") == 3  # each telling is logged by who tells, with the client
    assert all(json.dumps(event).count(CLIENT) == 1 for event in told)
    bundles = [json.loads(body) for _, _, body in heard]
    assert len({identifier for identifier, _, _ in heard}) == 3
    rest = ["RPZAC001", "RPZAC003", "RPZAC004", "RPZAC005", "RPZAC103"]
    assert receivers(bundles[0], "GGC002") == {"active": ["RPZAC104"], "inactive": rest}
    assert receivers(bundles[1], "GGC002") == {"inactive": [*rest, "RPZAC104"]}
    assert receivers(bundles[2], "GGC002") == {"inactive": [*rest, "RPZAC104"]}
    assert receivers(bundles[2], "GGC013") == {"active": ["RPZAC104"], "inactive": rest}
    for bundle in bundles:
        Bundle.model_validate(bundle)
        refusals = [entry["resource"] for entry in bundle["entry"] if entry["resource"].get("status") == "inactive"]
        assert refusals
        assert all("type" not in each["provision"] for each in refusals)


async def test_the_form_is_the_one_that_was_subscribed_in(harness: Harness) -> None:
    receiver = Receiver()
    profile = "http://vzvz.nl/fhir/otv/StructureDefinition/mitz-Subscription"
    async with harness.running(create_app(harness.settings, harness.wiring)), receiver.listening(harness) as endpoint:
        channel = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+xml"}
        await subscribe(harness, subscription(channel=channel, meta={"profile": [profile]}), as_xml=True)
        await grant_all(harness)
        ((_, content_type, body),) = await receiver.hear(1)
    assert content_type == "application/fhir+xml"
    bundle = etree.fromstring(body)
    fhir = "{http://hl7.org/fhir}"
    assert bundle.tag == f"{fhir}Bundle"
    categories = {each.get("value") for each in bundle.iterfind(f".//{fhir}category/{fhir}coding/{fhir}code")}
    assert categories == {"INFA"}
    assert {each.get("value") for each in bundle.iterfind(f".//{fhir}meta/{fhir}profile")} == {
        "http://vzvz.nl/fhir/otv/StructureDefinition/mitz-base-consent"
    }


async def test_levers_tell_twice_and_late(harness: Harness) -> None:
    receiver = Receiver()
    async with harness.running(create_app(harness.settings, harness.wiring)), receiver.listening(harness) as endpoint:
        await subscribe(harness, subscription(endpoint))
        for name in ("duplicate_notification", "late_notification"):
            await harness.call("PUT", f"/sandbox/levers/{name}", party=HOLDER, json={"times": 1})
        await grant_all(harness)
        await asyncio.sleep(0.2)
        assert receiver.heard == []
        harness.clock.forward(seconds=11)
        heard = await receiver.hear(2)
    assert heard[0][2] == heard[1][2]


def test_fhir_goes_between_json_and_xml() -> None:
    resource = subscription(meta={"profile": ["https://proeftuin.example/x"]})
    assert from_xml(to_xml(resource)) == resource
