"""The closed question of Mitz in XACML 3.0 (VZVZ): its attributes, the question they make, and the response."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from services.consent.decisions import DENY, PERMIT, Decision, Question
from services.consent.mitz.catalogue import BSN, EVENT_CODE, KIND_OF_TYPE, PROVIDER_TYPE, PURPOSE, ROLE, URA, UZI

QUERY_NS = "urn:oasis:names:tc:xacml:3.0:profile:saml2.0:v2:schema:protocol:wd-14"
XACML_NS = "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17"
HL7_NS = "urn:hl7-org:v3"
ACTION = "XACMLAuthorizationDecisionQueryRequest"
ANSWER = (
    "http://schemas.otv.nl/toestemmingsregister/XACMLAuthzDecisionQuery/"
    "IGeslotenAutorisatievraagService/XACMLAuthzDecisionQueryResponse"
)
II, CV = f"{HL7_NS}#II", f"{HL7_NS}#CV"
RESOURCE = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
DATA = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
SUBJECT = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
ENVIRONMENT = "urn:oasis:names:tc:xacml:3.0:attribute-category:environment"


@dataclass(frozen=True, slots=True)
class Declared:
    """An attribute of the closed question: where it stands, its type, the OID that its value must be of (None: any), how often."""

    name: str
    category: str
    id: str
    type: str
    oid: str | None
    least: int = 1
    most: int = 1


ATTRIBUTES = (
    Declared("patient", RESOURCE, "urn:oasis:names:tc:xacml:2.0:resource:resource-id", II, BSN),
    Declared("holder_type", RESOURCE, "urn:ihe:iti:appc:2016:document-entry:healthcare-facility-type-code", CV, PROVIDER_TYPE),
    Declared("holder", RESOURCE, "urn:ihe:iti:appc:2016:author-institution:id", II, URA),
    Declared("data", DATA, "urn:ihe:iti:appc:2016:document-entry:event-code", CV, EVENT_CODE, most=32),
    Declared("role", SUBJECT, "urn:oasis:names:tc:xacml:2.0:subject:role", CV, ROLE),
    Declared("person", SUBJECT, "urn:ihe:iti:xua:2017:subject:provider-identifier", II, None),
    Declared("mandated", SUBJECT, "urn:nl:otv:names:tc:1.0:subject:mandated", II, None, least=0),
    Declared("user", SUBJECT, "urn:nl:otv:names:tc:1.0:subject:provider-institution", II, URA),
    Declared("user_type", SUBJECT, "urn:nl:otv:names:tc:1.0:subject:consulting-healthcare-facility-type-code", CV, PROVIDER_TYPE),
    Declared("purpose", ENVIRONMENT, "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", CV, PURPOSE),
)
BY_ID = {each.id: each for each in ATTRIBUTES}
PERSON_SYSTEMS = {UZI: "http://fhir.nl/fhir/NamingSystem/uzi-nr-pers"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as it was sent: OID and value ("" when not typed as HL7 v3), and whether the answer is to repeat it."""

    category: str
    id: str
    type: str
    oid: str
    value: str
    assigner: str
    echoed: bool
    element: etree._Element
    group: int  # which Attributes element it stands in


def attributes(query: etree._Element) -> list[Attribute]:
    """Return every attribute of the Request in a XACMLAuthzDecisionQuery, in order; none where there is no Request."""
    found: list[Attribute] = []
    for group, holder in enumerate(query.iterfind(f"{{{XACML_NS}}}Request/{{{XACML_NS}}}Attributes")):
        for element in holder.iterfind(f"{{{XACML_NS}}}Attribute"):
            value = element.find(f"{{{XACML_NS}}}AttributeValue")
            typed = value[0] if value is not None and len(value) else etree.Element("none")
            coded = etree.QName(typed).localname == "CodedValue"
            found.append(
                Attribute(
                    category=holder.get("Category", ""),
                    id=element.get("AttributeId", ""),
                    type=value.get("DataType", "") if value is not None else "",
                    oid=typed.get("codeSystem" if coded else "root", ""),
                    value=typed.get("code" if coded else "extension", ""),
                    assigner=typed.get("assigningAuthorityName", ""),
                    echoed=element.get("IncludeInResult") == "true",
                    element=element,
                    group=group,
                )
            )
    return found


def question(sent: list[Attribute]) -> tuple[str, Question, list[str]]:
    """Return client (BSN), question and data categories, in their order, of attributes in which the rules found no error."""
    value = {BY_ID[each.id].name: each.value for each in sent if each.id in BY_ID}
    kinds = KIND_OF_TYPE[value["holder_type"]], KIND_OF_TYPE[value["user_type"]]
    categories = [each.value for each in sent if each.id == BY_NAME["data"].id]
    return value["patient"], Question(value["holder"], kinds[0], value["user"], kinds[1], value["purpose"]), categories


def response(sent: list[Attribute], decisions: list[Decision]) -> etree._Element:
    """Return the Response: one Result for each data category in the order of the question, with the attributes to repeat."""
    root = etree.Element(f"{{{XACML_NS}}}Response", nsmap={"xacml": XACML_NS, "hl7": HL7_NS})
    data = [each for each in sent if each.id == BY_NAME["data"].id]
    for asked, decision in zip(data, decisions, strict=True):
        result = etree.SubElement(root, f"{{{XACML_NS}}}Result")
        outcome = {PERMIT: "Permit", DENY: "Deny"}.get(decision.outcome, "Indeterminate")
        etree.SubElement(result, f"{{{XACML_NS}}}Decision").text = outcome
        _status(result, "ok" if outcome != "Indeterminate" else "processing-error")
        _echo(result, [each for each in sent if each.echoed and (each.id != asked.id or each is asked)])
    return root


BY_NAME = {each.name: each for each in ATTRIBUTES}


def _status(result: etree._Element, code: str) -> None:
    status = etree.SubElement(result, f"{{{XACML_NS}}}Status")
    etree.SubElement(status, f"{{{XACML_NS}}}StatusCode").set("Value", f"urn:oasis:names:tc:xacml:1.0:status:{code}")


def _echo(result: etree._Element, echoed: Iterable[Attribute]) -> None:
    groups: dict[str, etree._Element] = {}
    for each in echoed:
        if each.category not in groups:
            groups[each.category] = etree.SubElement(result, f"{{{XACML_NS}}}Attributes")
            groups[each.category].set("Category", each.category)
        groups[each.category].append(copy.deepcopy(each.element))
