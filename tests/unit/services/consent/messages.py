"""Closed questions as systems in the field send them, made from parts so that each part can be wrong."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from proeftuin.clock import instant
from services.consent.mitz import xacml, xcpd
from services.consent.mitz.catalogue import AUDIENCE, UZI
from services.consent.mitz.soap import WSSE

SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
CLIENT = "999910000"
ENDPOINT = "https://localhost:8440/mitz/geslotenautorisatievraag/xacml3"
HEADERS = {"Content-Type": "application/soap+xml; charset=UTF-8", "X-Request-Id": "3f1c1c1e-0000-4000-8000-000000000001"}
VALUES: dict[str, Any] = {
    "patient": "999910000", "holder_type": "X3", "holder": "90000103", "data": ["GGC002"], "role": "30.000", "person": "900010001",
    "user": "90000101", "user_type": "V4", "purpose": "TREAT",
}  # fmt: skip


def attribute(name: str, value: str, *, echoed: bool = True, oid: str | None = None, typed: bool = True) -> str:
    """Return an attribute with its value as HL7 v3 type, or untyped as `OID^value` (what one mock in the field does)."""
    declared = xacml.BY_NAME[name]
    of = oid or declared.oid or UZI
    assigner = ' assigningAuthorityName="CIBG"' if declared.oid is None else ""
    if not typed:
        content = f'<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{of}^{value}</AttributeValue>'
    elif declared.type == xacml.II:
        element = f'<InstanceIdentifier xmlns="urn:hl7-org:v3" root="{of}" extension="{value}"{assigner}/>'
        content = f'<AttributeValue DataType="{xacml.II}">{element}</AttributeValue>'
    else:
        element = f'<CodedValue xmlns="urn:hl7-org:v3" code="{value}" codeSystem="{of}"/>'
        content = f'<AttributeValue DataType="{xacml.CV}">{element}</AttributeValue>'
    return f'<Attribute AttributeId="{declared.id}" IncludeInResult="{"true" if echoed else "false"}">{content}</Attribute>'


def question(
    *, to: str = ENDPOINT, action: str = xacml.ACTION, soap: str = SOAP_12, combined: str = "false", echoed: bool = True,
    typed: bool = True, message_id: str | None = None, extra: str = "", oids: dict[str, str] | None = None, together: bool = False,
    **values: Any,
) -> bytes:  # fmt: skip
    """Return a closed question with these values; a value of None leaves the attribute out, a list makes several."""
    found = VALUES | values
    groups: dict[str, list[str]] = {}
    for declared in xacml.ATTRIBUTES:
        given = found.get(declared.name)
        for number, value in enumerate(given if isinstance(given, list) else [] if given is None else [given]):
            group = f"{declared.category}#{number if declared.name == 'data' and not together else 0}"
            text = attribute(declared.name, value, echoed=echoed, oid=(oids or {}).get(declared.name), typed=typed)
            groups.setdefault(group, []).append(text)
    attributes = "".join(
        f'<Attributes Category="{group.partition("#")[0]}">{"".join(each)}</Attributes>' for group, each in groups.items()
    )
    request = (
        f'<Request xmlns="{xacml.XACML_NS}" ReturnPolicyIdList="false" CombinedDecision="{combined}">{attributes}{extra}</Request>'
    )
    wsa = "http://www.w3.org/2005/08/addressing"
    return (
        f'<s:Envelope xmlns:s="{soap}" xmlns:a="{wsa}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>{message_id or f'urn:uuid:{uuid.uuid4()}'}</a:MessageID><a:ReplyTo>"
        f"<a:Address>{wsa}/anonymous</a:Address></a:ReplyTo>"
        f'<a:To>{to}</a:To></s:Header><s:Body><XACMLAuthzDecisionQuery xmlns="{xacml.QUERY_NS}">{request}'
        f"</XACMLAuthzDecisionQuery></s:Body></s:Envelope>"
    ).encode()


def subscription(endpoint: str = "https://localhost:1/notify", **changes: Any) -> dict[str, Any]:
    """Return a subscription of the nursing home on a client."""
    extension = [
        {"url": f"http://fhir.nl/StructureDefinition/{name}", "valueOid": f"urn:oid:2.16.840.1.113883.2.4.6.6.{number}"}
        for name, number in (("GatewaySystem", 1), ("SourceSystem", 2))
    ]
    criteria = f"Consent?_query=otv&patientid={CLIENT}&providerid=90000103&providertype=X3"
    return {
        "resourceType": "Subscription", "extension": extension, "status": "requested", "reason": "OTV", "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"},
    } | changes  # fmt: skip


def assertion(now: datetime, **values: str) -> etree._Element:
    """Return a SAML assertion on the nurse of the hospital; an empty value leaves the attribute out."""
    start, end = instant(now - timedelta(minutes=1)), instant(now + timedelta(minutes=9))
    given = {"person": "900010001", "role": "30.000", "user": "90000101", "user_type": "V4", "purpose": "TREAT"} | values
    audience = given.pop("audience", AUDIENCE)
    start, end = given.pop("start", start), given.pop("end", end)
    attributes = "".join(
        f'<Attribute Name="{xacml.BY_NAME[name].id}"><AttributeValue>{typed(name, value)}</AttributeValue></Attribute>'
        for name, value in given.items()
        if value
    )
    text = (
        f'<Assertion xmlns="{xcpd.SAML_NS}" ID="_a" Version="2.0" IssueInstant="{start}"><Issuer>x</Issuer>'
        f'<Conditions NotBefore="{start}" NotOnOrAfter="{end}"><AudienceRestriction><Audience>{audience}</Audience>'
        f"</AudienceRestriction></Conditions><AttributeStatement>{attributes}</AttributeStatement></Assertion>"
    )
    return etree.fromstring(text)


def typed(name: str, value: str) -> str:
    """Return a value in its HL7 v3 type."""
    declared = xacml.BY_NAME[name]
    if declared.type == xacml.II:
        return f'<InstanceIdentifier xmlns="urn:hl7-org:v3" root="{declared.oid or UZI}" extension="{value}"/>'
    return f'<CodedValue xmlns="urn:hl7-org:v3" code="{value}" codeSystem="{declared.oid}"/>'


def open_question(stated: etree._Element, patient: str = CLIENT, action: str = xcpd.ACTION, body: str = "") -> bytes:
    """Return an open question under an assertion."""
    wsa = "http://www.w3.org/2005/08/addressing"
    asked = body or (
        f'<PatientLocationQueryRequest xmlns="{xcpd.XCPD_NS}"><RequestedPatientId root="2.16.840.1.113883.2.4.6.3" '
        f'extension="{patient}" assigningAuthorityName="NLMINBIZA"/></PatientLocationQueryRequest>'
    )
    header = f'<a:Action>{action}</a:Action><a:MessageID>urn:uuid:1</a:MessageID><w:Security xmlns:w="{WSSE}">{{}}</w:Security>'
    envelope = f'<s:Envelope xmlns:s="{SOAP_12}" xmlns:a="{wsa}"><s:Header>{header}</s:Header><s:Body>{asked}</s:Body></s:Envelope>'
    return envelope.format(etree.tostring(stated).decode()).encode()
