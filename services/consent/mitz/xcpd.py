"""The open question of Mitz: IHE XCPD Patient Location Query with a SAML assertion (VZVZ's wiki: Mitz, open vraag)."""

from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from proeftuin.clock import instant
from proeftuin.fhir.search import date_range
from proeftuin.identifiers import is_bsn
from proeftuin.reasons import INVALID_REQUEST, PROFILE, Refused
from services.consent.mitz import xacml
from services.consent.mitz.catalogue import AUDIENCE, BSN, EVENT_CODE, KIND_OF_TYPE, URA

XCPD_NS = "urn:ihe:iti:xcpd:2009"
SAML_NS = "urn:oasis:names:tc:SAML:2.0:assertion"
ACTION, ANSWER = "urn:ihe:iti:2009:PatientLocationQuery", "urn:ihe:iti:2009:PatientLocationQueryResponse"
_ASSERTED = ("person", "mandated", "role", "user", "user_type", "purpose")
_OPTIONAL = {"mandated"}


@dataclass(frozen=True, slots=True)
class Asserted:
    """What the assertion states: the responsible and the mandated person, the role, the organisation and its type, the purpose."""

    person: str
    role: str
    user: str
    user_type: str
    purpose: str
    mandated: str | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """A holder that the asker may ask: the OIDs of its gateway and source system, its URA, the data categories that are open."""

    gateway: str
    source: str
    holder: str
    categories: list[str]


def patient_of(body: etree._Element) -> str:
    """Return the BSN in a PatientLocationQueryRequest; raises Refused(PROFILE)."""
    if body.tag != f"{{{XCPD_NS}}}PatientLocationQueryRequest":
        raise Refused(
            PROFILE, f"OQ-01 (§6.4): the body is not PatientLocationQueryRequest of {XCPD_NS} (PRPA_IN201305 is not Mitz)"
        )
    asked = body.find(f"{{{XCPD_NS}}}RequestedPatientId")
    if asked is None or asked.get("root") != BSN or not is_bsn(asked.get("extension", "")):
        raise Refused(PROFILE, f"OQ-02 (§6.4): RequestedPatientId is root {BSN} and extension the BSN of one client")
    return str(asked.get("extension"))


def assertion_of(security: etree._Element | None) -> etree._Element:
    """Return the SAML 2.0 assertion in the WS-Security header; raises Refused(PROFILE)."""
    found = [] if security is None else security.findall(f"{{{SAML_NS}}}Assertion")
    if len(found) != 1:
        raise Refused(PROFILE, "OQ-03 (§6.4): the WS-Security header holds one SAML 2.0 Assertion")
    return found[0]


def asserted(assertion: etree._Element, now: datetime) -> Asserted:
    """Return what an assertion states, when its time and audience hold; raises Refused(PROFILE or INVALID_REQUEST)."""
    conditions = assertion.find(f"{{{SAML_NS}}}Conditions")
    if conditions is None or not _in_time(conditions, instant(now)):
        raise Refused(INVALID_REQUEST, "OQ-04 (§6.4): Conditions with NotBefore and NotOnOrAfter around this moment")
    audiences = {(each.text or "").strip() for each in conditions.iter(f"{{{SAML_NS}}}Audience")}
    if AUDIENCE not in audiences:
        raise Refused(PROFILE, f"OQ-05 (§6.4): Audience {AUDIENCE}")
    values = {name: _value(assertion, name) for name in _ASSERTED}
    missing = [xacml.BY_NAME[name].id for name, value in values.items() if value is None and name not in _OPTIONAL]
    if missing:
        raise Refused(PROFILE, f"OQ-06 (§6.4): the assertion has no {', '.join(missing)} with an HL7 v3 value")
    known = values["user_type"] in KIND_OF_TYPE and values["purpose"] in ("TREAT", "COC")
    if not known or not str(values["user"]).isdigit() or len(str(values["user"])) != 8:
        raise Refused(PROFILE, "OQ-07 (§6.4): URA, organisation type and purpose (TREAT or COC) that Mitz knows")
    return Asserted(**values)  # type: ignore[arg-type] # what may be absent is checked above


def response(patient: str, locations: list[Location]) -> etree._Element:
    """Return the PatientLocationQueryResponse; without locations nothing is known or nothing is permitted, which looks alike."""
    root = etree.Element(f"{{{XCPD_NS}}}PatientLocationQueryResponse", nsmap={"xcpd": XCPD_NS, "hl7": xacml.HL7_NS})
    for location in locations:
        entry = etree.SubElement(root, f"{{{XCPD_NS}}}PatientLocationResponse")
        etree.SubElement(entry, f"{{{XCPD_NS}}}HomeCommunityId").text = f"urn:oid:{location.gateway}"
        for name in ("CorrespondingPatientId", "RequestedPatientId"):
            _identifier(entry, XCPD_NS, name, BSN, patient)
        etree.SubElement(entry, f"{{{XCPD_NS}}}SourceId").text = f"urn:oid:{location.source}"
        for category in location.categories:
            code = etree.SubElement(entry, f"{{{XCPD_NS}}}event-code")
            code.set("code", category)
            code.set("codeSystem", EVENT_CODE)
        _identifier(entry, XCPD_NS, "author-institution", URA, location.holder)
    return root


def _identifier(parent: etree._Element, namespace: str, name: str, root: str, extension: str) -> None:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.set("root", root)
    element.set("extension", extension)


def _value(assertion: etree._Element, name: str) -> str | None:
    declared = xacml.BY_NAME[name]
    found = [each for each in assertion.iter(f"{{{SAML_NS}}}Attribute") if each.get("Name") == declared.id]
    values = [typed for each in found for value in each for typed in value]
    attribute = "extension" if declared.type == xacml.II else "code"
    return values[0].get(attribute) or None if len(values) == 1 else None


def _in_time(conditions: etree._Element, now: str) -> bool:
    try:
        start, end = (date_range(conditions.get(name, ""))[0] for name in ("NotBefore", "NotOnOrAfter"))
    except ValueError:
        return False
    return start <= now < end
