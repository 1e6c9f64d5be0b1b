"""One conforming example of each profile, to be changed by the tests."""

from typing import Any

GF = "http://minvws.github.io/generiekefuncties-docs/"
URA = "http://fhir.nl/fhir/NamingSystem/ura"
KVK = "http://fhir.nl/fhir/NamingSystem/kvk"
BSN = "http://fhir.nl/fhir/NamingSystem/bsn"
HL7 = "http://terminology.hl7.org/CodeSystem/"


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


ORGANIZATION: dict[str, Any] = {
    "resourceType": "Organization",
    "id": "verpleeghuis",
    "extension": [{"url": "https://proeftuin.example/StructureDefinition/note", "valueString": "x"}],
    "identifier": [
        {
            "use": "official", "system": URA, "value": "90000103",
            "assigner": {
                "identifier": {
                    "system": KVK, "value": "50000535", "type": concept(HL7 + "provenance-participant-type", "custodian"),
                },
            },
        },
    ],
    "active": True,
    "type": [concept("https://www.cbs.nl/standaard-bedrijfsindeling", "87301")],
    "name": "Verpleeghuis Avondrood",
    "telecom": [{"system": "phone", "value": "010", "use": "work"}],
    "address": [{"use": "work", "city": "Lindenburg"}],
    "endpoint": [{"reference": "Endpoint/e1"}],
}  # fmt: skip
ENDPOINT: dict[str, Any] = {
    "resourceType": "Endpoint",
    "id": "e1",
    "status": "active",
    "connectionType": {"system": HL7 + "endpoint-connection-type", "code": "hl7-fhir-rest"},
    "managingOrganization": {"identifier": {"system": KVK, "value": "90990301"}},
    "period": {"start": "2026-01-01"},
    "payloadType": [concept(GF + "CodeSystem/nl-gf-data-categories-cs", "Condition")],
    "payloadMimeType": ["application/fhir+json; fhirVersion=4.0"],
    "address": "https://localhost:8440/fhir",
}
LOCALIZATION: dict[str, Any] = {
    "resourceType": "List",
    "extension": [
        {
            "url": GF + "StructureDefinition/nl-gf-localization-custodian",
            "valueReference": {"identifier": {"system": URA, "value": "90000103"}},
        }
    ],
    "status": "current",
    "mode": "working",
    "code": concept(GF + "CodeSystem/nl-gf-data-categories-cs", "Condition"),
    "subject": {"identifier": {"use": "temp", "system": GF + "NamingSystem/nvi-identifier", "value": "token"}},
    "source": {"identifier": {"system": GF + "NamingSystem/oauth-client-id", "value": "ura:90000103"}},
    "emptyReason": concept(HL7 + "list-empty-reason", "withheld"),
}
LIST: dict[str, Any] = {
    "resourceType": "List",
    "status": "current",
    "mode": "changes",
    "entry": [{"deleted": True, "item": {"reference": "Condition/1"}}],
}
AUDIT_EVENT: dict[str, Any] = {
    "resourceType": "AuditEvent",
    "type": {"system": HL7 + "audit-event-type", "code": "rest"},
    "action": "R",
    "recorded": "2026-11-23T10:00:00.000Z",
    "outcome": "0",
    "agent": [{"requestor": True, "network": {"address": "127.0.0.1", "type": "2"}}, {"requestor": False}],
    "source": {"observer": {"display": "datastation"}},
    "entity": [{"query": "aGFsbG8=", "detail": [{"type": "reason", "valueString": "x"}]}],
}
CONSENT: dict[str, Any] = {
    "resourceType": "Consent",
    "status": "active",
    "scope": concept(HL7 + "consentscope", "patient-privacy"),
    "category": [concept("http://loinc.org", "59284-0")],
    "patient": {"identifier": {"system": BSN, "value": "999910000"}},
    "policy": [{"uri": "https://proeftuin.example/policy"}],
    "provision": {
        "type": "permit",
        "actor": [{"role": concept(HL7 + "v3-ParticipationType", "IRCP"), "reference": {"display": "ziekenhuis"}}],
        "provision": [{"type": "deny"}],
    },
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": BSN, "value": "999910000"}],
    "name": [{"family": "van den Akker", "given": ["Johanna"], "_given": [{"id": "g"}]}],
    "gender": "female",
    "birthDate": "1938-04-12",
    "_birthDate": {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "1938-04-12"}]
    },
    "deceasedBoolean": False,
    "contact": [{"name": {"family": "Akker"}}],
}
CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "clinicalStatus": concept(HL7 + "condition-clinical", "resolved"),
    "verificationStatus": concept(HL7 + "condition-ver-status", "confirmed"),
    "code": concept("http://snomed.info/sct", "84229001"),
    "subject": {"reference": "Patient/p1"},
    "onsetDateTime": "2020-02",
    "abatementString": "vorig jaar",
    "stage": [{"summary": {"text": "licht"}}],
    "evidence": [{"code": [{"text": "vermoeid"}]}],
}
MEDICATION_REQUEST: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": concept("http://www.whocc.no/atc", "A10BA02"),
    "subject": {"reference": "Patient/p1"},
    "dosageInstruction": [
        {
            "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d", "when": ["MORN"]}},
            "asNeededBoolean": True,
            "doseAndRate": [{"doseQuantity": {"value": 0.5, "unit": "mg"}}],
        }
    ],
}
CARE_PLAN: dict[str, Any] = {
    "resourceType": "CarePlan",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/p1"},
    "activity": [{"detail": {"status": "in-progress", "scheduledString": "dagelijks"}}, {"reference": {"reference": "Task/1"}}],
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {"fullUrl": "urn:uuid:1", "resource": CONDITION, "request": {"method": "POST", "url": "Condition"}},
        {"request": {"method": "DELETE", "url": "List/1"}},
    ],
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "nl-gf-organization": ORGANIZATION,
    "nl-gf-endpoint": ENDPOINT,
    "nl-gf-localization-list": LOCALIZATION,
    "List": LIST,
    "AuditEvent": AUDIT_EVENT,
    "Consent": CONSENT,
    "Patient": PATIENT,
    "Condition": CONDITION,
    "MedicationRequest": MEDICATION_REQUEST,
    "CarePlan": CARE_PLAN,
    "Bundle": BUNDLE,
}
