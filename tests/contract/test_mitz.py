"""Where systems in the field disagree on Mitz: each point by itself, black box, in the field's own forms.

nk (nuts-knooppunt), bast (bastion365), cad (Cadasto) and repl (mitz-replicator) are implementations that differ. The caller holds
data itself (URA in `--client-id`), asks about a client of whom nobody knows, and so gets Deny for TREAT and, presumed, Permit for
COC. Written without the network's own code.
"""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from lxml import etree

from tests.contract.target import Target

SOAP_XML = "application/soap+xml; charset=UTF-8"
BSN, URA, UZI = "2.16.840.1.113883.2.4.6.3", "2.16.528.1.1007.3.3", "2.16.528.1.1007.3.1"
TYPE, EVENT, ROLE = "2.16.840.1.113883.2.4.15.1060", "2.16.840.1.113883.2.4.3.111.5.10.1", "2.16.840.1.113883.2.4.15.111"
CLIENT, USER = "999970008", "90000103"
QUERY = "urn:oasis:names:tc:xacml:3.0:profile:saml2.0:v2:schema:protocol:wd-14"
XACML, SAML, XCPD = (
    "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17",
    "urn:oasis:names:tc:SAML:2.0:assertion",
    "urn:ihe:iti:xcpd:2009",
)
NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope", "a": "http://www.w3.org/2005/08/addressing", "x": XACML, "q": XCPD,
    "h": "urn:hl7-org:v3",
}  # fmt: skip
CLOSED = "XACMLAuthorizationDecisionQueryRequest"
CLOSED_ANSWER = (
    "http://schemas.otv.nl/toestemmingsregister/XACMLAuthzDecisionQuery/"
    "IGeslotenAutorisatievraagService/XACMLAuthzDecisionQueryResponse"
)
RESOURCE, ACTION = (f"urn:oasis:names:tc:xacml:3.0:attribute-category:{name}" for name in ("resource", "action"))
SUBJECT = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
ENVIRONMENT = "urn:oasis:names:tc:xacml:3.0:attribute-category:environment"
ATTRIBUTES = {  # name: category, AttributeId, root or codeSystem
    "patient": (RESOURCE, "urn:oasis:names:tc:xacml:2.0:resource:resource-id", BSN),
    "holder_type": (RESOURCE, "urn:ihe:iti:appc:2016:document-entry:healthcare-facility-type-code", TYPE),
    "holder": (RESOURCE, "urn:ihe:iti:appc:2016:author-institution:id", URA),
    "data": (ACTION, "urn:ihe:iti:appc:2016:document-entry:event-code", EVENT),
    "role": (SUBJECT, "urn:oasis:names:tc:xacml:2.0:subject:role", ROLE),
    "person": (SUBJECT, "urn:ihe:iti:xua:2017:subject:provider-identifier", UZI),
    "user": (SUBJECT, "urn:nl:otv:names:tc:1.0:subject:provider-institution", URA),
    "user_type": (SUBJECT, "urn:nl:otv:names:tc:1.0:subject:consulting-healthcare-facility-type-code", TYPE),
    "purpose": (ENVIRONMENT, "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", "2.16.840.1.113883.1.11.20448"),
}
IDENTIFIERS = {BSN, URA, UZI}


def value(oid: str, text: str, form: str = "hl7") -> str:
    if form == "string":
        return f'<AttributeValue DataType="http://www.w3.org/2001/XMLSchema#string">{oid}^{text}</AttributeValue>'
    if oid in IDENTIFIERS:
        element = f'<InstanceIdentifier xmlns="urn:hl7-org:v3" root="{oid}" extension="{text}" assigningAuthorityName="CIBG"/>'
        return f'<AttributeValue DataType="urn:hl7-org:v3#II">{element}</AttributeValue>'
    element = f'<CodedValue xmlns="urn:hl7-org:v3" code="{text}" codeSystem="{oid}"/>'
    return f'<AttributeValue DataType="urn:hl7-org:v3#CV">{element}</AttributeValue>'


class Mitz:
    """The target's doors, and the messages that one posts there as holder `ura`."""

    def __init__(self, target: Target, base: str) -> None:
        self.http, self.base, self.ura = target.http, base, target.client_id.removeprefix("ura:")

    def post(self, path: str, body: bytes | str, **headers: str | None) -> httpx.Response:
        sent = {"Content-Type": SOAP_XML, "X-Request-Id": str(uuid.uuid4())} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return self.http.post(f"{self.base}{path}", content=body, headers={k: v for k, v in sent.items() if v is not None})

    def closed(self, *, to: str | None = "", echo: bool = True, form: str = "hl7", **changes: Any) -> str:
        """Return a closed question; `to`: "" the address itself, None no header."""
        given = {
            "patient": CLIENT, "holder_type": "V4", "holder": self.ura, "data": ["GGC002"], "role": "30.000", "person": "900010001",
            "user": USER, "user_type": "X3", "purpose": "TREAT",
        } | changes  # fmt: skip
        groups: dict[str, str] = {}
        for name, (category, identifier, oid) in ATTRIBUTES.items():
            for number, text in enumerate(given[name] if isinstance(given[name], list) else [given[name]]):
                key = f"{category}#{number}"
                attribute = f'<Attribute AttributeId="{identifier}" IncludeInResult="{str(echo).lower()}">{value(oid, text, form)}'
                groups[key] = groups.get(key, "") + attribute + "</Attribute>"
        attributes = "".join(f'<Attributes Category="{k.partition("#")[0]}">{v}</Attributes>' for k, v in groups.items())
        request = f'<Request xmlns="{XACML}" ReturnPolicyIdList="false" CombinedDecision="false">{attributes}</Request>'
        body = f'<XACMLAuthzDecisionQuery xmlns="{QUERY}">{request}</XACMLAuthzDecisionQuery>'
        address = f"{self.base}/geslotenautorisatievraag/xacml3" if to == "" else to
        return envelope(CLOSED, body, f"<a:To>{address}</a:To>" if address else "")

    def ask(self, message: str, **headers: str | None) -> list[tuple[str, str | None]]:
        """Post a closed question and return of each Result its decision, and the data category that it repeats."""
        answer = self.post("/geslotenautorisatievraag/xacml3", message, **headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].replace(" ", "").lower() == "application/soap+xml;charset=utf-8"
        found = etree.fromstring(answer.content)
        assert found.findtext("s:Header/a:Action", namespaces=NS) == CLOSED_ANSWER
        assert found.findtext("s:Header/a:RelatesTo", namespaces=NS) == etree.fromstring(message).findtext(
            "s:Header/a:MessageID", namespaces=NS
        )
        results = found.findall(".//x:Result", NS)
        codes = [each.find(f".//h:CodedValue[@codeSystem='{EVENT}']", NS) for each in results]
        return [
            (each.findtext("x:Decision", "", NS), None if code is None else code.get("code"))
            for each, code in zip(results, codes, strict=True)
        ]

    def open(self, *, body: str = "", purpose: str = "TREAT") -> str:
        """Return an open question of this party about the client, under an assertion without signature, as bast sends it."""
        stated = {"person": "900010001", "role": "30.000", "user": self.ura, "user_type": "V4", "purpose": purpose}
        attributes = "".join(
            f'<Attribute Name="{ATTRIBUTES[name][1]}">{value(ATTRIBUTES[name][2], text)}</Attribute>'.replace(
                ' DataType="urn:hl7-org:v3#II"', ""
            ).replace(' DataType="urn:hl7-org:v3#CV"', "")
            for name, text in stated.items()
        )
        now = datetime.now(UTC)
        start, end = ((now + timedelta(minutes=each)).strftime("%Y-%m-%dT%H:%M:%SZ") for each in (-1, 9))
        audience = "urn:oid:2.16.840.1.113883.2.4.3.111.2.1"
        security = (
            '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">'
            f'<Assertion xmlns="{SAML}" ID="_a" Version="2.0" IssueInstant="{start}"><Issuer>x</Issuer>'
            f'<Conditions NotBefore="{start}" NotOnOrAfter="{end}"><AudienceRestriction><Audience>{audience}</Audience>'
            f"</AudienceRestriction></Conditions><AttributeStatement>{attributes}</AttributeStatement></Assertion></w:Security>"
        )
        asked = body or (
            f'<PatientLocationQueryRequest xmlns="{XCPD}"><RequestedPatientId root="{BSN}" extension="{CLIENT}" '
            'assigningAuthorityName="NLMINBIZA"/></PatientLocationQueryRequest>'
        )
        return envelope("urn:ihe:iti:2009:PatientLocationQuery", asked, security)


def envelope(action: str, body: str, header: str) -> str:
    return (
        f'<s:Envelope xmlns:s="{NS["s"]}" xmlns:a="{NS["a"]}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID><a:ReplyTo><a:Address>{NS['a']}/anonymous</a:Address></a:ReplyTo>"
        f"{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def is_fault(answer: httpx.Response, *statuses: int) -> bool:
    """Tell whether this is a SOAP 1.2 Fault with one of these statuses, of the sender's making, that repeats no BSN."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["Content-Type"].startswith("application/soap+xml")
    assert CLIENT not in answer.text
    code = etree.fromstring(answer.content).findtext("s:Body/s:Fault/s:Code/s:Value", "", NS)
    return code.rpartition(":")[2] == "Sender"


@pytest.fixture(scope="session")
def mitz(target: Target, request: pytest.FixtureRequest) -> Mitz:
    return Mitz(target, request.config.getoption("--mitz-url") or f"{target.services['consent']}/mitz")


@pytest.mark.parametrize(("content_type", "answered"), [
    ("text/xml", False), ("text/xml; charset=utf-8", False), ("application/xml", False), ("application/json", False), ("", False),
    ("application/soap+xml", True), (SOAP_XML, True), (f'{SOAP_XML}; action="{CLOSED}"', True),
])  # fmt: skip
def test_mitz_content_type(mitz: Mitz, content_type: str, answered: bool) -> None:
    """SOAP 1.2 is application/soap+xml (bast, repl), with an action too (cad); nk's text/xml is SOAP 1.1."""
    if answered:
        assert mitz.ask(mitz.closed(), Content_Type=content_type) == [("Deny", "GGC002")]
        return
    for path, message in (("/geslotenautorisatievraag/xacml3", mitz.closed()), ("/openautorisatievraag", mitz.open())):
        assert is_fault(mitz.post(path, message, Content_Type=content_type), 415), path
        assert is_fault(mitz.post(path, json.dumps({"a": 1}), Content_Type=content_type), 415), path


@pytest.mark.parametrize("to", ["", "http://localhost:8000/4", None])
def test_mitz_wsa_to(mitz: Mitz, to: str | None) -> None:
    """the endpoint; nk sends a constant and repl none, and both are answered."""
    assert mitz.ask(mitz.closed(to=to)) == [("Deny", "GGC002")]


def test_mitz_x_request_id(mitz: Mitz) -> None:
    """required (cad sends it; nk and bast do not)."""
    assert is_fault(mitz.post("/geslotenautorisatievraag/xacml3", mitz.closed(), X_Request_Id=None), 400)
    assert is_fault(mitz.post("/openautorisatievraag", mitz.open(), X_Request_Id=None), 400)


def test_mitz_include_in_result(mitz: Mitz) -> None:
    """true repeats every attribute in every Result (nk, cad, repl); false none (bast), then the order tells them apart."""
    answer = etree.fromstring(mitz.post("/geslotenautorisatievraag/xacml3", mitz.closed(data=["GGC012", "GGC013"])).content)
    for result in answer.iterfind(".//x:Result", NS):
        repeated = [each.get("AttributeId") for each in result.iterfind("x:Attributes/x:Attribute", NS)]
        assert sorted(repeated, key=str) == sorted(identifier for _, identifier, _ in ATTRIBUTES.values())
    assert mitz.ask(mitz.closed(echo=False)) == [("Deny", None)]


@pytest.mark.parametrize("data", [["GGC002"], ["GGC013", "GGC002", "GGC012"]])
def test_mitz_several_categories(mitz: Mitz, data: list[str]) -> None:
    """a Result for each, in the order of the question (bast, cad); nk asks GGC002 alone, repl goes by the index."""
    assert mitz.ask(mitz.closed(data=data)) == [("Deny", each) for each in data]
    assert mitz.ask(mitz.closed(data=data, purpose="COC")) == [("Permit", each) for each in data]
    assert mitz.ask(mitz.closed(data=data, echo=False)) == [("Deny", None)] * len(data)


@pytest.mark.parametrize("changes", [
    {"data": ["GGC012", "GGC012"]}, {"data": ["GGC002"] * 33}, {"data": ["huisartsgegevens"]}, {"data": ["GGC007"]},
    {"patient": [CLIENT, "999970021"]}, {"purpose": ["TREAT", "COC"]}, {"purpose": "ETREAT"},
])  # fmt: skip
def test_mitz_only_data_categories_that_mitz_knows_repeat(mitz: Mitz, changes: dict[str, Any]) -> None:
    assert is_fault(mitz.post("/geslotenautorisatievraag/xacml3", mitz.closed(**changes)), 422)


def test_mitz_values(mitz: Mitz) -> None:
    """HL7 v3 II and CV (nk, bast, cad); repl's strings `OID^code` are not."""
    assert is_fault(mitz.post("/geslotenautorisatievraag/xacml3", mitz.closed(form="string")), 422)


def test_mitz_non_decision(mitz: Mitz) -> None:
    """neither Permit nor Deny is told as such, each in a way of its own (nk folds all into no)."""
    levers = f"{mitz.base.removesuffix('/mitz')}/sandbox/levers"
    if mitz.http.get(levers).status_code != 200:
        pytest.skip("the target has no levers that make it decide nothing")

    def pulled(name: str, message: str) -> httpx.Response:
        assert mitz.http.put(f"{levers}/{name}", json={"times": 1}).status_code == 200
        return mitz.post("/geslotenautorisatievraag/xacml3", message)

    undecided = etree.fromstring(pulled("indeterminate", mitz.closed(purpose="COC")).content).find(".//x:Result", NS)
    assert undecided is not None
    assert undecided.findtext("x:Decision", namespaces=NS) == "Indeterminate"
    status = undecided.find("x:Status/x:StatusCode", NS)
    assert status is not None
    assert status.get("Value") != "urn:oasis:names:tc:xacml:1.0:status:ok"
    assert not is_fault(pulled("fault", mitz.closed()), 500), "a Fault of the receiver's"
    throttled = pulled("throttle", mitz.closed())
    assert (throttled.status_code, throttled.headers["Retry-After"].isdigit()) == (429, True)
    repeated = etree.fromstring(pulled("wrong_echo", mitz.closed()).content).find(f".//h:InstanceIdentifier[@root='{BSN}']", NS)
    assert repeated is not None
    assert repeated.get("extension") != CLIENT, "a client that looks at the echo sees that it is about another"


def test_mitz_open_question(mitz: Mitz) -> None:
    """an XCPD Patient Location Query under an assertion (bast: unsigned); who knows nothing answers with no location."""
    answer = mitz.post("/openautorisatievraag", mitz.open())
    assert answer.status_code == 200, answer.text
    found = etree.fromstring(answer.content)
    assert found.findtext("s:Header/a:Action", namespaces=NS) == "urn:ihe:iti:2009:PatientLocationQueryResponse"
    response = found.find("s:Body/q:PatientLocationQueryResponse", NS)
    assert response is not None
    assert len(response) == 0
    assert is_fault(mitz.post("/openautorisatievraag", mitz.open(purpose="ETREAT")), 422)


def test_mitz_the_wrong_open_question(mitz: Mitz) -> None:
    """repl's PRPA_IN201305 is a patient discovery, and not what Mitz is asked."""
    prpa = '<PRPA_IN201305UV02 xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0"/>'
    assert is_fault(mitz.post("/openautorisatievraag", mitz.open(body=prpa)), 422)
