"""Filling the network through its own doors: addresses by the register, records by each party, consents by each client."""

import asyncio
import json
from pathlib import Path
from typing import Any

from proeftuin.categories import GROUP_SYSTEM, GROUPS
from proeftuin.fhir.bundle import subjects
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from proeftuin.parties import Client, ConsentSeed, Party, Seed
from proeftuin.sandbox import credentials, directory
from proeftuin.sandbox.care_system import CATEGORIES, CareSystem, Stopped
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.topology import only

RECORDS = Path(__file__).parent / "records"
CATEGORY_OF = {"Patient": "Patient", "Condition": "Condition", "MedicationRequest": "MedicationRequest", "CarePlan": "Episode"}
KIND_SYSTEM = "https://proeftuin.example/CodeSystem/kind"


def care_system(home: Home, party: str, **rest: Any) -> CareSystem:  # noqa: ANN401 - passed on
    """Return the system of a party of the sandbox."""
    topology = home.topology
    addressing = topology.network.addressing
    return CareSystem(topology.seed.party(party), home.party_folder(party), home.trust, addressing, **rest)


async def seed(home: Home) -> None:
    """Put in what is not there yet; to do it twice changes nothing. Raises Stopped when a service refuses."""
    topology = home.topology
    await feed_addressing(home)
    await asyncio.gather(
        _credentials(home),
        _consents(home),
        *(records(home, party) for party in topology.seed.parties if party.is_care_provider),
    )


async def feed_addressing(home: Home) -> None:
    """Have the register tell addressing of every party and address; raises Stopped when it refuses."""
    register = care_system(home, only(home.seed, "register"))
    network = home.topology.network
    scope = "system/Endpoint.crus system/Organization.crus"
    token = await register.token(network.issuer, network.addressing, scope)
    feed = directory.transaction(home.topology)
    try:
        await register.get(
            "feed addressing", "addressing", "POST", f"{network.addressing}/fhir", content=feed, token=token,
            content_type="application/fhir+json",
        )  # fmt: skip
        await register.discover()  # so that what it logged of this is delivered
    finally:
        await register.close()


async def _credentials(home: Home) -> None:
    register = care_system(home, only(home.seed, "register"))
    systems = {party.id: care_system(home, party.id) for party in credentials.owners(home)}
    try:
        await credentials.provide(credentials.Wallets(home, register), systems)
    finally:
        await asyncio.gather(register.close(), *(each.close() for each in systems.values()))


async def records(home: Home, party: Party) -> None:
    """Put a party's records in its own datastation, and register them for localization; raises Stopped."""
    system = care_system(home, party.id)
    try:
        await system.discover()
        for path in sorted((RECORDS / party.id).glob("*.json")):
            await load(home, system, json.loads(path.read_text()))
    finally:
        await system.close()


async def load(home: Home, system: CareSystem, bundle: dict[str, Any]) -> list[str]:
    """Load a Bundle into the party's own datastation and register its categories; returns the categories.

    Raises Stopped when the datastation refuses it; the hop before has the reason, the message the issues by element.
    """
    datastation = home.topology.datastation(system.party.id)
    await system.get(
        "load records", "datastation", "POST", f"{datastation}/fhir", content=bundle, content_type="application/fhir+json"
    )
    registrations = sorted(localizable(bundle))
    recipient = f"oin:{home.seed.party(only(home.seed, 'verwijsindex')).oin}"
    for bsn, category in registrations:
        await system.register(bsn, category, recipient)
    return sorted({category for _, category in registrations})


def localizable(bundle: dict[str, Any]) -> set[tuple[str, str]]:
    """Return which categories the Bundle holds on which client, as (BSN, category)."""
    kinds = ((entry.get("resource", {}).get("resourceType"), bsns) for entry, bsns in subjects(bundle))
    return {(bsn, CATEGORY_OF[kind]) for kind, bsns in kinds if kind in CATEGORY_OF for bsn in bsns}


async def _consents(home: Home) -> None:
    portal = care_system(home, only(home.seed, "portaal"))
    try:
        await portal.discover()
        for client in home.seed.clients:
            wanted = [consent for consent in home.seed.consents if consent.client == client.bsn]
            if wanted:
                await _consents_of(portal, home.seed, client, wanted)
    finally:
        await portal.close()


async def _consents_of(portal: CareSystem, seed: Seed, client: Client, wanted: list[ConsentSeed]) -> None:
    token = await client_token(portal, client.bsn, "consent", "patient/Consent.cruds")
    consent = f"{portal.services['consent']}/fhir/Consent"
    known = await portal.get("read the consents", "consent", "GET", consent, token=token)
    if known.get("entry"):
        return
    for each in wanted:
        resource = consent_resource(seed, each)
        await portal.get(
            "register a consent", "consent", "POST", consent, content=resource, token=token,
            content_type="application/fhir+json",
        )  # fmt: skip


async def client_token(portal: CareSystem, bsn: str, service: str, scope: str) -> str:
    """Log a client of care in through the portal and get a token for the client's own data."""
    statement = await portal.log_in("identity-clients", client=bsn)
    return await portal.national_token(service, scope, patient=bsn, purpose="PATRQT", id_token=statement)


def consent_resource(seed: Seed, consent: ConsentSeed) -> dict[str, Any]:
    """Return a consent of the seed as FHIR R4 Consent: holder is actor CST, user is actor IRCP, categories are `class`."""
    actors = [actor for actor in (_actor(seed, "CST", consent.holder), _actor(seed, "IRCP", consent.user)) if actor]
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"identifier": {"system": BSN_SYSTEM, "value": consent.client}},
        "dateTime": "2026-01-01",
        "policy": [{"uri": "https://proeftuin.example/policy/opt-in"}],
        "provision": {
            "type": consent.decision,
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
            "class": [{"system": GROUP_SYSTEM if each in GROUPS else CATEGORIES, "code": each} for each in consent.categories],
        },
    }
    if actors:
        resource["provision"]["actor"] = actors
    return resource


def _actor(seed: Seed, role: str, who: str) -> dict[str, Any] | None:
    if who == "*":
        return None
    party = next((party for party in seed.parties if party.id == who), None)
    identifier = {"system": URA_SYSTEM, "value": party.ura} if party else {"system": KIND_SYSTEM, "value": who}
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": role}
    return {"role": {"coding": [coding]}, "reference": {"identifier": identifier}}


__all__ = ["Stopped", "care_system", "client_token", "consent_resource", "load", "localizable", "seed"]
