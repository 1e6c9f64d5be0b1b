"""What a FHIR Consent must be in each of its forms: of Mitz 3.8 and 4.0.0-beta.1, of IHE PCF, and in the register."""

from collections.abc import Callable, Iterator
from typing import Any

from proeftuin.categories import GROUP_SYSTEM, GROUPS
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.identifiers import BSN_SYSTEM, is_bsn
from proeftuin.reasons import Finding
from services.consent.mitz.catalogue import CONSULTING, CONSULTING_SYSTEM
from services.consent.mitz.notification import NOTIFY_38, NOTIFY_40, RECEIVERS
from services.consent.mitz.rules import ERROR, Rules
from services.consent.model import patient_of, read_consent

Resource = dict[str, Any]
PROFILE_PCF = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentIntermediate"
DATA = "https://proeftuin.example/StructureDefinition/data-category"  # PCF forbids class, code and, below Advanced, labels
_ABSENT = dict.fromkeys(("action", "class", "code", "securityLabel"), "PCF forbids it below Advanced") | dict.fromkeys(
    ("period", "dataPeriod", "data", "provision"), "Mitz cannot say it"
)
MITZ_38: Rules[Resource] = Rules()
MITZ_40: Rules[Resource] = Rules()
PCF: Rules[Resource] = Rules()


def rules_for(consent: Resource) -> Callable[[Resource], list[Finding]]:
    """Return what finds the deviations of a Consent from the form that its profile claims; without one it is the register's."""
    profiles = {each.partition("|")[0] for each in profiles_of(consent)}
    for canonical, rules in ((NOTIFY_38, MITZ_38), (NOTIFY_40, MITZ_40), (PROFILE_PCF, PCF)):
        if canonical.partition("|")[0] in profiles:
            return rules.findings
    if any("/ITI/PCF/" in each for each in profiles):
        return PCF.findings
    return lambda found: list(_register(found))


def profiles_of(consent: Resource) -> list[str]:
    """Return the profiles that a Consent claims, whatever shape it is of."""
    return [str(each) for each in _listed(consent.get("meta"), "profile")]


def receivers_of(consent: Resource) -> list[str]:
    """Return the categories of receivers that a Consent of Mitz names."""
    return [each["valueCoding"]["code"] for each in consent.get("extension", []) if each.get("url") == RECEIVERS]


def holders_of(consent: Resource) -> list[str]:
    """Return the holders (URA) that a Consent of Mitz names."""
    return [
        actor["reference"]["identifier"]["value"]
        for actor in consent.get("provision", {}).get("actor", [])
        if "CST" in {coding.get("code") for coding in actor["role"].get("coding", [])}
    ]


def categories_of(consent: Resource) -> list[str]:
    """Return the data categories that a Consent of Mitz names, in either form."""
    codings = _categories(consent) + [each["valueCoding"] for each in _listed(consent, "extension") if each.get("url") == DATA]
    return [str(each["code"]) for each in codings if each.get("code") in GROUPS]


def _register(consent: Resource) -> Iterator[Finding]:
    try:
        read_consent(consent, patient_of(consent) or "")
    except InvalidResource as refused:
        for each in refused.issues:
            yield Finding("RC-01", "nl-generic-functions-ig: what a decision weighs", ERROR, each.diagnostics, each.expression)


def _listed(parent: Any, name: str) -> list[Any]:  # noqa: ANN401 - JSON is any
    found = parent.get(name, []) if isinstance(parent, dict) else []
    return found if isinstance(found, list) else []


def _categories(consent: Resource) -> list[Any]:
    return [coding for concept in _listed(consent, "category") for coding in _listed(concept, "coding")]


def _codes(codings: list[Any]) -> set[Any]:
    return {coding.get("code") for coding in codings}


def _claims(profile: str) -> Callable[[Resource], bool]:
    return lambda consent: consent["resourceType"] == "Consent" and profile in consent["meta"]["profile"]


def _has(name: str) -> Callable[[Resource], bool]:
    return lambda consent: bool(consent[name])


def _lacks(name: str) -> Callable[[Resource], bool]:
    return lambda consent: name not in consent["provision"]


def _is_decision(consent: Resource) -> bool:
    return (consent["status"], consent["provision"].get("type")) in {("active", "permit"), ("inactive", None)}


def _has_receivers(consent: Resource) -> bool:
    return bool(receivers_of(consent)) and set(receivers_of(consent)) <= CONSULTING.keys()


def _data(consent: Resource) -> list[Any]:
    return [each["valueCoding"]["code"] for each in consent["extension"] if each["url"] == DATA]


def _is_by_category(consent: Resource) -> bool:
    found = [actor["reference"]["identifier"] for actor in consent["provision"]["actor"]]
    return bool(found) and all(each["system"] == CONSULTING_SYSTEM and each["value"] in CONSULTING for each in found)


def _always(rules: Rules[Resource], prefix: str, clause: str) -> None:
    """What each form wants."""
    rules.wants(
        f"{prefix}-08", f"{clause}: patient", "Consent.patient.identifier", "the BSN of the client",
        lambda it: it["patient"]["identifier"]["system"] == BSN_SYSTEM and is_bsn(it["patient"]["identifier"]["value"]),
    )  # fmt: skip
    rules.wants(f"{prefix}-09", f"{clause}: dateTime", "Consent.dateTime", "when the client decided", lambda it: it["dateTime"])
    rules.wants(
        f"{prefix}-10", f"{clause}: scope", "Consent.scope", "patient-privacy",
        lambda it: "patient-privacy" in _codes(it["scope"]["coding"]),
    )  # fmt: skip


for _rules, _prefix, _profile in ((MITZ_38, "MC", NOTIFY_38), (MITZ_40, "MB", NOTIFY_40)):
    _wants = _rules.wants
    _wants(
        f"{_prefix}-01", "Mitz: meta.profile", "Consent.meta.profile", _profile,
        _claims(_profile),
    )  # fmt: skip
    _wants(
        f"{_prefix}-02", "Mitz: one Consent per outcome", "Consent.status",
        "active with provision.type permit, or inactive without provision.type (a refusal)", _is_decision,
    )  # fmt: skip
    _wants(
        f"{_prefix}-04", "Mitz: receivers", "Consent.extension", f"{RECEIVERS} with codes of {CONSULTING_SYSTEM}, at least one",
        _has_receivers,
    )  # fmt: skip
    _wants(
        f"{_prefix}-05", "Mitz: holder", "Consent.provision.actor", "one holder, with role CST and a URA",
        lambda it: len(holders_of(it)) == 1,
    )  # fmt: skip
    _wants(
        f"{_prefix}-06", "Mitz: purpose", "Consent.provision.purpose", "TREAT",
        lambda it: _codes(it["provision"]["purpose"]) == {"TREAT"},
    )  # fmt: skip
    _always(_rules, _prefix, "Mitz")
MITZ_38.wants(
    "MC-03", "Mitz: category", "Consent.category", f"one code of {GROUP_SYSTEM}",
    lambda it: len(_categories(it)) == 1 and _categories(it)[0]["code"] in GROUPS,
)  # fmt: skip
MITZ_40.wants(
    "MB-03", "Mitz: category (4.0.0-beta.1: at most one, fixed)", "Consent.category", "INFA alone",
    lambda it: len(it["category"]) == 1 and _codes(_categories(it)) == {"INFA"},
)  # fmt: skip

for _name in ("performer", "organization", "policy"):
    PCF.wants(
        "PC-01", f"IHE PCF: {_name} 1..", f"Consent.{_name}", "at least one (PCF)", _has(_name)
    )  # fmt: skip
_wants = PCF.wants
_wants(
    "PC-02", "Mitz and PCF: holder", "Consent.organization", "one holder: Mitz tells each apart",
    lambda it: len(it.get("organization", [])) < 2
)  # fmt: skip
_wants(
    "PC-03", "IHE PCF: source 1..1", "Consent.source[x]", "what the client decided with (PCF)",
    lambda it: {"sourceReference", "sourceAttachment"} & it.keys(),
)  # fmt: skip
_wants("PC-04", "IHE PCF: verification 0..0", "Consent.verification", "absent (PCF)", lambda it: "verification" not in it)
_wants(
    "PC-05", "Mitz and PCF: data", "Consent.extension", f"{DATA} with one code of {GROUP_SYSTEM}: PCF has no element for it",
    lambda it: len(_data(it)) == 1 and _data(it)[0] in GROUPS,
)  # fmt: skip
_wants(
    "PC-06", "IHE PCF: provision.type 1..1", "Consent.provision.type", "an active consent with permit or deny",
    lambda it: it["provision"]["type"] in ("permit", "deny") and it["status"] == "active",
)  # fmt: skip
for _name, _why in _ABSENT.items():
    _wants(
        "PC-07", "IHE PCF: action, class, code 0..0" if "PCF" in _why else "Mitz", f"Consent.provision.{_name}", f"absent: {_why}",
        _lacks(_name),
    )  # fmt: skip
_wants(
    "PC-11", "Mitz and PCF: purpose", "Consent.provision.purpose", "TREAT alone: Mitz knows no other",
    lambda it: _codes(it["provision"]["purpose"]) == {"TREAT"},
)  # fmt: skip
_wants(
    "PC-12", "Mitz and PCF: receivers", "Consent.provision.actor", f"receivers by category ({CONSULTING_SYSTEM}), at least one",
    _is_by_category,
)  # fmt: skip
_always(PCF, "PC", "IHE PCF")
