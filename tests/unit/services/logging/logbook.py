"""The log under test, with events of a nursing home and a hospital."""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, UZI_SYSTEM
from proeftuin.service import Wiring
from proeftuin.tokens.access_token import Person
from proeftuin.transparency import checkpoint, merkle
from services.logging.app import create_app
from services.logging.verify import Report, verify
from tests.harness import BASE, Harness

HOME, HOSPITAL, PORTAL, REGISTER = "verpleeghuis-avondrood", "ziekenhuis-de-linde", "mijn-dossier", "logboek"
URA = {HOME: "90000103", HOSPITAL: "90000101"}
WRITE, READ, OWN = "system/AuditEvent.c", "system/AuditEvent.rs", "patient/AuditEvent.rs"
CLIENT, OTHER = "999910000", "999918138"
UZI = "900000011"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/fhir+json"}
Resource = dict[str, Any]


def client_entity(bsn: str) -> Resource:
    return {"what": {"type": "Patient", "identifier": {"system": BSN_SYSTEM, "value": bsn}}}


def event(party: str = HOME, *clients: str, **over: Any) -> Resource:
    """An AuditEvent that is R4 and no more: what a vendor's first attempt looks like."""
    made: Resource = {
        "resourceType": "AuditEvent",
        "id": str(uuid.uuid4()),
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
        "action": "R",
        "recorded": "2026-03-01T10:00:00.000Z",
        "outcome": "0",
        "agent": [{"who": {"identifier": {"system": UZI_SYSTEM, "value": UZI}, "display": "Vliet"}, "requestor": True}],
        "source": {"site": party, "observer": {"identifier": {"system": URA_SYSTEM, "value": URA[party]}}},
    }
    if clients:
        made["entity"] = [client_entity(bsn) for bsn in clients]
    made |= over
    return {name: value for name, value in made.items() if value is not None}


class Logbook(Harness):
    """The harness of logging; `restart` makes a second process on the same database and keys."""

    def __init__(self, tmp_path: Path, database: str | None = None, *, to_itself: bool = False) -> None:
        super().__init__(tmp_path, "logging", [REGISTER], database)
        if to_itself:
            self.wiring = Wiring(self.clock, self.wiring.key_source, None)
        self.app = self.another()

    def another(self) -> Any:
        return create_app(self.settings, self.wiring)

    @property
    def secrets(self) -> Path:
        return self.settings.tenants[0].folder / "keys"

    @property
    def verifier(self) -> str:
        return (self.secrets / "verifier").read_text()

    async def post(self, resource: Any, party: str = HOME, headers: dict[str, str] | None = None) -> httpx.Response:
        token = self.token(party, WRITE)
        content = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
        path = "/fhir/AuditEvent"
        return await self.call("POST", path, party=party, token=token, headers=JSON | (headers or {}), content=content)

    async def batch(self, *entries: Any, party: str = HOME, **over: Any) -> httpx.Response:
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": list(entries)} | over
        return await self.call(
            "POST", "/fhir", party=party, token=self.token(party, WRITE), headers=JSON, content=json.dumps(bundle)
        )

    async def get(self, query: str, party: str = HOME) -> httpx.Response:
        return await self.call("GET", f"/fhir/AuditEvent{query}", party=party, token=self.token(party, READ))

    async def ask(self, form: dict[str, str], party: str = HOME, place: str = "/fhir/AuditEvent/_search") -> httpx.Response:
        return await self.call("POST", place, party=party, token=self.token(party, READ), headers=FORM, data=form)

    async def inspect(
        self, bsn: str = CLIENT, acting: str | None = None, accept: str | None = None, **form: str
    ) -> httpx.Response:  # fmt: skip
        token = self.token(PORTAL, OWN, patient=bsn, person=Person(acting or bsn, BSN_SYSTEM), purpose="PATRQT")
        headers = FORM | ({"Accept": accept} if accept else {})
        return await self.call("POST", "/inzage/logging", party=PORTAL, token=token, headers=headers, data=form)

    async def open(self, path: str) -> httpx.Response:
        return await self.call("GET", path, party=HOSPITAL)

    async def checkpoint(self) -> checkpoint.Checkpoint:
        return checkpoint.verify((await self.open("/checkpoint")).text, self.verifier)

    def database(self, fn: Callable[[sa.Connection], Any]) -> Any:
        """Run `fn` on the database behind the service's back."""
        engine = sa.create_engine(self.settings.tenants[0].database)
        try:
            with engine.begin() as connection:
                return fn(connection)
        finally:
            engine.dispose()

    def sql(self, statement: str, **values: Any) -> None:
        self.database(lambda connection: connection.execute(sa.text(statement), values))

    def report(self, index_key: bytes | None = None) -> Report:
        found: Report = self.database(lambda connection: verify(connection, self.verifier, index_key))
        return found


def ids(answer: httpx.Response) -> list[str]:
    """The ids in a searchset, in its order."""
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


def next_link(answer: httpx.Response) -> str | None:
    link = next((each["url"] for each in answer.json()["link"] if each["relation"] == "next"), None)
    return link.removeprefix(BASE) if link else None


def check_row(row: Resource, signed: checkpoint.Checkpoint) -> Resource:
    """Recompute commitment and inclusion of a row of the overview, as its reader would; returns the document."""
    proof = row["proof"]
    entry, document, nonce = (base64.b64decode(proof[name]) for name in ("entry", "document", "nonce"))
    assert json.loads(entry)["commit"] == base64.b64encode(hashlib.sha256(nonce + document).digest()).decode()
    assert json.loads(entry)["source"] == row["delivered_by"]
    path = [base64.b64decode(each) for each in proof["path"]]
    merkle.verify_inclusion(merkle.leaf_hash(entry), proof["index"], signed.size, path, signed.root)
    found: Resource = json.loads(document)
    return found


async def refused(logbook: Logbook, answer: httpx.Response, status: int, reason: str) -> Resource:
    """Check that a request was refused for this reason in header and body, and logged as such in one event, without a BSN."""
    assert (answer.status_code, answer.headers.get("X-Reason")) == (status, reason), answer.text
    assert reason in answer.text
    (logged,) = await logbook.logged()
    assert logged["outcome"] == "8"
    assert logged["outcomeDesc"].startswith(f"{reason}: ")
    assert CLIENT not in answer.text + logged["outcomeDesc"]
    return logged
