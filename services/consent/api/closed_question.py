"""The closed question of Mitz: XACML 3.0 over SOAP 1.2 (VZVZ: gesloten vraag)."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import SOAP_XML, soap
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import DECISION
from proeftuin.parties import Seed
from proeftuin.reasons import INTERNAL, PARTY_MISMATCH, THROTTLED, Refused
from proeftuin.tokens.access_token import Person
from services.consent import levers
from services.consent.asking import Acting, Asking
from services.consent.decisions import Decision
from services.consent.mitz import closed_rules, xacml
from services.consent.mitz.closed_rules import ClosedQuestion
from services.consent.mitz.soap import read, write

PATH = "/mitz/geslotenautorisatievraag/xacml3"
_LEVERS = {"indeterminate", "fault", "delay", "throttle", "wrong_echo"}
_OTHER_CLIENT = "999999990"  # passes no 11-proef: nobody's number


def router(asking: Asking, seed: Seed) -> APIRouter:
    """Return the route of the closed question."""
    routes = guarded(soap)

    @routes.post(PATH)
    @require(event=DECISION, max_body=1 << 17)
    async def closed_question(admission: Admitted) -> Response:
        """Answer Permit, Deny or Indeterminate, a Result for each data category in the order of the question."""
        closed_rules.SENT.demand(admission.request.headers)
        message = read_message(admission, await admission.body())
        pulled = await misbehave(admission, _LEVERS)
        closed_rules.RULES.demand(message)
        patient, question, categories = xacml.question(message.attributes)
        admission.record.patients, admission.record.purpose = [patient], question.purpose
        check_holder(admission, seed, question.holder_ura or "")
        decisions = await asking.answer(admission, patient, question, categories, _acting(message))
        sent = message.attributes
        if "indeterminate" in pulled:
            decisions = [Decision(each.category, "no-decision", each.reason) for each in decisions]
        if "wrong_echo" in pulled:
            for each in sent:
                if each.id == xacml.BY_NAME["patient"].id:
                    each.element[0][0].set("extension", _OTHER_CLIENT)
        body = write(xacml.ANSWER, message.envelope.message_id, xacml.response(sent, decisions))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=SOAP_XML)

    return routes


async def misbehave(admission: Admission, names: set[str]) -> set[str]:
    """Do what the caller pulled a lever for, and return the levers that bear on the answer; raises Refused."""
    database, caller = admission.tenant.database, admission.peer.client_id
    if not names & (await database.read(levers.pulled, caller)).keys():
        return set()
    pulled = await database.write(levers.use, caller, names)
    if "delay" in pulled:
        await asyncio.sleep(levers.DELAY)
    if "throttle" in pulled:
        raise Refused(THROTTLED, "lever throttle", headers={"Retry-After": "2"})
    if "fault" in pulled:
        raise Refused(INTERNAL, "lever fault")
    return pulled


def check_holder(admission: Admission, seed: Seed, ura: str) -> None:
    """Raise Refused(PARTY_MISMATCH) unless the caller is the holder or runs its services (the Mitz Connector)."""
    caller = next((party for party in seed.parties if party.client_id == admission.peer.client_id), None)
    holder = next((party for party in seed.parties if party.ura == ura), None)
    if caller is None or holder is None or caller.id not in (holder.id, holder.hosted_by):
        raise Refused(PARTY_MISMATCH, "only the holder, or the vendor that runs its services, asks about the holder's data")


def read_message(admission: Admission, raw: bytes) -> ClosedQuestion:
    """Return the closed question in `raw`; raises Refused where that is no SOAP."""
    envelope = read(raw)
    return ClosedQuestion(envelope, xacml.attributes(envelope.body), f"{admission.tenant.audience}{PATH}")


def _acting(message: ClosedQuestion) -> Acting:
    """The responsible person, and where another acts under a mandate: that one, on behalf of the first."""
    sent = {xacml.BY_ID[each.id].name: each for each in message.attributes if each.id in xacml.BY_ID}

    def person(name: str) -> Person:
        oid = sent[name].oid
        return Person(sent[name].value, xacml.PERSON_SYSTEMS.get(oid, f"urn:oid:{oid}"), sent["role"].value, sent["user"].value)

    return Acting(person("mandated"), person("person")) if "mandated" in sent else Acting(person("person"))
