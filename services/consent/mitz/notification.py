"""What a holder is told when a client's consents change: a transaction Bundle, in the form of 3.8 or of 4.0.0-beta.1 (§6.5)."""

from typing import Any

from proeftuin.categories import GROUP_SYSTEM, NAMES
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from services.consent import subscriptions
from services.consent.decisions import PERMIT, Question, decide
from services.consent.mitz.catalogue import CONSULTING, CONSULTING_SYSTEM, KIND_OF_TYPE, KINDS_OF, TYPE_SYSTEM
from services.consent.mitz.fhir_xml import XHTML_NS
from services.consent.model import Consent

NOTIFY_38 = "http://vzvz.nl/fhir/StructureDefinition/Consent-Mitz-Notify|3.8.0"
NOTIFY_40 = "http://vzvz.nl/fhir/otv/StructureDefinition/mitz-base-consent"
RECEIVERS = "http://fhir.nl/StructureDefinition/OTV-ProviderCategory"
_DATA_CATEGORY = "https://proeftuin.example/StructureDefinition/data-category"  # where 4.0-beta puts it was not to be read
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


def bundle(subscription: subscriptions.Subscription, patient: str, consents: list[Consent], now: str) -> dict[str, Any]:
    """Return what holds now for the holder of `subscription`: of each data category who may see it and who may not."""
    entries = [
        _entry(_consent(subscription, patient, category, permit, receivers, now))
        for category in NAMES
        for permit, receivers in _outcomes(subscription, category, consents, now)
    ]
    entries += [_entry(_patient(patient)), _entry(_organization(subscription))]
    return {
        "resourceType": "Bundle",
        "id": subscriptions.new_id(),
        "meta": {"lastUpdated": now},
        "type": "transaction",
        "entry": entries,
    }


def _outcomes(
    subscription: subscriptions.Subscription, category: str, consents: list[Consent], now: str
) -> list[tuple[bool, list[str]]]:
    """The receiving categories with a permit, and those without; a category has one when every kind in it has."""
    kind = KIND_OF_TYPE[subscription.holder_type]
    found: dict[bool, list[str]] = {True: [], False: []}
    for receiver in CONSULTING:
        asked = [Question(subscription.holder, kind, None, each, "TREAT") for each in KINDS_OF[receiver]]
        found[all(decide(question, category, consents, now).outcome == PERMIT for question in asked)].append(receiver)
    return [(permit, receivers) for permit, receivers in found.items() if receivers]


def _entry(resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "fullUrl": f"urn:uuid:{subscriptions.new_id()}",
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]},
    }


def _consent(
    subscription: subscriptions.Subscription, patient: str, category: str, permit: bool, receivers: list[str], now: str
) -> dict[str, Any]:
    """A permit group, or a refusal group: inactive and without provision.type (§6.5)."""
    told = f"{NAMES[category]}: {'wel' if permit else 'niet'} voor {', '.join(CONSULTING[each] for each in receivers)}"
    extensions = [
        {"url": RECEIVERS, "valueCoding": {"system": CONSULTING_SYSTEM, "code": each, "display": CONSULTING[each]}}
        for each in receivers
    ]
    data = {"system": GROUP_SYSTEM, "code": category, "display": NAMES[category]}
    if subscription.is_beta:
        extensions.append({"url": _DATA_CATEGORY, "valueCoding": data})
        data = {"system": _TERMINOLOGY + "v3-ActCode", "code": "INFA"}
    return {
        "resourceType": "Consent",
        "meta": {"profile": [NOTIFY_40 if subscription.is_beta else NOTIFY_38]},
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML_NS}">{told}</div>'},
        "extension": extensions,
        "status": "active" if permit else "inactive",
        "scope": {"coding": [{"system": _TERMINOLOGY + "consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [data]}],
        "patient": {"type": "Patient", "identifier": {"system": BSN_SYSTEM, "value": patient}},
        "dateTime": now,
        "provision": ({"type": "permit"} if permit else {})
        | {
            "actor": [
                {
                    "role": {"coding": [{"system": _TERMINOLOGY + "v3-ParticipationType", "code": "CST"}]},
                    "reference": {"type": "Organization", "identifier": {"system": URA_SYSTEM, "value": subscription.holder}},
                }
            ],
            "purpose": [{"system": _TERMINOLOGY + "v3-ActReason", "code": "TREAT"}],
        },
    }


def _patient(patient: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": BSN_SYSTEM, "value": patient}]}


def _organization(subscription: subscriptions.Subscription) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": URA_SYSTEM, "value": subscription.holder}],
        "type": [{"coding": [{"system": TYPE_SYSTEM, "code": subscription.holder_type}]}],
    }
