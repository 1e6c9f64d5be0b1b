"""SOAP 1.2 with WS-Addressing, as Mitz has it: read an envelope, write the answer."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from proeftuin import xml
from proeftuin.access.rendering import SOAP, SOAP_XML
from proeftuin.fhir.search import carries_bsn
from proeftuin.reasons import CONTENT_TYPE, INVALID_REQUEST, MALFORMED, Refused
from services.consent.mitz.rules import Rules

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


def sent_rules(media_type: str, request_id: str) -> Rules[Mapping[str, str]]:
    """Return the rules, by their names, on how a message is sent: on HTTP headers with their names in lower case."""
    rules: Rules[Mapping[str, str]] = Rules()

    @rules.rule(media_type, "Mitz: media type", reason=CONTENT_TYPE)
    def _media_type(headers: Mapping[str, str]) -> Iterator[str]:
        sent = headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != "application/soap+xml":
            yield f"Content-Type is {shown(sent)}, wanted {SOAP_XML}"

    @rules.rule(request_id, "handleiding §6: X-Request-Id", reason=INVALID_REQUEST)
    def _request_id(headers: Mapping[str, str]) -> Iterator[str]:
        if not headers.get("x-request-id"):
            yield "there is no header X-Request-Id"

    return rules


def shown(sent: str) -> str:
    """Return what was sent as a finding may show it."""
    return "a BSN, which does not belong there" if carries_bsn(sent) else sent[:100] or "absent"


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
