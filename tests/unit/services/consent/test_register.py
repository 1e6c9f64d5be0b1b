"""Registering, withdrawing and asking, through the routes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.seeding import consent_resource
from proeftuin.tokens.access_token import Person
from services.consent.app import create_app
from tests.harness import Harness

PORTAL, HOLDER = "mijn-dossier", "verpleeghuis-avondrood"
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
        for _ in range(5):
            given = await harness.call(
                "POST", "/fhir/Consent", party=PORTAL, token=token, json=consent_resource(harness.seed, consent)
            )
            withdrawn = asyncio.Event()

            async def withdraw(resource: dict[str, Any], done: asyncio.Event) -> None:
                path = f"/fhir/Consent/{resource['id']}"
                answer = await harness.call("PUT", path, party=PORTAL, token=token, json=resource | {"status": "inactive"})
                assert answer.status_code == 200
                done.set()

            async def decide(done: asyncio.Event) -> tuple[bool, str]:
                late = done.is_set()
                answer = await ask(harness, question(harness, consent.client))
                return late, answer.json()["decisions"][0]["outcome"]

            task = asyncio.ensure_future(withdraw(given.json(), withdrawn))
            found = await asyncio.gather(*(decide(withdrawn) for _ in range(8)))
            await task
            found += [await decide(withdrawn) for _ in range(2)]
            assert all(outcome == "deny" for late, outcome in found if late)


@pytest.mark.anyio
@pytest.mark.parametrize(("reason", "acting", "change"), [
    ("subject_mismatch", "999918138", {}),
    ("subject_mismatch", None, {"patient": {"identifier": {"system": BSN_SYSTEM, "value": "999918138"}}}),
    ("profile", None, {"status": "draft"}),
    ("profile", None, {"provision": {"type": "permit"}}),
    ("profile", None, {"invented": True}),
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
    async with harness.running(create_app(harness.settings, harness.wiring)):
        other = await ask(harness, question(harness, bsn), party="ziekenhuis-de-linde")
        assert other.headers["X-Reason"] == "party_mismatch"
        for change in wrong:
            answer = await ask(harness, question(harness, bsn, **change))
            assert answer.headers["X-Reason"] == "invalid_request", change
            assert "9999" not in answer.text
