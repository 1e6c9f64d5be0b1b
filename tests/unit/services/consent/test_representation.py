"""Who decides: the client, a representative, or from 12 to 16 both."""

from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import ConsentSeed
from proeftuin.representation import Kind, Representative, Standing, standing
from proeftuin.sandbox.seeding import consent_resource
from proeftuin.tokens.access_token import Person
from services.consent.app import create_app
from tests.harness import Harness

TODAY, CLIENT, OTHER = date(2026, 6, 1), "999910000", "999918138"
ALONE, TOGETHER = Standing.ALONE, Standing.TOGETHER
CHILD, MOTHER, YOUTH, WARD, CURATOR, HOLDER = (
    "999937121", "999937881", "999938642", "999939427", "999927528", "verpleeghuis-avondrood",
)  # fmt: skip


@pytest.mark.parametrize(("born", "kind", "own", "by_representative"), [
    (date(2014, 6, 2), "parent", None, ALONE),  # eleven until tomorrow
    (date(2014, 6, 1), "parent", TOGETHER, TOGETHER),  # twelve today
    (date(2010, 6, 2), "guardian", TOGETHER, TOGETHER),
    (date(2010, 6, 1), "guardian", ALONE, None),  # sixteen today
    (date(2010, 6, 1), "mandate", ALONE, ALONE),
    (date(2010, 6, 2), "mandate", TOGETHER, None),
    (date(2008, 6, 2), "mentor", ALONE, None),
    (date(2008, 6, 1), "mentor", ALONE, ALONE),
    (date(2008, 6, 1), "curator", None, ALONE),
    (date(1940, 2, 29), "curator", None, ALONE),
])  # fmt: skip
def test_who_may_decide_at_which_age(born: date, kind: Kind, own: Standing | None, by_representative: Standing | None) -> None:
    known = (Representative(OTHER, kind),)
    assert standing(CLIENT, born, known, CLIENT, TODAY) == own
    assert standing(CLIENT, born, known, OTHER, TODAY) == by_representative
    assert standing(CLIENT, born, known, "999923146", TODAY) is None
    assert standing(CLIENT, born, (Representative(OTHER, kind, date(2026, 5, 31)),), OTHER, TODAY) is None


@pytest.fixture
def harness(tmp_path: Path, database_url: str) -> Harness:
    return Harness(tmp_path, "consent", ["toestemmingsregister"], database_url)


async def send(
    harness: Harness, patient: str, acting: str, resource: dict[str, Any] | None = None, permit: bool = True
) -> httpx.Response:
    token = harness.token(
        "mijn-dossier", "patient/Consent.cruds", patient=patient, person=Person(acting, BSN_SYSTEM), purpose="PATRQT"
    )
    method, path = ("PUT", f"/fhir/Consent/{resource['id']}") if resource else ("POST", "/fhir/Consent")
    decision = ConsentSeed(patient, HOLDER, ("Condition",), "ziekenhuis", "permit" if permit else "deny")
    body = resource or consent_resource(harness.seed, decision)
    return await harness.call(method, path, party="mijn-dossier", token=token, json=body)


async def outcome(harness: Harness, patient: str) -> str:
    body = {
        "patient": {"system": BSN_SYSTEM, "value": patient}, "holder": {"ura": "90000103", "kind": "verpleeghuis"},
        "user": {"ura": "90000101", "kind": "ziekenhuis"}, "categories": ["Condition"], "purpose": "TREAT",
    }  # fmt: skip
    answer = await harness.call("POST", "/decisions", party=HOLDER, token=harness.token(HOLDER, "consent:decide"), json=body)
    found: str = answer.json()["decisions"][0]["outcome"]
    return found


@pytest.mark.anyio
async def test_a_representative_decides_for_who_may_not(harness: Harness) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        for patient, acting in ((CHILD, MOTHER), (WARD, CURATOR)):
            assert (await send(harness, patient, patient)).headers["X-Reason"] == "representation"
            assert (await send(harness, patient, "999918138")).headers["X-Reason"] == "subject_mismatch"
            given = await send(harness, patient, acting)
            assert given.status_code == 201
            assert [(each["type"], each["identifier"]["value"]) for each in given.json()["performer"]] == [
                ("RelatedPerson", acting)
            ]
            assert await outcome(harness, patient) == "permit"
        assert (await send(harness, MOTHER, CHILD)).headers["X-Reason"] == "subject_mismatch"


@pytest.mark.anyio
async def test_from_twelve_to_sixteen_both_must_say_yes_and_either_may_say_no(harness: Harness) -> None:
    async with harness.running(create_app(harness.settings, harness.wiring)):
        asked = (await send(harness, YOUTH, YOUTH)).json()
        assert asked["status"] == "proposed"
        assert await outcome(harness, YOUTH) == "deny"
        again = (await send(harness, YOUTH, YOUTH, asked | {"status": "active"})).json()
        assert again["status"] == "proposed"  # who said so already does not say it for the other
        forged = [*again["performer"], {"type": "RelatedPerson", "identifier": {"system": BSN_SYSTEM, "value": MOTHER}}]
        assert (await send(harness, YOUTH, YOUTH, again | {"status": "active", "performer": forged})).json()["status"] == "proposed"
        agreed = (await send(harness, YOUTH, MOTHER, again | {"status": "active"})).json()
        assert (agreed["status"], len(agreed["performer"])) == ("active", 2)
        assert await outcome(harness, YOUTH) == "permit"
        wider = agreed | {"provision": agreed["provision"] | {"actor": agreed["provision"]["actor"][:1]}}
        changed = (await send(harness, YOUTH, MOTHER, wider)).json()
        assert changed["status"] == "proposed"  # a change of what is decided starts anew
        assert await outcome(harness, YOUTH) == "deny"
        assert (await send(harness, YOUTH, YOUTH, changed | {"status": "active"})).json()["status"] == "active"
        taken_back = (await send(harness, YOUTH, YOUTH, changed | {"status": "inactive"})).json()
        alone = (await send(harness, YOUTH, MOTHER, taken_back | {"status": "active"})).json()
        assert alone["status"] == "proposed"  # who took it back has not agreed
        assert await outcome(harness, YOUTH) == "deny"
        refused = (await send(harness, YOUTH, YOUTH, permit=False)).json()
        assert refused["status"] == "active"
        assert await outcome(harness, YOUTH) == "deny"
