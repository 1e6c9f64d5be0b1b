"""Every kind of event that the network logs, left by the route that leaves it: valid, what it claims to be, and complete."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fhir.resources.R4B.auditevent import AuditEvent

from proeftuin.audit import events
from proeftuin.audit.events import EventType
from proeftuin.credentials import credential
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.reasons import CERTIFICATE_EXPIRED
from proeftuin.sandbox.seeding import consent_resource
from proeftuin.service import Service
from proeftuin.transport.trust import HandshakeRefusal
from services.authorization.app import create_app as authorization
from services.consent.app import create_app as consent
from services.localization.app import create_app as localization
from services.pseudonymisation.app import create_app as pseudonymisation
from tests.harness import BASE, Harness, told_wrong
from tests.unit.services.addressing.directory import REGISTER, Directory
from tests.unit.services.addressing.directory import entry as put_entry
from tests.unit.services.authorization import iwlz_network as iwlz
from tests.unit.services.authorization import test_decision_doors as doors
from tests.unit.services.authorization import test_token as tokens
from tests.unit.services.consent import test_mitz as mitz
from tests.unit.services.consent import test_register as consents
from tests.unit.services.consent.messages import subscription
from tests.unit.services.datastation import test_questions as questions
from tests.unit.services.datastation.station import CLIENT, HOSPITAL, Station
from tests.unit.services.localization import test_lists as lists
from tests.unit.services.logging import test_archive as archives
from tests.unit.services.logging import test_retention as retention
from tests.unit.services.logging.logbook import Logbook, event
from tests.unit.services.pseudonymisation import test_evaluate as evaluations
from tests.unit.services.wallet import test_wallet as wallets_test
from tests.unit.services.wallet.test_wallet import Wallets

Events = list[dict[str, Any]]
CANONICAL = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE."
BASIC = "BasicAudit."
MINIMAL, COMPREHENSIVE = (f"{BASIC}OAUTHaccessTokenUse.{name}" for name in ("Minimal", "Comprehensive"))
# What the successes of each kind claim: each set is of one event. By a person: with the token's use by that person.
CLAIMS: dict[str, list[set[str]]] = {
    "READ": [{f"{BASIC}Read"}, {f"{BASIC}PatientRead", MINIMAL, COMPREHENSIVE}],
    "SEARCH": [{f"{BASIC}Query"}, {f"{BASIC}Query", COMPREHENSIVE}, {f"{BASIC}PatientQuery", MINIMAL, COMPREHENSIVE}],
    "CREATE": [{f"{BASIC}Create", COMPREHENSIVE}, {f"{BASIC}PatientCreate", MINIMAL}],
    "UPDATE": [{f"{BASIC}Update", COMPREHENSIVE}, {f"{BASIC}PatientUpdate", MINIMAL}, {f"{BASIC}PatientUpdate"}],
    "RECIPIENT_KEY": [{f"{BASIC}Update", COMPREHENSIVE}],
    "DELETE": [{f"{BASIC}Delete", COMPREHENSIVE}],
    "TOKEN_REQUEST": [{"IUA.71"}, set()],  # the profile has no place for a client of care
    "DECISION": [{f"{BASIC}AuthZconsent"}, set()],  # nor this one for a question without a person
}
Scene = Callable[[Path], Awaitable[Events]]


async def addressing(path: Path) -> Events:
    directory = Directory(path)
    async with directory.running(directory.app):
        await directory.transact(REGISTER, put_entry(directory.organization(HOSPITAL)))
        await directory.put(REGISTER, directory.organization("verpleeghuis-avondrood"))
        for place in (f"/Organization/{HOSPITAL}", "/Organization?name=linde", "/Organization/_history", "/metadata", "/nowhere"):
            await directory.get(place)
        service: Service = directory.app.state.service
        service._refused_by_tls(HandshakeRefusal(CERTIFICATE_EXPIRED, "it ended"))
        await service._handshakes.close()
        return await directory.logged()


async def localizing(path: Path) -> Events:
    harness = Harness(path, "localization", ["verwijsindex"])
    async with harness.running(localization(harness.settings, harness.wiring)):
        given = (await lists.register(harness, lists.registration(lists.subject(harness, CLIENT)))).json()
        await lists.localize(harness, lists.subject(harness, CLIENT))
        for method, scope in (("GET", "nvi:read"), ("DELETE", "nvi:delete"), ("GET", "nvi:read")):
            token = harness.token(lists.HOLDER, scope)
            await harness.call(method, f"/fhir/List/{given['id']}", party=lists.HOLDER, token=token)
        return await harness.logged()


async def evaluating(path: Path) -> Events:
    harness = Harness(path, "pseudonymisation", ["pseudoniemendienst"])
    async with harness.running(pseudonymisation(harness.settings, harness.wiring)):
        await evaluations.register(harness)
        await evaluations.evaluate(harness)
        return await harness.logged()


async def consenting(path: Path) -> Events:
    harness = Harness(path, "consent", ["toestemmingsregister"])
    seeded = harness.seed.consents[0]
    bsn = seeded.client
    async with harness.running(consent(harness.settings, harness.wiring)):
        token = consents.own_token(harness, bsn)

        async def own(method: str, place: str = "", **rest: Any) -> Any:
            return await harness.call(method, f"/fhir/Consent{place}", party=consents.PORTAL, token=token, **rest)

        body = consents.question(harness, bsn)
        nurse = body["user"] | {"person": "900000011", "role": "30.000"}
        for user in (nurse, body["user"]):  # before there is a consent, and by a system
            await consents.ask(harness, body | {"user": user})
        given = (await own("POST", json=consent_resource(harness.seed, seeded))).json()
        await own("GET")
        await own("GET", f"/{given['id']}")
        mandated = nurse | {"mandated": {"person": "900000037", "role": "30.000"}}
        for changes in ({"user": nurse}, {"user": mandated}, {}, {"purpose": "HRESCH"}):
            await consents.ask(harness, body | changes)
        await consents.ask(harness, body, "ziekenhuis-oeverzicht")
        await own("PUT", f"/{given['id']}", json=given | {"status": "inactive"})
        return await harness.logged()


async def notifying(path: Path) -> Events:
    harness, receiver = Harness(path, "consent", ["toestemmingsregister"]), mitz.Receiver()
    async with harness.running(consent(harness.settings, harness.wiring)), receiver.listening(harness) as endpoint:
        await mitz.subscribe(harness, subscription(endpoint))
        await mitz.grant_all(harness)
        await receiver.hear(1)
        return await harness.logged()


async def authorizing(path: Path) -> Events:
    harness = Harness(path, "authorization", ["vws", "cibg"])
    tenants = [
        each.model_copy(update={"issuer": f"{BASE}/oauth2/{each.party}", "audience": f"{BASE}/oauth2/{each.party}"})
        for each in harness.settings.tenants
    ]
    harness.settings = harness.settings.model_copy(update={"tenants": tenants})
    async with harness.running(authorization(harness.settings, harness.wiring)):
        await tokens.log_in(harness, HOSPITAL, "cibg", professional="900000011")
        statement = (await tokens.log_in(harness, tokens.PORTAL, "vws", client=CLIENT)).json()["id_token"]
        given = (await tokens.ask(harness)).json()["access_token"]
        asked = {"authorization_details": tokens.details(), "id_token": statement, "scope": "patient/AuditEvent.rs"}
        own = (await tokens.ask(harness, tokens.PORTAL, **asked)).json()["access_token"]
        await tokens.ask(harness, scope="everything")
        for token, party in ((given, HOSPITAL), (own, tokens.PORTAL)):
            await harness.call("POST", "/oauth2/vws/introspect", party="vws", data={"token": token})
            await harness.call("POST", "/oauth2/vws/revoke", party=party, data={"token": token})
        await harness.call("GET", "/oauth2/vws/grants", party=HOSPITAL)
        await harness.call("POST", "/oauth2/vws/keys", party="vws")
        found = await harness.logged()
        assert statement not in json.dumps(found)
        return found


async def deciding(path: Path) -> Events:
    network = iwlz.Network(path)
    async with network.running(network.app):
        asked = {"subject": doors.SUBJECT, "action": doors.ACTION, "resource": doors.OWN}
        for resource in (doors.OWN, doors.FOREIGN):
            await network.call("POST", "/access/v1/evaluation", party=iwlz.ZA, json=asked | {"resource": resource})
        return await network.logged()


async def giving(path: Path) -> Events:
    station = Station(path)
    async with station.running(station.app):
        await station.load(station.records(CLIENT))
        first = (await station.ask("/Condition")).json()["entry"][0]["resource"]["id"]
        await station.ask(f"/Condition/{first}")
        await station.ask("/Patient/_search", form={"identifier": f"{BSN_SYSTEM}|{CLIENT}"})
        await questions.ask(station, questions.at("2026-09-01"))
        station.consent = ("deny", "no_consent")
        await station.ask("/Condition")
        return await station.logged()


async def logging(path: Path) -> Events:
    book = Logbook(path)
    async with book.running(book.app):
        await retention.aged(book)
        await book.post(event(id="kept"))
        await book.get("?date=ge2026")
        await book.get("/kept")
        await book.inspect()
        token = book.token(HOSPITAL, "log:audit")
        await book.call("POST", "/audit/watched", party=HOSPITAL, token=token, json={"staff": [CLIENT]})
        await book.call("GET", "/ldv?date=ge2026", party=HOSPITAL, token=book.token(HOSPITAL, "system/AuditEvent.rs"))
        archived = await archives.tell(book, first=0, last=1, size=2)
        erased = await retention.erase(book, before="2021-01-01")
        assert (archived.status_code, erased.status_code) == (200, 200), archived.text + erased.text
        both = sa.text("SELECT document FROM event ORDER BY seq DESC LIMIT 2")  # told in the log itself, and in no outbox
        told = [json.loads(row) for row in book.database(lambda connection: connection.scalars(both).all())]
        return [*await book.logged(), *told]


async def keeping(path: Path) -> Events:
    wallets = Wallets(path)
    async with wallets.running(wallets.app):
        kind = credential.read(await wallets.provided()).id.rpartition("#")[2]
        await wallets.send("POST", wallets_test.HOSPITAL, "holder/vp", {"audience": BASE, "types": ["X509Credential"]})
        await wallets.send("DELETE", wallets_test.HOSPITAL, f"holder/vc/{kind}")
        await wallets.send("DELETE", wallets_test.REGISTER, f"issuer/vc/{kind}")
        await wallets.issue(wallets_test.HOSPITAL, "Anything", {})
        ura = wallets.seed.party(wallets_test.HOSPITAL).client_id
        offer = {"client_id": ura, "credentials": [{"type": "HealthcareProviderRoleTypeCredential",
                                                    "credentialSubject": wallets.type_of()}]}  # fmt: skip
        offered = (await wallets.send("POST", wallets_test.REGISTER, "issuer/offers", offer)).json()
        asked = {"credential_offer_uri": offered["credential_offer_uri"]}
        assert (await wallets.send("POST", wallets_test.HOSPITAL, "holder/offers", asked)).status_code == 201
        return await wallets.logged()


SCENES: tuple[Scene, ...] = (
    addressing,
    localizing,
    evaluating,
    consenting,
    notifying,
    authorizing,
    deciding,
    giving,
    logging,
    keeping,
)
KINDS = {name: kind for name, kind in vars(events).items() if isinstance(kind, EventType)}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def found(tmp_path_factory: pytest.TempPathFactory) -> Events:
    """The events of all scenes."""
    return [each for scene in SCENES for each in await scene(tmp_path_factory.mktemp(scene.__name__))]


def of_kind(found: Events, name: str) -> Events:
    codes = KINDS[name].type["code"], KINDS[name].subtype["code"]
    return [each for each in found if (each["type"]["code"], each["subtype"][0]["code"]) == codes]


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_the_kind_is_logged_valid_and_is_what_it_claims(found: Events, name: str) -> None:
    those = of_kind(found, name)
    assert those, f"no scene leaves a {name}"
    for each in those:
        AuditEvent.model_validate(each)
        assert told_wrong(each) == []
        assert sum(agent["requestor"] for agent in each["agent"]) == 1


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_success_claims_the_profiles_of_its_kind(found: Events, name: str) -> None:
    claims = [{url.removeprefix(CANONICAL) for url in each.get("meta", {}).get("profile", [])} for each in of_kind(found, name)
              if each["outcome"] == "0"]  # fmt: skip
    for expected in CLAIMS[name]:
        assert expected in claims


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_the_source_is_of_its_kind_and_named_by_number(found: Events, name: str) -> None:
    for each in of_kind(found, name):
        assert each["source"]["type"][0]["code"] == KINDS[name].source
        assert each["source"]["site"] == each["source"]["observer"]["identifier"]["value"]


async def test_a_failure_claims_no_profile_of_a_success(found: Events) -> None:
    """Trap c."""
    for each in found:
        if each["outcome"] != "0":
            kinds = {url.removeprefix(f"{CANONICAL}{BASIC}") for url in each.get("meta", {}).get("profile", [])}
            assert kinds <= {"AuthZconsent", "OAUTHaccessTokenUse.Minimal", "OAUTHaccessTokenUse.Comprehensive"}
            assert each["outcomeDesc"]


async def test_a_client_stands_only_where_an_event_names_whom_it_is_about(found: Events) -> None:
    """Rule 7: as patient and as user, and in no query, description, policy or reason."""
    named = [each for each in found if CLIENT in json.dumps(each)]
    assert named
    for each in named:
        who = [agent["who"] for agent in each["agent"]] + [entity.get("what", {}) for entity in each["entity"]]
        bsns = [one["identifier"] for one in who if one.get("identifier", {}).get("system") == BSN_SYSTEM]
        assert json.dumps(each).count(CLIENT) == len(bsns)


async def test_a_deny_and_no_decision_are_told_apart(found: Events) -> None:
    outcomes = {each["outcome"]: each.get("outcomeDesc", "").partition(":")[0] for each in of_kind(found, "DECISION")}
    assert outcomes.keys() == {"0", "4", "8"}
    assert outcomes["4"] == "purpose_not_allowed"


async def test_who_acts_under_a_mandate_is_told_with_who_is_responsible(found: Events) -> None:
    (mandated,) = [each for each in found if any(coding["code"] == "responsible" for agent in each["agent"]
                                                 for coding in agent["type"]["coding"])]  # fmt: skip
    by_type = {agent["type"]["coding"][0]["code"]: agent for agent in mandated["agent"]}
    assert by_type["IRCP"]["who"]["identifier"]["value"] == "900000037"
    assert by_type["responsible"]["who"]["identifier"]["value"] == "900000011"
    assert by_type["responsible"]["role"][0]["coding"][0]["code"] == "30.000"
    assert by_type["responsible"]["requestor"] is False
