"""FHIR R4 between JSON and XML (R4 §2.6.1), for the few resources that Mitz exchanges in both."""

from typing import Any

from lxml import etree

from proeftuin import xml
from proeftuin.reasons import MALFORMED, Refused

FHIR_NS, XHTML_NS = "http://hl7.org/fhir", "http://www.w3.org/1999/xhtml"
_LISTS = {  # what repeats, in what is read: everywhere, or in this parent
    "extension", "coding", "entry", "category", "actor", "performer", "policy", "profile", "contact", "telecom", "header", "given",
    "link", "Patient.identifier", "Patient.name", "Patient.address", "Organization.identifier", "Organization.type",
    "Consent.identifier", "Consent.organization", "Consent.verification", "provision.purpose", "provision.class", "provision.code",
    "provision.action", "provision.securityLabel", "provision.data", "provision.provision",
}  # fmt: skip


def to_xml(resource: dict[str, Any]) -> bytes:
    """Return a resource, whose elements stand in the order of its definition, as XML."""
    return etree.tostring(_resource(resource), xml_declaration=True, encoding="UTF-8")


def from_xml(raw: bytes) -> dict[str, Any]:
    """Return the JSON form of a resource in XML; raises Refused(MALFORMED)."""
    root = xml.parse(raw)
    name = etree.QName(root)
    if name.namespace != FHIR_NS:
        raise Refused(MALFORMED, f"the root element is not of {FHIR_NS}")
    return _read(root)


def _read(element: etree._Element) -> dict[str, Any]:
    name, found = etree.QName(element).localname, _object(element)
    if not isinstance(found, dict):
        raise Refused(MALFORMED, f"{name} is no resource")
    return {"resourceType": name} | found


def _resource(resource: dict[str, Any]) -> etree._Element:
    root = etree.Element(f"{{{FHIR_NS}}}{resource['resourceType']}", nsmap={None: FHIR_NS})  # type: ignore[dict-item] # the stubs know no default namespace
    for name, value in resource.items():
        if name != "resourceType":
            _element(root, name, value)
    return root


def _element(parent: etree._Element, name: str, value: Any) -> None:  # noqa: ANN401 - JSON is any
    if isinstance(value, list):
        for each in value:
            _element(parent, name, each)
        return
    if name == "div":
        parent.append(etree.fromstring(value))
        return
    element = etree.SubElement(parent, f"{{{FHIR_NS}}}{name}")
    if not isinstance(value, dict):
        element.set("value", {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value))
    elif "resourceType" in value:
        element.append(_resource(value))
    else:
        if name == "extension":
            element.set("url", value["url"])
        for key, nested in value.items():
            if not (name == "extension" and key == "url"):
                _element(element, key, nested)


def _object(element: etree._Element) -> Any:  # noqa: ANN401 - JSON is any
    """The JSON form of an element: its value, or its children; a name that repeats, or may, makes a list."""
    if element.get("value") is not None and not len(element):
        return element.get("value")
    found: dict[str, Any] = {"url": element.get("url")} if element.get("url") is not None else {}
    parent = etree.QName(element).localname
    for child in element:
        name = etree.QName(child).localname
        value = etree.tostring(child, encoding="unicode") if etree.QName(child).namespace == XHTML_NS else _object(child)
        if name == "resource" and len(child) == 1:
            value = _read(child[0])
        if name in _LISTS or f"{parent}.{name}" in _LISTS:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Refused(MALFORMED, f"{name} stands twice")
        else:
            found[name] = value
    return found
