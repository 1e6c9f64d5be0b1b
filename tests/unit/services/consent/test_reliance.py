"""Who relies on a consent is told of its end, in whatever order a first permit and the change that ends it come."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from proeftuin.fhir.validation import validate
from proeftuin.parties import ConsentSeed
from proeftuin.sandbox.seeding import consent_resource
from services.consent import store, subscriptions
from services.consent.app import create_app
from services.consent.asking import Asking
from services.consent.notifying import tell_end
from tests.harness import Harness
from tests.unit.services.consent.test_register import HOLDER, PORTAL, ask, own_token, question

CLIENT, URA = "999910000", "90000103"


@pytest.fixture
def harness(tmp_path: Path, database_url: str) -> Harness:
    return Harness(tmp_path, "consent", ["toestemmingsregister"], database_url)


def resource_of(harness: Harness, decision: Any = "permit") -> dict[str, Any]:
    user = "*" if decision == "deny" else "ziekenhuis"
    return consent_resource(harness.seed, ConsentSeed(CLIENT, HOLDER, ("Condition",), user, decision))


@pytest.mark.anyio
@pytest.mark.parametrize(("end", "reason"), [("withdrawal", "consent_withdrawn"), ("objection", "consent_objection")])
async def test_a_change_between_deciding_and_relying_is_decided_on_anew(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, end: str, reason: str
) -> None:
    token = own_token(harness, CLIENT)
    if end == "objection":  # at equal specificity it wins
        refusal = resource_of(harness) | {"provision": resource_of(harness)["provision"] | {"type": "deny"}}
    rely = Asking._rely

    async def ended_first(self: Asking, *rest: Any) -> Any:
        monkeypatch.setattr(Asking, "_rely", rely)
        if end == "withdrawal":
            path, content = f"/fhir/Consent/{given['id']}", given | {"status": "inactive"}
            answer = await harness.call("PUT", path, party=PORTAL, token=token, json=content)
        else:
            answer = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=refusal)
        assert answer.status_code in (200, 201), answer.text
        return await rely(self, *rest)

    async with harness.running(create_app(harness.settings, harness.wiring)):
        answer = await harness.call("POST", "/fhir/Consent", party=PORTAL, token=token, json=resource_of(harness))
        given = answer.json()
        monkeypatch.setattr(Asking, "_rely", ended_first)
        found = (await ask(harness, question(harness, CLIENT))).json()["decisions"][0]
        (event,) = [each for each in await harness.logged() if each["subtype"][0]["code"] == "AuthZ-Consent"]
    assert (found["outcome"], found["reason"]) == ("deny", reason)
    assert event["outcomeDesc"].startswith(reason)
    assert not validate(event)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(database_url)
    store.metadata.create_all(engine)
    subscriptions.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("end", ["withdrawal", "objection"])
def test_a_change_waits_for_who_begins_to_rely_and_tells_it(engine: sa.Engine, tmp_path: Path, end: str) -> None:
    """Two transactions at once, as PostgreSQL runs them; a register on SQLite has one writer."""
    if engine.dialect.name != "postgresql":
        pytest.skip("one writer")
    harness, now, token = Harness(tmp_path, "consent", ["toestemmingsregister"]), datetime.now(UTC), "ab" * 32
    with engine.begin() as connection:
        given = store.add(connection, resource_of(harness) | {"id": "1"}, token, now)

    def change() -> None:
        with engine.begin() as connection:
            if end == "withdrawal":
                stored = store.update(connection, given | {"status": "inactive"}, token, None, now)
            else:
                stored = store.add(connection, resource_of(harness, "deny") | {"id": "2"}, token, now)
            tell_end(connection, stored, token, CLIENT, "2026-01-01T00:00:00Z")

    changing = threading.Thread(target=change)
    with engine.begin() as relying:
        assert [json.loads(each)["id"] for each in store.rely(relying, {("1", URA)}, token)] == ["1"]
        changing.start()
        with engine.connect() as looking:
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            of_this = f"{waits} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            while changing.is_alive() and not looking.scalar(sa.text(of_this)):
                pass
        assert changing.is_alive()
    changing.join()
    with engine.connect() as connection:
        told = connection.execute(sa.select(subscriptions.notices)).all()
    assert [(each.url, bytes(each.body)) for each in told] == [(f"ura:{URA}", b'{"kind": "consent", "id": "Consent/1"}')]
