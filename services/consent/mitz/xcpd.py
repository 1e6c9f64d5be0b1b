"""The open question of Mitz: IHE XCPD Patient Location Query with a SAML assertion (VZVZ's wiki: Mitz, open vraag)."""

from dataclasses import dataclass

from lxml import etree

from proeftuin.identifiers import is_bsn
from services.consent.mitz import xacml
from services.consent.mitz.catalogue import BSN, EVENT_CODE, URA

XCPD_NS = "urn:ihe:iti:xcpd:2009"
SAML_NS = "urn:oasis:names:tc:SAML:2.0:assertion"
ACTION, ANSWER = "urn:ihe:iti:2009:PatientLocationQuery", "urn:ihe:iti:2009:PatientLocationQueryResponse"
_ASSERTED = ("person", "mandated", "role", "user", "user_type", "purpose")
OPTIONAL = frozenset({"mandated"})


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


def patient_of(body: etree._Element) -> str | None:
    """Return the BSN in a PatientLocationQueryRequest; None where it is not as Mitz has it."""
    asked = body.find(f"{{{XCPD_NS}}}RequestedPatientId")
    if asked is None or asked.get("root") != BSN or not is_bsn(asked.get("extension", "")):
        return None
    return str(asked.get("extension"))


def assertion_of(security: etree._Element | None) -> etree._Element | None:
    """Return the one SAML 2.0 assertion in the WS-Security header, if there is one."""
    found = [] if security is None else security.findall(f"{{{SAML_NS}}}Assertion")
    return found[0] if len(found) == 1 else None


def stated(assertion: etree._Element) -> dict[str, str | None]:
    """Return by name what an assertion states, None where it does not say so once in an HL7 v3 type."""
    return {name: _value(assertion, name) for name in _ASSERTED}


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
