"""What the register feeds to addressing: every party as Organization, every address of the network as Endpoint (MinVWS 0.10)."""

from typing import Any

from proeftuin.identifiers import KVK_SYSTEM, URA_SYSTEM
from proeftuin.parties import KINDS, Party
from proeftuin.sandbox.care_system import CATEGORIES, SERVICE_SYSTEM
from proeftuin.sandbox.topology import NATIONAL, Topology

CIBG_KVK = "50000535"  # assigns the URA (MinVWS 0.10, care-services)
_CUSTODIAN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "custodian"}]}
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_AUTHORIZATION = "http://minvws.github.io/generiekefuncties-docs/CodeSystem/nl-gf-authorization-server-cs"
_ANY = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "any"}
_R4 = "application/fhir+json; fhirVersion=4.0"


def resources(topology: Topology) -> list[dict[str, Any]]:
    """Return the Endpoints and Organizations of the network, in an order in which every reference is there already."""
    endpoints = [
        _national(topology, service) for service in (*NATIONAL, "authorization", "identity-professionals", "identity-clients")
    ]
    care = [party for party in topology.seed.parties if party.is_care_provider]
    endpoints += [endpoint for party in care for endpoint in _of_party(topology, party)]
    by_owner: dict[str, list[str]] = {}
    for party in care:
        by_owner[party.id] = [f"Endpoint/{party.id}-fhir", f"Endpoint/{party.id}-oauth2"]
    return endpoints + [_organization(party, by_owner.get(party.id, [])) for party in topology.seed.parties]


def transaction(topology: Topology) -> dict[str, Any]:
    """Return the feed as one transaction Bundle of PUT entries (ITI-130-NL)."""
    entries = [
        {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}
        for resource in resources(topology)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _organization(party: Party, endpoints: list[str]) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Organization",
        "id": party.id,
        "identifier": _identifiers(party),
        "active": True,
        "type": [{"coding": [coding]} for coding in KINDS[party.kind].codings],
        "name": party.name,
    }
    if party.city is not None:
        resource["address"] = [{"city": party.city, "country": "NL"}]
    if endpoints:
        resource["endpoint"] = [{"reference": endpoint} for endpoint in endpoints]
    return resource


def _identifiers(party: Party) -> list[dict[str, Any]]:
    """The first identifier is the custodian-assigned one: the register assigns a URA, a party its own KvK-based one."""
    found = [{"system": system, "value": value} for system, value in party.identifiers]
    assigner = CIBG_KVK if party.ura else party.kvk
    main = next(each for each in found if each["system"] == (URA_SYSTEM if party.ura else KVK_SYSTEM))
    assigned = main | {
        "use": "official",
        "assigner": {"identifier": {"system": KVK_SYSTEM, "value": assigner, "type": _CUSTODIAN}},
    }
    return [assigned, *(each for each in found if each is not main)]


def _of_party(topology: Topology, party: Party) -> list[dict[str, Any]]:
    host = topology.seed.party(party.hosted_by or party.id)
    payloads = [
        {"coding": [{"system": CATEGORIES, "code": code}]} for code in ("Patient", "Condition", "MedicationRequest", "Episode")
    ]
    fhir = _endpoint(f"{party.id}-fhir", host, _CONNECTION, "hl7-fhir-rest", f"{topology.datastation(party.id)}/fhir", payloads)
    fhir["payloadMimeType"] = [_R4]
    oauth2 = _endpoint(f"{party.id}-oauth2", host, _AUTHORIZATION, "oauth2", topology.issuer(party.id), [{"coding": [_ANY]}])
    return [fhir, oauth2]


def _national(topology: Topology, service: str) -> dict[str, Any]:
    network = topology.network
    is_issuer = service not in NATIONAL
    addresses = {
        "authorization": network.issuer,
        "identity-professionals": network.identity_professionals,
        "identity-clients": network.identity_clients,
    }
    address = addresses[service] if is_issuer else getattr(network, service)
    operator = topology.seed.party(topology.instance("authorization" if is_issuer else service).operator)
    system, code = (_AUTHORIZATION, "oauth2") if is_issuer else (_CONNECTION, "hl7-fhir-rest")
    resource = _endpoint(f"network-{service}", operator, system, code, address, [{"coding": [_ANY]}])
    resource["identifier"] = [{"system": SERVICE_SYSTEM, "value": service}]
    return resource


def _endpoint(
    endpoint_id: str, manager: Party, system: str, code: str, address: str, payloads: list[dict[str, Any]]
) -> dict[str, Any]:
    identifier_system, value = manager.identifiers[0]
    return {
        "resourceType": "Endpoint",
        "id": endpoint_id,
        "status": "active",
        "connectionType": {"system": system, "code": code},
        "managingOrganization": {
            "reference": f"Organization/{manager.id}",
            "identifier": {"system": identifier_system, "value": value},
        },
        "payloadType": payloads,
        "address": address,
    }
