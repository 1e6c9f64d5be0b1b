"""What a message to Mitz must be, rule by rule: one list for the double, which refuses on an error, and for the message check."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proeftuin.categories import GROUPS
from proeftuin.fhir.search import carries_bsn
from proeftuin.identifiers import is_bsn
from services.consent.mitz import soap, xacml
from services.consent.mitz.catalogue import KIND_OF_TYPE, UZI
from services.consent.mitz.xacml import ATTRIBUTES, BY_ID, Attribute

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came: HTTP headers in lower case, the envelope, its XACML attributes, and the address it was sent to."""

    headers: dict[str, str]
    envelope: soap.Envelope
    attributes: list[Attribute]
    endpoint: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation: the rule and its clause, how grave it is (an error is refused), what was found and what was wanted."""

    rule: str
    clause: str
    severity: str
    text: str


Check = Callable[[Message], Iterator[str]]
RULES: list[tuple[str, str, str, Check]] = []


def rule(name: str, clause: str, severity: str) -> Callable[[Check], Check]:
    """Enter a check; it yields a sentence for each deviation."""

    def enter(check: Check) -> Check:
        RULES.append((name, clause, severity, check))
        return check

    return enter


def findings(message: Message) -> list[Finding]:
    """Return every deviation of a closed question, in the order of the rules."""
    return [Finding(name, clause, severity, text) for name, clause, severity, check in RULES for text in check(message)]


@rule("CQ-01", "§6.2: media type", ERROR)
def _media_type(message: Message) -> Iterator[str]:
    sent = message.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != "application/soap+xml":
        yield f"Content-Type is {sent[:60] or 'absent'}, wanted application/soap+xml; charset=UTF-8"


@rule("CQ-02", "handleiding §6: X-Request-Id", ERROR)
def _request_id(message: Message) -> Iterator[str]:
    if not message.headers.get("x-request-id"):
        yield "there is no header X-Request-Id"


@rule("CQ-03", "§6.3: wsa:Action", ERROR)
def _action(message: Message) -> Iterator[str]:
    if message.envelope.action != xacml.ACTION:
        yield f"wsa:Action is {message.envelope.action[:80] or 'absent'}, wanted {xacml.ACTION}"


@rule("CQ-04", "§6.3: wsa:MessageID", ERROR)
def _message_id(message: Message) -> Iterator[str]:
    if not re.fullmatch(r"urn:uuid:[0-9a-fA-F-]{36}", message.envelope.message_id):
        yield "wsa:MessageID is not urn:uuid:<uuid>"


@rule("CQ-05", "§6.3: wsa:To", WARNING)
def _to(message: Message) -> Iterator[str]:
    if message.envelope.to != message.endpoint:
        yield f"wsa:To is {message.envelope.to[:80] or 'absent'}, wanted the address that is posted to: {message.endpoint}"


@rule("CQ-06", "§6.3: wsa:ReplyTo", WARNING)
def _reply_to(message: Message) -> Iterator[str]:
    if message.envelope.reply_to != soap.ANONYMOUS:
        yield f"wsa:ReplyTo is not {soap.ANONYMOUS}"


@rule("CQ-07", "§6.3: XACMLAuthzDecisionQuery", ERROR)
def _query(message: Message) -> Iterator[str]:
    if message.envelope.body.tag != f"{{{xacml.QUERY_NS}}}XACMLAuthzDecisionQuery":
        yield f"the body is not XACMLAuthzDecisionQuery of {xacml.QUERY_NS}"
    elif message.envelope.body.find(f"{{{xacml.XACML_NS}}}Request") is None:
        yield f"there is no Request of {xacml.XACML_NS}"


@rule("CQ-08", "§6.3: Request", ERROR)
def _combined(message: Message) -> Iterator[str]:
    request = message.envelope.body.find(f"{{{xacml.XACML_NS}}}Request")
    for name in ("CombinedDecision", "ReturnPolicyIdList"):
        if request is not None and request.get(name) != "false":
            yield f"Request/@{name} is {request.get(name) or 'absent'}, wanted false"


@rule("CQ-10", "§6.3: attribute table", ERROR)
def _cardinality(message: Message) -> Iterator[str]:
    counts = Counter(each.id for each in message.attributes)
    for declared in ATTRIBUTES:
        if not declared.least <= counts[declared.id] <= declared.most:
            wanted = str(declared.least) if declared.least == declared.most else f"{declared.least} to {declared.most}"
            yield f"{declared.id} stands {counts[declared.id]} times, wanted {wanted}"


@rule("CQ-11", "§6.3: attribute table", WARNING)
def _unknown(message: Message) -> Iterator[str]:
    for each in message.attributes:
        if each.id not in BY_ID:
            yield f"{each.id[:100]} is no attribute of the closed question"


@rule("CQ-12", "§6.3: attribute table", ERROR)
def _place(message: Message) -> Iterator[str]:
    for declared, sent in _declared(message):
        if sent.category != declared.category:
            yield f"{declared.id} stands in category {sent.category[:80] or 'none'}, wanted {declared.category}"


@rule("CQ-13", "§6.3: HL7 v3 data types", ERROR)
def _typed(message: Message) -> Iterator[str]:
    for declared, sent in _declared(message):
        form = "InstanceIdentifier root, extension" if declared.type == xacml.II else "CodedValue code, codeSystem"
        if sent.type != declared.type or not sent.value:
            yield f"{declared.id} is of type {sent.type[:60] or 'none'}, wanted {declared.type} with {form}"
        elif declared.oid is not None and sent.oid != declared.oid:
            yield f"{declared.id} is of {sent.oid[:60] or 'no OID'}, wanted {declared.oid}"


@rule("CQ-14", "§6.3: values", ERROR)
def _values(message: Message) -> Iterator[str]:
    known: dict[str, Callable[[str], object]] = {
        "patient": is_bsn, "data": GROUPS.__contains__, "holder_type": KIND_OF_TYPE.__contains__,
        "user_type": KIND_OF_TYPE.__contains__, "purpose": {"TREAT", "COC"}.__contains__,
        "holder": re.compile("[0-9]{8}").fullmatch, "user": re.compile("[0-9]{8}").fullmatch,
        "person": re.compile("[A-Za-z0-9]{1,60}").fullmatch, "mandated": re.compile("[A-Za-z0-9]{1,60}").fullmatch,
        "role": re.compile(r"[0-9]{2}\.[0-9]{3}").fullmatch,
    }  # fmt: skip
    for declared, sent in _declared(message):
        if sent.value and not known[declared.name](sent.value):
            shown = "a number that fails the 11-proef" if declared.name == "patient" else _shown(sent.value)
            yield f"{declared.id} has a value that Mitz does not know: {shown}"


@rule("CQ-15", "§6.3: only the data category may repeat", ERROR)
def _data_categories(message: Message) -> Iterator[str]:
    asked = [sent for declared, sent in _declared(message) if declared.name == "data"]
    if len({each.value for each in asked}) < len(asked):
        yield "a data category is asked twice"
    if len({each.group for each in asked}) < len(asked):
        yield "each data category stands in an Attributes of its own (xml:id action0, action1, ...)"


@rule("CQ-16", "§6.3: assigningAuthorityName", WARNING)
def _assigner(message: Message) -> Iterator[str]:
    for declared, sent in _declared(message):
        if declared.name in ("person", "mandated") and sent.oid == UZI and sent.assigner != "CIBG":
            yield f"{declared.id} has no assigningAuthorityName CIBG"


@rule("CQ-17", "§6.3: IncludeInResult", WARNING)
def _echo(message: Message) -> Iterator[str]:
    asked = [sent for declared, sent in _declared(message) if declared.name == "data"]
    if len(asked) > 1 and not all(each.echoed for each in asked):
        yield "several categories without IncludeInResult: the results can be told apart by their order alone"


def _declared(message: Message) -> Iterator[tuple[xacml.Declared, Attribute]]:
    return ((BY_ID[each.id], each) for each in message.attributes if each.id in BY_ID)


def _shown(value: str) -> str:
    return "a BSN, which does not belong there" if carries_bsn(value) else value[:40]
