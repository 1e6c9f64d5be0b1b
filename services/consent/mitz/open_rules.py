"""What an open question must be (VZVZ's wiki: Mitz)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lxml import etree

from proeftuin.fhir.search import date_range
from proeftuin.reasons import INVALID_REQUEST, SIGNATURE_INVALID
from services.consent.mitz import soap, xacml, xcpd
from services.consent.mitz.catalogue import AUDIENCE, BSN, KIND_OF_TYPE
from services.consent.mitz.rules import WARNING, Rules
from services.consent.mitz.xcpd import SAML_NS, XCPD_NS

_X509 = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A message as it came, with its one assertion (None: none, or several) and the moment (a UTC instant).

    `signature`: None when the assertion has none, "" when it is of the connection's certificate, else what is wrong with it.
    """

    envelope: soap.Envelope
    assertion: etree._Element | None
    signature: str | None
    now: str

    @property
    def stated(self) -> dict[str, str | None]:
        """What the assertion states, by name."""
        return {} if self.assertion is None else xcpd.stated(self.assertion)


SENT = soap.sent_rules("OQ-08", "OQ-09")
RULES: Rules[OpenQuestion] = Rules()


@RULES.rule("OQ-10", "Mitz open vraag: wsa:Action")
def _action(message: OpenQuestion) -> Iterator[str]:
    if message.envelope.action != xcpd.ACTION:
        yield f"wsa:Action is {soap.shown(message.envelope.action)}, wanted {xcpd.ACTION}"


@RULES.rule("OQ-11", "Mitz: wsa:RelatesTo is the MessageID", WARNING)
def _message_id(message: OpenQuestion) -> Iterator[str]:
    if not re.fullmatch(r"urn:uuid:[0-9a-fA-F-]{36}", message.envelope.message_id):
        yield "wsa:MessageID is not urn:uuid:<uuid>, by which the answer says what it is to"


@RULES.rule("OQ-01", "Mitz open vraag: PatientLocationQueryRequest")
def _body(message: OpenQuestion) -> Iterator[str]:
    if message.envelope.body.tag != f"{{{XCPD_NS}}}PatientLocationQueryRequest":
        yield f"the body is not PatientLocationQueryRequest of {XCPD_NS} (PRPA_IN201305 is not Mitz)"


@RULES.rule("OQ-02", "Mitz open vraag: RequestedPatientId")
def _patient(message: OpenQuestion) -> Iterator[str]:
    if xcpd.patient_of(message.envelope.body) is None:
        yield f"RequestedPatientId is not root {BSN} and extension the BSN of one client"


@RULES.rule("OQ-12", "Mitz open vraag: assigningAuthorityName", WARNING)
def _assigner(message: OpenQuestion) -> Iterator[str]:
    asked = message.envelope.body.find(f"{{{XCPD_NS}}}RequestedPatientId")
    if asked is not None and asked.get("assigningAuthorityName") != "NLMINBIZA":
        yield "RequestedPatientId has no assigningAuthorityName NLMINBIZA"


@RULES.rule("OQ-03", "Mitz open vraag: WS-Security")
def _assertion(message: OpenQuestion) -> Iterator[str]:
    if message.assertion is None:
        yield "the WS-Security header does not hold one SAML 2.0 Assertion"


@RULES.rule("OQ-13", "Mitz open vraag: signature", reason=SIGNATURE_INVALID)
def _signature(message: OpenQuestion) -> Iterator[str]:
    if message.signature:
        yield message.signature


@RULES.rule("OQ-14", "Mitz open vraag: signature", WARNING)
def _unsigned(message: OpenQuestion) -> Iterator[str]:
    if message.assertion is not None and message.signature is None:
        yield "the assertion is not signed: here the connection vouches for it"


@RULES.rule("OQ-04", "Mitz open vraag: Conditions", reason=INVALID_REQUEST)
def _time(message: OpenQuestion) -> Iterator[str]:
    conditions = _part(message, "Conditions")
    try:
        start, end = (date_range(each)[0] for each in (conditions.get("NotBefore", ""), conditions.get("NotOnOrAfter", "")))
        held = start <= message.now < end
    except ValueError:
        held = False
    if message.assertion is not None and not held:
        yield "Conditions has no NotBefore and NotOnOrAfter around this moment"


@RULES.rule("OQ-05", "Mitz open vraag: Audience")
def _audience(message: OpenQuestion) -> Iterator[str]:
    audiences = {(each.text or "").strip() for each in _part(message, "Conditions").iter(f"{{{SAML_NS}}}Audience")}
    if message.assertion is not None and AUDIENCE not in audiences:
        yield f"Audience is not {AUDIENCE}"


@RULES.rule("OQ-06", "Mitz open vraag: attributes of the assertion")
def _attributes(message: OpenQuestion) -> Iterator[str]:
    for name, value in message.stated.items():
        if value is None and name not in xcpd.OPTIONAL:
            yield f"the assertion has no {xacml.BY_NAME[name].id} with an HL7 v3 value"


@RULES.rule("OQ-07", "Mitz open vraag: values")
def _values(message: OpenQuestion) -> Iterator[str]:
    known: dict[str, Callable[[str], object]] = {
        "user": re.compile("[0-9]{8}").fullmatch, "user_type": KIND_OF_TYPE.__contains__,
        "purpose": {"TREAT", "COC"}.__contains__,
    }  # fmt: skip
    for name, value in message.stated.items():
        if value is not None and name in known and not known[name](value):
            yield f"{xacml.BY_NAME[name].id} has a value that Mitz does not know: {soap.shown(value)}"


@RULES.rule("OQ-15", "Mitz open vraag: AuthnContext", WARNING)
def _context(message: OpenQuestion) -> Iterator[str]:
    if message.assertion is not None and message.assertion.findtext(f".//{{{SAML_NS}}}AuthnContextClassRef") != _X509:
        yield f"AuthnContextClassRef is not {_X509}"


@RULES.rule("OQ-16", "Mitz open vraag: bearer", WARNING)
def _confirmation(message: OpenQuestion) -> Iterator[str]:
    methods = {each.get("Method") for each in _part(message, "Subject").iter(f"{{{SAML_NS}}}SubjectConfirmation")}
    if message.assertion is not None and _BEARER not in methods:
        yield f"there is no SubjectConfirmation by {_BEARER}"


def _part(message: OpenQuestion, name: str) -> etree._Element:
    found = None if message.assertion is None else message.assertion.find(f"{{{SAML_NS}}}{name}")
    return etree.Element("none") if found is None else found
