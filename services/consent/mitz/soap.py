"""SOAP 1.2 with WS-Addressing, as Mitz has it: read an envelope, write the answer."""

import uuid
from dataclasses import dataclass

from lxml import etree

from proeftuin import xml
from proeftuin.access.rendering import SOAP
from proeftuin.reasons import MALFORMED, Refused

WSA = "http://www.w3.org/2005/08/addressing"
ANONYMOUS = f"{WSA}/anonymous"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message: its addressing headers ("" when absent), the one element in its body, and its WS-Security header, if any."""

    action: str
    message_id: str
    to: str
    reply_to: str
    body: etree._Element
    security: etree._Element | None


def read(raw: bytes) -> Envelope:
    """Return the envelope in `raw`; raises Refused(MALFORMED or TOO_LARGE) for anything but SOAP 1.2 with one body element."""
    root = xml.parse(raw)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise Refused(MALFORMED, f"the root element is not Envelope of {SOAP}")
    body = root.find(f"{{{SOAP}}}Body")
    if body is None or len(body) != 1:
        raise Refused(MALFORMED, "the Body holds one element")
    header = root.find(f"{{{SOAP}}}Header")
    empty = etree.Element("none")
    parts = header if header is not None else empty

    def of(name: str) -> str:
        return xml.text_of(parts.find(f"{{{WSA}}}{name}"))

    reply_to = xml.text_of(parts.find(f"{{{WSA}}}ReplyTo/{{{WSA}}}Address"))
    return Envelope(of("Action"), of("MessageID"), of("To"), reply_to, body[0], parts.find(f"{{{WSSE}}}Security"))


def write(action: str, relates_to: str, body: etree._Element) -> bytes:
    """Return the answer to the message `relates_to`."""
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP, "wsa": WSA})
    header = etree.SubElement(root, f"{{{SOAP}}}Header")
    for name, value in (
        ("Action", action),
        ("MessageID", f"urn:uuid:{uuid.uuid4()}"),
        ("RelatesTo", relates_to),
        ("To", ANONYMOUS),
    ):
        etree.SubElement(header, f"{{{WSA}}}{name}").text = value
    etree.SubElement(root, f"{{{SOAP}}}Body").append(body)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
