"""Subscriptions and notifications of Mitz where the field disagrees, black box.

A notification follows on a client's decision, which no party can make: where a target is named, only subscribing is asked of it.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import httpx
import pytest
from lxml import etree

from proeftuin.audit.calling import About
from proeftuin.parties import ConsentSeed
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system, client_token, consent_resource
from tests.contract.target import Target

CLIENT = "999970008"
EXTENSION = "http://fhir.nl/StructureDefinition/"
FHIR = "{http://hl7.org/fhir}"
BETA = "http://vzvz.nl/fhir/otv/StructureDefinition/mitz-Subscription"


@pytest.fixture(scope="session")
def door(target: Target, request: pytest.FixtureRequest) -> str:
    base = request.config.getoption("--mitz-url") or f"{target.services['consent']}/mitz"
    return f"{base}/abonnementen/fhir/Subscription"


def subscription(target: Target, bsn: str = CLIENT, source: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a subscription as nuts-knooppunt sends it: no payload named, which Mitz takes as XML."""
    ura = target.client_id.removeprefix("ura:")
    oids = (("GatewaySystem", "1"), ("SourceSystem", f"2.{source}"))
    return {
        "resourceType": "Subscription",
        "extension": [
            {"url": EXTENSION + name, "valueOid": f"urn:oid:2.16.840.1.113883.2.4.6.6.{number}"} for name, number in oids
        ],
        "status": "requested", "reason": "OTV",
        "criteria": f"Consent?_query=otv&patientid={bsn}&providerid={ura}&providertype=V4",
        "channel": {"type": "rest-hook", "endpoint": "https://localhost:1/notify"},
    } | changes  # fmt: skip


def post(target: Target, door: str, resource: dict[str, Any]) -> httpx.Response:
    return target.http.post(door, content=json.dumps(resource), headers={"Content-Type": "application/fhir+json"})


def test_mitz_subscribing_twice_gives_the_same_id(target: Target, door: str) -> None:
    """202 with Location Subscription/<id>, and for the same client and source system the same; ended by DELETE: 204, 404."""
    first, again = (post(target, door, subscription(target)) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["Location"].startswith("Subscription/")
    assert first.headers["Location"] == again.headers["Location"]
    other = post(target, door, subscription(target, source=2)).headers["Location"]
    assert other != first.headers["Location"]
    for place in (other, first.headers["Location"]):
        url = f"{door.removesuffix('Subscription')}{place}"
        assert [target.http.delete(url).status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize("changes", [
    {"status": "active"}, {"reason": "x"}, {"criteria": "Consent?_query=otv"}, {"channel": {"type": "websocket"}},
    {"extension": []},
])  # fmt: skip
def test_mitz_what_is_refused_is_an_operation_outcome(target: Target, door: str, changes: dict[str, Any]) -> None:
    """400 or 422 with an OperationOutcome; nuts-knooppunt turns every other error into 201."""
    answer = post(target, door, subscription(target, **changes))
    assert answer.status_code in (400, 422)
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "Location" not in answer.headers
    assert CLIENT not in answer.text


class Receiver:
    """A subscriber's system that takes what Mitz posts, over TLS with the subscriber's own certificate."""

    def __init__(self, home: Home, party: str) -> None:
        self.heard: Queue[tuple[str, bytes]] = Queue()
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.put((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("localhost", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = home.party_folder(party)
        context.load_cert_chain(folder / "certificate.pem", folder / "certificate.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}/notify"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def home(request: pytest.FixtureRequest) -> Home:
    if request.config.getoption("--base-url") or request.config.getoption("--mitz-url"):
        pytest.skip("a notification follows on a client's decision, which this party cannot make at the target")
    found: Home = request.getfixturevalue("network")
    return found


@pytest.fixture
def receiver(home: Home) -> Iterator[Receiver]:
    made = Receiver(home, cast(home.seed).hospital.id)
    yield made
    made.close()


def change(home: Home, bsn: str) -> None:
    """Have a client permit something and take it back: two changes."""

    async def run() -> None:
        portal = care_system(home, cast(home.seed).portal.id)
        await portal.discover()
        token = await client_token(portal, bsn, "consent", "patient/Consent.cruds")
        resource = consent_resource(home.seed, ConsentSeed(bsn, "ziekenhuis", ("Condition",), "huisartsenpraktijk"))
        resource["provision"]["class"] = [{"system": "http://fhir.nl/otv/CodeSystem/gegevenscategorie", "code": "GGC002"}]
        url = f"{portal.services['consent']}/fhir/Consent"
        sent: dict[str, Any] = {"content_type": "application/fhir+json", "token": token, "about": About((bsn,))}
        given = await portal.client.request("POST", url, content=resource, **sent)
        assert given.status == 201, given.body
        ended = await portal.client.request(
            "PUT", f"{url}/{given.json()['id']}", content=given.json() | {"status": "inactive"}, **sent
        )
        assert ended.status == 200, ended.body
        await portal.close()

    asyncio.run(run())


@pytest.mark.parametrize("beta", [False, True], ids=["3.8", "4.0-beta"])
@pytest.mark.parametrize("payload", [None, "application/fhir+xml", "application/fhir+json"])
def test_mitz_notification(target: Target, door: str, home: Home, receiver: Receiver, payload: str | None, beta: bool) -> None:
    """every change is told, in XML unless asked otherwise (nuts-knooppunt asks JSON, and drops what comes)."""
    bsn = cast(home.seed).unconsenting_client
    channel = {"type": "rest-hook", "endpoint": receiver.endpoint} | ({"payload": payload} if payload else {})
    changes: dict[str, Any] = {"channel": channel} | ({"meta": {"profile": [BETA]}} if beta else {})
    place = post(target, door, subscription(target, bsn, **changes)).headers["Location"]
    try:
        change(home, bsn)
        told = [receiver.heard.get(timeout=30) for _ in range(2)]
    finally:
        target.http.delete(f"{door.removesuffix('Subscription')}{place}")
    for active, (content_type, body) in zip((True, False), told, strict=True):
        assert content_type.partition(";")[0] == (payload or "application/fhir+xml")
        if payload == "application/fhir+json":
            consents = [each["resource"] for each in json.loads(body)["entry"] if each["resource"]["resourceType"] == "Consent"]
            outcomes = [(each["status"], each["provision"].get("type")) for each in consents]
            categories = {coding["code"] for each in consents for coding in each["category"][0]["coding"]}
        else:
            found = etree.fromstring(body).findall(f".//{FHIR}Consent")
            types = [each.find(f"{FHIR}provision/{FHIR}type") for each in found]
            statuses = [each.find(f"{FHIR}status") for each in found]
            outcomes = [
                (str(status.get("value")) if status is not None else "", None if kind is None else kind.get("value"))
                for status, kind in zip(statuses, types, strict=True)
            ]
            categories = {
                str(code.get("value")) for each in found for code in each.iterfind(f"{FHIR}category/{FHIR}coding/{FHIR}code")
            }
        assert set(outcomes) == ({("active", "permit")} if active else set()) | {("inactive", None)}
        assert categories == ({"INFA"} if beta else {"GGC002", "GGC012", "GGC013"})
