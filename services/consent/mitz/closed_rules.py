"""What a closed question must be (VZVZ's wiki: Mitz)."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proeftuin.categories import GROUPS
from proeftuin.identifiers import is_bsn
from services.consent.mitz import soap, xacml
from services.consent.mitz.catalogue import KIND_OF_TYPE, UZI
from services.consent.mitz.rules import WARNING, Rules
from services.consent.mitz.xacml import ATTRIBUTES, BY_ID, Attribute


@dataclass(frozen=True, slots=True)
class ClosedQuestion:
    """A message as it came: the envelope, its XACML attributes, and the address it was sent to."""

    envelope: soap.Envelope
    attributes: list[Attribute]
    endpoint: str


SENT = soap.sent_rules("CQ-01", "CQ-02")
RULES: Rules[ClosedQuestion] = Rules()


@RULES.rule("CQ-03", "Mitz gesloten vraag: wsa:Action")
def _action(message: ClosedQuestion) -> Iterator[str]:
    if message.envelope.action != xacml.ACTION:
        yield f"wsa:Action is {soap.shown(message.envelope.action)}, wanted {xacml.ACTION}"


@RULES.rule("CQ-04", "Mitz gesloten vraag: wsa:MessageID")
def _message_id(message: ClosedQuestion) -> Iterator[str]:
    if not re.fullmatch(r"urn:uuid:[0-9a-fA-F-]{36}", message.envelope.message_id):
        yield "wsa:MessageID is not urn:uuid:<uuid>"


@RULES.rule("CQ-05", "Mitz gesloten vraag: wsa:To", WARNING)
def _to(message: ClosedQuestion) -> Iterator[str]:
    if message.envelope.to != message.endpoint:
        yield f"wsa:To is {soap.shown(message.envelope.to)}, wanted the address that is posted to: {message.endpoint}"


@RULES.rule("CQ-06", "Mitz gesloten vraag: wsa:ReplyTo", WARNING)
def _reply_to(message: ClosedQuestion) -> Iterator[str]:
    if message.envelope.reply_to != soap.ANONYMOUS:
        yield f"wsa:ReplyTo is not {soap.ANONYMOUS}"


@RULES.rule("CQ-07", "Mitz gesloten vraag: XACMLAuthzDecisionQuery")
def _query(message: ClosedQuestion) -> Iterator[str]:
    if message.envelope.body.tag != f"{{{xacml.QUERY_NS}}}XACMLAuthzDecisionQuery":
        yield f"the body is not XACMLAuthzDecisionQuery of {xacml.QUERY_NS}"
    elif message.envelope.body.find(f"{{{xacml.XACML_NS}}}Request") is None:
        yield f"there is no Request of {xacml.XACML_NS}"


@RULES.rule("CQ-08", "Mitz gesloten vraag: Request")
def _combined(message: ClosedQuestion) -> Iterator[str]:
    request = message.envelope.body.find(f"{{{xacml.XACML_NS}}}Request")
    for name in ("CombinedDecision", "ReturnPolicyIdList"):
        if request is not None and request.get(name) != "false":
            yield f"Request/@{name} is {soap.shown(request.get(name, ''))}, wanted false"


@RULES.rule("CQ-10", "Mitz gesloten vraag: attribute table")
def _cardinality(message: ClosedQuestion) -> Iterator[str]:
    counts = Counter(each.id for each in message.attributes)
    for declared in ATTRIBUTES:
        if not declared.least <= counts[declared.id] <= declared.most:
            wanted = str(declared.least) if declared.least == declared.most else f"{declared.least} to {declared.most}"
            yield f"{declared.id} stands {counts[declared.id]} times, wanted {wanted}"


@RULES.rule("CQ-11", "Mitz gesloten vraag: attribute table", WARNING)
def _unknown(message: ClosedQuestion) -> Iterator[str]:
    for each in message.attributes:
        if each.id not in BY_ID:
            yield f"{soap.shown(each.id)} is no attribute of the closed question"


@RULES.rule("CQ-12", "Mitz gesloten vraag: attribute table")
def _place(message: ClosedQuestion) -> Iterator[str]:
    for declared, sent in _declared(message):
        if sent.category != declared.category:
            yield f"{declared.id} stands in category {soap.shown(sent.category)}, wanted {declared.category}"


@RULES.rule("CQ-13", "Mitz gesloten vraag: HL7 v3 data types")
def _typed(message: ClosedQuestion) -> Iterator[str]:
    for declared, sent in _declared(message):
        form = "InstanceIdentifier root, extension" if declared.type == xacml.II else "CodedValue code, codeSystem"
        if sent.type != declared.type or not sent.value:
            yield f"{declared.id} is of type {soap.shown(sent.type)}, wanted {declared.type} with {form}"
        elif declared.oid is not None and sent.oid != declared.oid:
            yield f"{declared.id} is of {soap.shown(sent.oid)}, wanted {declared.oid}"


@RULES.rule("CQ-14", "Mitz gesloten vraag: values")
def _values(message: ClosedQuestion) -> Iterator[str]:
    known: dict[str, Callable[[str], object]] = {
        "patient": is_bsn, "data": GROUPS.__contains__, "holder_type": KIND_OF_TYPE.__contains__,
        "user_type": KIND_OF_TYPE.__contains__, "purpose": {"TREAT", "COC"}.__contains__,
        "holder": re.compile("[0-9]{8}").fullmatch, "user": re.compile("[0-9]{8}").fullmatch,
        "person": re.compile("[A-Za-z0-9]{1,60}").fullmatch, "mandated": re.compile("[A-Za-z0-9]{1,60}").fullmatch,
        "role": re.compile(r"[0-9]{2}\.[0-9]{3}").fullmatch,
    }  # fmt: skip
    for declared, sent in _declared(message):
        if sent.value and not known[declared.name](sent.value):
            shown = "a number that fails the 11-proef" if declared.name == "patient" else soap.shown(sent.value)
            yield f"{declared.id} has a value that Mitz does not know: {shown}"


@RULES.rule("CQ-15", "Mitz gesloten vraag: only the data category may repeat")
def _data_categories(message: ClosedQuestion) -> Iterator[str]:
    asked = [sent for declared, sent in _declared(message) if declared.name == "data"]
    if len({each.value for each in asked}) < len(asked):
        yield "a data category is asked twice"
    if len({each.group for each in asked}) < len(asked):
        yield "each data category stands in an Attributes of its own (xml:id action0, action1, ...)"


@RULES.rule("CQ-16", "Mitz gesloten vraag: assigningAuthorityName", WARNING)
def _assigner(message: ClosedQuestion) -> Iterator[str]:
    for declared, sent in _declared(message):
        if declared.name in ("person", "mandated") and sent.oid == UZI and sent.assigner != "CIBG":
            yield f"{declared.id} has no assigningAuthorityName CIBG"


@RULES.rule("CQ-17", "Mitz gesloten vraag: IncludeInResult", WARNING)
def _echo(message: ClosedQuestion) -> Iterator[str]:
    asked = [sent for declared, sent in _declared(message) if declared.name == "data"]
    if len(asked) > 1 and not all(each.echoed for each in asked):
        yield "several categories without IncludeInResult: the results can be told apart by their order alone"


def _declared(message: ClosedQuestion) -> Iterator[tuple[xacml.Declared, Attribute]]:
    return ((BY_ID[each.id], each) for each in message.attributes if each.id in BY_ID)
