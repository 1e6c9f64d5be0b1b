"""Registering, withdrawing and asking, through the routes."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from proeftuin.clock import instant
from proeftuin.fhir.validation import validate
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.seeding import consent_resource
from proeftuin.tokens.access_token import Person
from services.consent import store
from services.consent.app import create_app
from tests.harness import Harness

PORTAL, HOLDER = "mijn-dossier", "verpleeghuis-avondrood"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
SCOPE = "patient/Consent.cruds"


@pytest.fixture
def harness(tmp_path: Path, database_url: str) -> Harness:
    return Harness(tmp_path, "consent", ["toestemmingsregister"], database_url)


def own_token(harness: Harness, bsn: str, acting: str | None = None) -> str:
    return harness.token(PORTAL, SCOPE, patient=bsn, person=Person(acting or bsn, BSN_SYSTEM), purpose="PATRQT")


def question(harness: Harness, bsn: str, **changes: Any) -> dict[str, Any]:
    hospital, holder = harness.seed.party("ziekenhuis-de-linde"), harness.seed.party(HOLDER)
    return {
        "patient": {"system": BSN_SYSTEM, "value": bsn}, "holder": {"ura": holder.ura, "kind": holder.kind},
        "user": {"ura": hospital.ura, "kind": hospital.kind}, "categories": ["Condition"], "purpose": "TREAT",
    } | changes  # fmt: skip


async def ask(harness: Harness, body: dict[str, Any], party: str = HOLDER) -> Any:
    return await harness.call("POST", "/decisions", party=party, token=harness.token(party, "consent:decide"), json=body)


@pytest.mark.anyio
async def test_a_consent_permits_until_it_is_withdrawn(harness: Harness) -> None:
    consent = harness.seed.consents[0]
    token = own_token(harness, consent.client)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        before = (await ask(harness, question(harness, consent.client))).json()["decisions"][0]
        assert (before["outcome"], before["reason"]) == ("deny", "no_consent")
        given = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=consent_resource(harness.seed, consent))
        assert given.status_code == 201
        permit = (await ask(harness, question(harness, consent.client))).json()["decisions"][0]
        assert (permit["outcome"], permit["consent"]) == ("permit", [f"Consent/{given.json()['id']}"])
        path = f"/fhir/Consent/{given.json()['id']}"
        withdrawn = given.json() | {"status": "inactive"}
        stale = await harness.call("PUT", path, party=PORTAL, token=token, json=withdrawn, headers={"If-Match": 'W/"7"'})
        assert stale.headers["X-Reason"] == "version_stale"
        assert (await harness.call("PUT", path, party=PORTAL, token=token, json=withdrawn)).headers["ETag"] == 'W/"2"'
        after = (await ask(harness, question(harness, consent.client))).json()["decisions"][0]
        assert (after["outcome"], after["reason"]) == ("deny", "consent_withdrawn")
        events = await harness.logged()
    assert [event["outcome"] for event in events] == ["8", "0", "0", "8", "0", "8"]


@pytest.mark.anyio
async def test_no_permit_starts_after_the_answer_to_a_withdrawal(harness: Harness) -> None:
    consent = harness.seed.consents[0]
    token = own_token(harness, consent.client)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        for _ in range(50):
            given = await harness.call(
                "POST", "/fhir/Consent", party=PORTAL, token=token, json=consent_resource(harness.seed, consent)
            )
            withdrawn = asyncio.Event()

            async def withdraw(resource: dict[str, Any], done: asyncio.Event) -> None:
                path = f"/fhir/Consent/{resource['id']}"
                answer = await harness.call("PUT", path, party=PORTAL, token=token, json=resource | {"status": "inactive"})
                assert answer.status_code == 200
                done.set()

            async def decide(done: asyncio.Event) -> list[str]:
                """Ask without pause until three questions have begun after the answer to the withdrawal; return those answers."""
                found: list[str] = []
                while len(found) < 3:
                    late = done.is_set()
                    answer = (await ask(harness, question(harness, consent.client))).json()["decisions"][0]
                    if late:
                        found.append(answer["outcome"])
                return found

            *late, _ = await asyncio.gather(*(decide(withdrawn) for _ in range(4)), withdraw(given.json(), withdrawn))
            assert late == [["deny"] * 3] * 4


@pytest.mark.anyio
async def test_what_we_would_have_answered_then(harness: Harness) -> None:
    """Two moments: what held on a day, and what the register knew on a day; both in the past, and told in the answer."""
    consent = harness.seed.consents[0]
    async with harness.running(create_app(harness.settings, harness.wiring)):

        async def outcome(**as_of: str) -> tuple[str, str | None]:
            answer = (await ask(harness, question(harness, consent.client, **({"as_of": as_of} if as_of else {})))).json()
            return answer["decisions"][0]["outcome"], answer["decisions"][0]["reason"]

        moments = [instant(harness.clock.now())]
        harness.clock.forward(hours=1)
        token = own_token(harness, consent.client)
        resource = consent_resource(harness.seed, consent)
        resource["provision"]["period"] = {"start": moments[0], "end": instant(harness.clock.now() + timedelta(hours=5))}
        given = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=resource)
        harness.clock.forward(hours=1)
        moments.append(instant(harness.clock.now()))
        harness.clock.forward(hours=1)
        path = f"/fhir/Consent/{given.json()['id']}"
        token = own_token(harness, consent.client)
        await harness.call("PUT", path, party=PORTAL, token=token, json=given.json() | {"status": "inactive"})
        harness.clock.forward(hours=6)
        assert await outcome() == ("deny", "consent_withdrawn")
        assert await outcome(valid=moments[0]) == ("deny", "no_consent")  # it was not yet registered
        assert await outcome(valid=moments[1]) == ("permit", None)
        assert await outcome(valid=moments[0], known=moments[1]) == ("permit", None)  # registered later, about then
        assert await outcome(valid=instant(harness.clock.now()), known=moments[1]) == ("deny", "consent_expired")
        assert await outcome(valid=moments[1], known=instant(harness.clock.now())) == ("deny", "consent_withdrawn")
        wrong: list[Any] = [
            {},
            {"valid": "x"},
            {"valid": "9998"},
            {"valid": moments[0], "known": "9998"},
            {"at": moments[0]},
            [],
            "x",
        ]
        for as_of in wrong:
            answer = await ask(harness, question(harness, consent.client, as_of=as_of))
            assert answer.headers["X-Reason"] == "invalid_request", as_of
        events = [
            each for each in await harness.logged() if each["subtype"][0]["code"] == "AuthZ-Consent" and each["outcome"] == "0"
        ]
    assert all("as known at" in json.dumps(event) for event in events)
    assert len(events) == 5


@pytest.mark.anyio
async def test_concurrent_changes_wait_for_each_other(harness: Harness) -> None:
    consent = harness.seed.consents[0]
    token = own_token(harness, consent.client)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        given = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=consent_resource(harness.seed, consent))
        path = f"/fhir/Consent/{given.json()['id']}"
        puts = [harness.call("PUT", path, party=PORTAL, token=token, json=given.json()) for _ in range(6)]
        versions = sorted(answer.headers["ETag"] for answer in await asyncio.gather(*puts))
        assert versions == [f'W/"{number}"' for number in range(2, 8)]
        matched = [
            harness.call("PUT", path, party=PORTAL, token=token, json=given.json(), headers={"If-Match": 'W/"7"'}) for _ in range(4)
        ]
        assert sorted(answer.status_code for answer in await asyncio.gather(*matched)) == [200, 412, 412, 412]
        engine = sa.create_engine(harness.settings.tenants[0].database)
        with engine.connect() as connection:
            rows = connection.execute(sa.select(store.versions).order_by(store.versions.c.version)).all()
        engine.dispose()
    assert [row.version for row in rows] == list(range(1, 9))
    assert [row.superseded is None for row in rows] == [False] * 7 + [True]
    assert all(consent.client not in row.patient_token for row in rows)


@pytest.mark.anyio
async def test_a_client_reads_its_own_consents_and_no_others(harness: Harness) -> None:
    consent = harness.seed.consents[0]
    other = next(each.client for each in harness.seed.consents if each.client != consent.client)
    own, foreign = own_token(harness, consent.client), own_token(harness, other)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        given = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=own, json=consent_resource(harness.seed, consent))
        name = f"Consent/{given.json()['id']}"
        assert given.headers["Location"].endswith(f"/fhir/{name}")
        assert (await harness.call("GET", f"/fhir/{name}", party=PORTAL, token=own)).json() == given.json()
        assert (await harness.call("GET", "/fhir/Consent", party=PORTAL, token=own)).json()["total"] == 1
        assert (await harness.call("GET", "/fhir/Consent", party=PORTAL, token=foreign)).json()["total"] == 0
        assert (await harness.call("GET", f"/fhir/{name}", party=PORTAL, token=foreign)).headers["X-Reason"] == "not_found"
        stolen = given.json() | {"patient": {"identifier": {"system": BSN_SYSTEM, "value": other}}}
        taken = await harness.call("PUT", f"/fhir/{name}", party=PORTAL, token=foreign, json=stolen)
        assert taken.headers["X-Reason"] == "not_found"
        moved = await harness.call("PUT", "/fhir/Consent/1", party=PORTAL, token=own, json=given.json())
        assert moved.headers["X-Reason"] == "malformed"
        events = await harness.logged()
    assert [event["subtype"][0]["code"] for event in events] == [
        "create", "read", "search-type", "search-type", "read", "update", "update",
    ]  # fmt: skip
    assert [event["outcome"] for event in events] == ["0", "0", "0", "0", "8", "8", "8"]
    named = [[entity["what"].get("reference") for entity in event["entity"] if "what" in entity] for event in events]
    assert name in named[0]
    assert name in named[1]
    assert all(not validate(event) for event in events)


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "reason"), [
    ("?status=active", "parameter_unknown"), ("?patient:identifier=999910000", "identifier_in_url"), ("/%00", "not_found"),
])  # fmt: skip
async def test_what_an_address_may_not_hold(harness: Harness, path: str, reason: str) -> None:
    token = own_token(harness, harness.seed.consents[0].client)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        answer = await harness.call("GET", f"/fhir/Consent{path}", party=PORTAL, token=token)
        assert answer.headers["X-Reason"] == reason
        (event,) = await harness.logged()
    assert event["outcomeDesc"].startswith(reason)
    assert not validate(event)


@pytest.mark.anyio
async def test_the_event_of_a_decision(harness: Harness) -> None:
    consent = harness.seed.consents[0]
    person = {"person": "900000001", "role": "01.015"}
    async with harness.running(create_app(harness.settings, harness.wiring)):
        token = own_token(harness, consent.client)
        given = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=consent_resource(harness.seed, consent))
        for changes in ({}, {"categories": ["Condition", "Genomics"]}, {"purpose": "HRESCH"}):
            body = question(harness, consent.client) | changes
            assert (await ask(harness, body | {"user": body["user"] | person})).status_code == 200
        events = [event for event in await harness.logged() if event["subtype"][0]["code"] == "AuthZ-Consent"]
    assert [(event["outcome"], event.get("outcomeDesc", "").partition(":")[0]) for event in events] == [
        ("0", ""), ("8", "consent_category"), ("4", "purpose_not_allowed"),
    ]  # fmt: skip
    for event in events:
        assert not validate(event)
        whats = [entity["what"] for entity in event["entity"] if "what" in entity]
        weighed = event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
        assert ({"reference": f"Consent/{given.json()['id']}"} in whats) == weighed
        assert [what["identifier"]["value"] for what in whats if what.get("type") == "Patient"] == [consent.client]
        assert json.dumps(event).count(consent.client) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(("reason", "acting", "change"), [
    ("subject_mismatch", "999918138", {}),
    ("subject_mismatch", None, {"patient": {"identifier": {"system": BSN_SYSTEM, "value": "999918138"}}}),
    ("profile", None, {"status": "draft"}),
    ("profile", None, {"provision": {"type": "permit"}}),
    ("profile", None, {"invented": True}),
    ("profile", None, {"resourceType": "Patient"}),
    ("profile", None, {"patient": {"identifier": "x"}}),
    ("profile", None, {"implicitRules": "https://proeftuin.example/rules"}),
    ("profile", None, {"scope": {"coding": [{"system": f"{TERMINOLOGY}consentscope", "code": "research"}]}}),
])  # fmt: skip
async def test_what_is_not_the_clients_own_consent(
    harness: Harness, reason: str, acting: str | None, change: dict[str, Any]
) -> None:
    consent = harness.seed.consents[0]
    token = own_token(harness, consent.client, acting)
    async with harness.running(create_app(harness.settings, harness.wiring)):
        resource = consent_resource(harness.seed, consent) | change
        answer = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=resource)
        assert answer.headers["X-Reason"] == reason
        (event,) = await harness.logged()
    assert event["outcomeDesc"].startswith(reason)


@pytest.mark.anyio
async def test_only_the_holder_asks_and_only_well_formed(harness: Harness) -> None:
    bsn = harness.seed.consents[0].client
    wrong: list[dict[str, Any]] = [
        {"categories": []}, {"categories": ["Everything"]}, {"categories": ["Condition"] * 2}, {"patient": "x"},
        {"patient": {"system": BSN_SYSTEM, "value": "999910001"}}, {"holder": {}}, {"purpose": 1},
    ]  # fmt: skip
    who = question(harness, bsn)["user"]
    wrong += [  # who is not fully named would pass by an objection; what no audit event can hold
        {"user": {}}, {"user": {"ura": who["ura"]}}, {"user": {"kind": who["kind"]}}, {"user": who | {"ura": 90000101}},
        {"user": who | {"ura": "x"}}, {"user": who | {"kind": "x"}}, {"user": who | {"kind": []}}, {"user": who | {"person": ""}},
        {"user": who | {"role": {}}}, {"holder": {"ura": "90000103"}}, {"purpose": "TREAT "}, {"categories": [["Condition"]]},
    ]  # fmt: skip
    async with harness.running(create_app(harness.settings, harness.wiring)):
        other = await ask(harness, question(harness, bsn), party="ziekenhuis-de-linde")
        assert other.headers["X-Reason"] == "party_mismatch"
        for change in wrong:
            answer = await ask(harness, question(harness, bsn, **change))
            assert answer.headers["X-Reason"] == "invalid_request", change
            assert "9999" not in answer.text
        events = await harness.logged()
    assert [event["outcomeDesc"].partition(":")[0] for event in events] == ["party_mismatch"] + ["invalid_request"] * len(wrong)
    assert all(not validate(event) for event in events)
