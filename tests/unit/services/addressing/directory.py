"""The addressing service under test, with resources and writers."""

from pathlib import Path
from typing import Any

import httpx

from proeftuin.identifiers import KVK_SYSTEM, URA_SYSTEM
from services.addressing.app import create_app
from tests.harness import BASE, Harness

FHIR = f"{BASE}/fhir"
ORGANIZATION, ENDPOINT = "system/Organization.crus", "system/Endpoint.crus"
REGISTER, VENDOR, OTHER_VENDOR = "cibg", "zorgsoft", "carewave"
HOSPITAL, NURSING_HOME = "ziekenhuis-de-linde", "verpleeghuis-avondrood"
FHIR_JSON = "application/fhir+json"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
Resource = dict[str, Any]


class Directory(Harness):
    """The harness of addressing."""

    def __init__(self, tmp_path: Path, database: str | None = None) -> None:
        super().__init__(tmp_path, "addressing", [REGISTER], database)
        self.app = create_app(self.settings, self.wiring)

    async def get(self, path: str, party: str = HOSPITAL, **rest: Any) -> httpx.Response:
        return await self.call("GET", f"/fhir{path}", party=party, **rest)

    async def put(
        self, party: str, resource: Resource, if_match: str | None = None, scopes: tuple[str, ...] = (ORGANIZATION, ENDPOINT)
    ) -> httpx.Response:
        headers = {"Content-Type": FHIR_JSON} | ({"If-Match": if_match} if if_match else {})
        place = f"/fhir/{resource['resourceType']}/{resource['id']}"
        return await self.call("PUT", place, party=party, token=self.token(party, *scopes), headers=headers, json=resource)

    async def transact(
        self, party: str, *entries: Resource, scopes: tuple[str, ...] = (ORGANIZATION, ENDPOINT), **bundle: Any
    ) -> httpx.Response:
        content = {"resourceType": "Bundle", "type": "transaction"} | ({"entry": list(entries)} if entries else {}) | bundle
        token = self.token(party, *scopes)
        return await self.call("POST", "/fhir", party=party, token=token, headers={"Content-Type": FHIR_JSON}, json=content)

    async def feed(self, *resources: Resource) -> None:
        answer = await self.transact(REGISTER, *map(entry, resources))
        assert answer.status_code == 200, answer.text
        await self.logged()

    def organization(self, party: str, **rest: Any) -> Resource:
        """What the register says of a party."""
        seed = self.seed.party(party)
        system, value = (URA_SYSTEM, seed.ura) if seed.ura else (KVK_SYSTEM, seed.kvk)
        return organization(party, system, value or "", **{"name": seed.name} | rest)

    def endpoint(self, endpoint_id: str, manager: str, **rest: Any) -> Resource:
        """An endpoint that a party manages."""
        system, value = self.seed.party(manager).identifiers[0]
        return endpoint(endpoint_id, {"identifier": {"system": system, "value": value}}, **rest)


def organization(organization_id: str, system: str, value: str, **rest: Any) -> Resource:
    custodian = {"coding": [{"system": f"{TERMINOLOGY}provenance-participant-type", "code": "custodian"}]}
    assigner = {"identifier": {"system": KVK_SYSTEM, "value": "50000535", "type": custodian}}
    return {
        "resourceType": "Organization", "id": organization_id, "active": True, "name": "Ergens",
        "identifier": [{"use": "official", "system": system, "value": value, "assigner": assigner}],
        "type": [{"coding": [{"system": "https://www.cbs.nl/standaard-bedrijfsindeling", "code": "8610"}]}],
    } | rest  # fmt: skip


def endpoint(endpoint_id: str, manager: Resource, **rest: Any) -> Resource:
    return {
        "resourceType": "Endpoint", "id": endpoint_id, "status": "active", "managingOrganization": manager,
        "connectionType": {"system": f"{TERMINOLOGY}endpoint-connection-type", "code": "hl7-fhir-rest"},
        "payloadType": [{"coding": [{"system": f"{TERMINOLOGY}endpoint-payload-type", "code": "any"}]}],
        "address": "https://localhost:9001/fhir",
    } | rest  # fmt: skip


def entry(resource: Resource, **request: Any) -> Resource:
    place = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": place} | request}


async def refused(directory: Directory, answer: httpx.Response, status: int, reason: str, code: str) -> Resource:
    """Return the OperationOutcome of a refusal, after asserting it and its one event; `code` is the interaction's."""
    assert (answer.status_code, answer.headers.get("X-Reason")) == (status, reason), answer.text
    outcome: Resource = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert {coding["code"] for issue in outcome["issue"] for coding in issue["details"]["coding"]} == {reason}
    (event,) = await directory.logged()
    assert event["outcome"] == "8"
    assert event["outcomeDesc"].startswith(f"{reason}: ")
    assert event["subtype"][0]["code"] == code
    return outcome


def entities(event: Resource) -> list[str]:
    return [each["what"]["reference"] for each in event["entity"] if "reference" in each.get("what", {})]
