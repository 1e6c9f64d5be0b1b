"""A consent between the forms of Mitz 3.8 (a notification) and of IHE PCF (nl-generic-functions-ig): no resource can be both."""

from typing import Any

from proeftuin.categories import GROUP_SYSTEM, NAMES
from proeftuin.identifiers import URA_SYSTEM
from services.consent.consent_rules import DATA, MITZ_38, PCF, PROFILE_PCF, holders_of, receivers_of
from services.consent.mitz.catalogue import CONSULTING, CONSULTING_SYSTEM
from services.consent.mitz.notification import NOTIFY_38, RECEIVERS

POLICY = "urn:nl:otv:mitz-catalogus:3.8.0"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


def from_mitz(consent: dict[str, Any], evidence: str) -> dict[str, Any]:
    """Return the PCF form of a Consent in a Mitz notification; `evidence` is what it came in (the id of the Bundle).

    Raises InvalidResource with every element that is not as Mitz has it.
    """
    MITZ_38.demand_fhir(consent)
    permit = consent["status"] == "active"
    receivers = [
        {
            "role": {"coding": [{"system": _TERMINOLOGY + "v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"type": "Group", "identifier": {"system": CONSULTING_SYSTEM, "value": code}, "display": CONSULTING[code]},
        }
        for code in receivers_of(consent)
    ]
    (holder,) = holders_of(consent)
    data = consent["category"][0]["coding"][0]
    return {
        "resourceType": "Consent",
        "meta": {"profile": [PROFILE_PCF]},
        "extension": [{"url": DATA, "valueCoding": {"system": GROUP_SYSTEM, "code": data["code"], "display": NAMES[data["code"]]}}],
        "status": "active",
        "scope": {"coding": [{"system": _TERMINOLOGY + "consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": _TERMINOLOGY + "v3-ActCode", "code": "INFA"}]}],
        "patient": consent["patient"],
        "dateTime": consent["dateTime"],
        "performer": [consent["patient"]],
        "organization": [{"type": "Organization", "identifier": {"system": URA_SYSTEM, "value": holder}}],
        "sourceReference": {
            "type": "DocumentReference",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{evidence}"},
        },
        "policy": [{"uri": POLICY}],
        "provision": {
            "type": "permit" if permit else "deny",
            "actor": receivers,
            "purpose": [{"system": _TERMINOLOGY + "v3-ActReason", "code": "TREAT"}],
        },
    }


def to_mitz(consent: dict[str, Any]) -> dict[str, Any]:
    """Return the form of a Mitz notification of a Consent in PCF form; raises InvalidResource with every fault.

    What PCF can say and Mitz cannot (a period, one organisation as receiver, another purpose) is a fault and not left out.
    """
    PCF.demand_fhir(consent)
    provision = consent["provision"]
    permit = provision["type"] == "permit"
    codes = [actor["reference"]["identifier"]["value"] for actor in provision["actor"]]
    holder = consent["organization"][0]["identifier"]["value"]
    data = next(each["valueCoding"] for each in consent["extension"] if each["url"] == DATA)
    return {
        "resourceType": "Consent",
        "meta": {"profile": [NOTIFY_38]},
        "extension": [
            {"url": RECEIVERS, "valueCoding": {"system": CONSULTING_SYSTEM, "code": code, "display": CONSULTING[code]}}
            for code in codes
        ],
        "status": "active" if permit else "inactive",
        "scope": consent["scope"],
        "category": [{"coding": [{"system": GROUP_SYSTEM, "code": data["code"], "display": NAMES[data["code"]]}]}],
        "patient": consent["patient"],
        "dateTime": consent["dateTime"],
        "provision": ({"type": "permit"} if permit else {})
        | {
            "actor": [
                {
                    "role": {"coding": [{"system": _TERMINOLOGY + "v3-ParticipationType", "code": "CST"}]},
                    "reference": {"type": "Organization", "identifier": {"system": URA_SYSTEM, "value": holder}},
                }
            ],
            "purpose": [{"system": _TERMINOLOGY + "v3-ActReason", "code": "TREAT"}],
        },
    }
