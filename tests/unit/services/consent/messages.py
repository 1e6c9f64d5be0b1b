"""Closed questions as systems in the field send them, made from parts so that each part can be wrong."""

import uuid
from typing import Any

from services.consent.mitz import xacml
from services.consent.mitz.catalogue import UZI

SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
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
