"""A consent between the forms of Mitz 3.8 (a notification) and of IHE PCF (nl-generic-functions-ig): no resource can be both."""

from collections.abc import Iterator
from typing import Any

from proeftuin.categories import GROUP_SYSTEM, GROUPS, NAMES
from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from proeftuin.reasons import PROFILE
from services.consent.mitz.catalogue import CONSULTING, CONSULTING_SYSTEM
from services.consent.mitz.notification import NOTIFY_38, RECEIVERS

PROFILE_PCF = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentIntermediate"
POLICY = "urn:nl:otv:mitz-catalogus:3.8.0"
DATA = "https://proeftuin.example/StructureDefinition/data-category"  # PCF forbids class, code and, below Advanced, labels
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_ABSENT = dict.fromkeys(("action", "class", "code", "securityLabel"), "PCF forbids it below Advanced") | dict.fromkeys(
    ("period", "dataPeriod", "data", "provision"), "Mitz cannot say it"
)


def from_mitz(consent: dict[str, Any], evidence: str) -> dict[str, Any]:
    """Return the PCF form of a Consent in a Mitz notification; `evidence` is what it came in (the id of the Bundle).

    Raises InvalidResource with every element that is not as Mitz has it.
    """
    faults = list(_mitz_faults(consent))
    if faults:
        raise InvalidResource(faults)
    permit = consent["status"] == "active"
    receivers = [
        {
            "role": {"coding": [{"system": _TERMINOLOGY + "v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"type": "Group", "identifier": {"system": CONSULTING_SYSTEM, "value": code}, "display": CONSULTING[code]},
        }
        for code in _receivers(consent)
    ]
    (holder,) = _holders(consent)
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
    faults = list(_pcf_faults(consent))
    if faults:
        raise InvalidResource(faults)
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


def _receivers(consent: dict[str, Any]) -> list[str]:
    return [each["valueCoding"]["code"] for each in consent.get("extension", []) if each.get("url") == RECEIVERS]


def _holders(consent: dict[str, Any]) -> list[str]:
    return [
        actor["reference"]["identifier"]["value"]
        for actor in consent.get("provision", {}).get("actor", [])
        if "CST" in {coding.get("code") for coding in actor["role"].get("coding", [])}
    ]


def _mitz_faults(consent: dict[str, Any]) -> Iterator[Issue]:
    if consent.get("resourceType") != "Consent" or NOTIFY_38 not in consent.get("meta", {}).get("profile", []):
        yield _issue("Consent.meta.profile", NOTIFY_38)
    permit = consent.get("provision", {}).get("type") == "permit"
    if (consent.get("status"), permit) not in {("active", True), ("inactive", False)} or "deny" in str(
        consent.get("provision", {}).get("type")
    ):
        yield _issue("Consent.status", "active with provision.type permit, or inactive without provision.type (a refusal)")
    codings = [coding for concept in consent.get("category", []) for coding in concept.get("coding", [])]
    if len(codings) != 1 or codings[0].get("code") not in GROUPS:
        yield _issue("Consent.category", f"one code of {GROUP_SYSTEM}")
    if not _receivers(consent) or not set(_receivers(consent)) <= CONSULTING.keys():
        yield _issue("Consent.extension", f"{RECEIVERS} with codes of {CONSULTING_SYSTEM}, at least one")
    if len(_holders(consent)) != 1:
        yield _issue("Consent.provision.actor", "one holder, with role CST and a URA")
    yield from _common_faults(consent)


def _pcf_faults(consent: dict[str, Any]) -> Iterator[Issue]:
    for name in ("performer", "organization", "policy"):
        if not consent.get(name):
            yield _issue(f"Consent.{name}", "at least one (PCF)")
    if len(consent.get("organization", [])) > 1:
        yield _issue("Consent.organization", "one holder: Mitz tells each apart")
    if not {"sourceReference", "sourceAttachment"} & consent.keys():
        yield _issue("Consent.source[x]", "what the client decided with (PCF)")
    if "verification" in consent:
        yield _issue("Consent.verification", "absent (PCF)")
    data = [each.get("valueCoding", {}).get("code") for each in consent.get("extension", []) if each.get("url") == DATA]
    if len(data) != 1 or data[0] not in GROUPS:
        yield _issue("Consent.extension", f"{DATA} with one code of {GROUP_SYSTEM}: PCF has no element for it")
    yield from _provision_faults(consent.get("provision", {}), consent.get("status"))
    yield from _common_faults(consent)


def _provision_faults(provision: dict[str, Any], status: object) -> Iterator[Issue]:
    if provision.get("type") not in ("permit", "deny") or status != "active":
        yield _issue("Consent.provision.type", "an active consent with permit or deny")
    for name, why in _ABSENT.items():
        if name in provision:
            yield _issue(f"Consent.provision.{name}", f"absent: {why}")
    if {coding.get("code") for coding in provision.get("purpose", [])} != {"TREAT"}:
        yield _issue("Consent.provision.purpose", "TREAT alone: Mitz knows no other")
    identifiers = [actor.get("reference", {}).get("identifier", {}) for actor in provision.get("actor", [])]
    if not identifiers or any(
        each.get("system") != CONSULTING_SYSTEM or each.get("value") not in CONSULTING for each in identifiers
    ):
        yield _issue("Consent.provision.actor", f"receivers by category ({CONSULTING_SYSTEM}), at least one")


def _common_faults(consent: dict[str, Any]) -> Iterator[Issue]:
    if consent.get("patient", {}).get("identifier", {}).get("system") != BSN_SYSTEM:
        yield _issue("Consent.patient.identifier", "the BSN of the client")
    if "dateTime" not in consent:
        yield _issue("Consent.dateTime", "when the client decided")


def _issue(expression: str, wanted: str) -> Issue:
    return Issue("error", "business-rule", f"wanted: {wanted}", expression, PROFILE.code)
