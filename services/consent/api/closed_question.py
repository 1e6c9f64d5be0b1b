"""The closed question of Mitz: XACML 3.0 over SOAP 1.2 (VZVZ: gesloten vraag), and the check of a vendor's own message."""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import SOAP_XML, json_response, problem, soap
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import DECISION
from proeftuin.parties import Seed
from proeftuin.reasons import CONTENT_TYPE, INTERNAL, INVALID_REQUEST, PARTY_MISMATCH, PROFILE, THROTTLED, Refused
from proeftuin.tokens.access_token import Person
from services.consent import levers
from services.consent.asking import Acting, Asking
from services.consent.decisions import Decision, Question
from services.consent.mitz import rules, xacml
from services.consent.mitz.catalogue import KIND_OF_TYPE
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
        message = await _message(admission)
        pulled = await misbehave(admission, _LEVERS)
        found = rules.findings(message)
        errors = [each for each in found if each.severity == rules.ERROR]
        if errors:
            reason = CONTENT_TYPE if errors[0].rule == "CQ-01" else INVALID_REQUEST if errors[0].rule == "CQ-02" else PROFILE
            raise Refused(reason, "; ".join(f"{each.rule} ({each.clause}) {each.text}" for each in errors))
        value = {xacml.BY_ID[each.id].name: each.value for each in message.attributes if each.id in xacml.BY_ID}
        admission.record.patients, admission.record.purpose = [value["patient"]], value["purpose"]
        check_holder(admission, seed, value["holder"])
        question = Question(
            value["holder"], KIND_OF_TYPE[value["holder_type"]], value["user"], KIND_OF_TYPE[value["user_type"]], value["purpose"]
        )
        categories = [each.value for each in message.attributes if each.id == xacml.BY_NAME["data"].id]
        decisions = await asking.answer(admission, value["patient"], question, categories, _acting(message, value))
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


def check_router() -> APIRouter:
    """Return the route that checks a message and answers nothing else."""
    routes = guarded(problem)

    @routes.post("/mitz/check/geslotenautorisatievraag")
    @require(max_body=1 << 17)
    async def check(admission: Admitted) -> Response:
        """Name every deviation of the closed question that is posted, as it would be to the double; nothing is decided.

        Answers `{"accepted": bool, "findings": [{"rule", "clause", "severity", "text"}]}`; accepted: the double would answer it.
        """
        found = rules.findings(await _message(admission))
        content: dict[str, Any] = {
            "accepted": all(each.severity != rules.ERROR for each in found),
            "findings": [
                {"rule": each.rule, "clause": each.clause, "severity": each.severity, "text": each.text} for each in found
            ],
        }
        return json_response(content, headers={"Cache-Control": "no-store"})

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


async def _message(admission: Admission) -> rules.Message:
    envelope = read(await admission.body())
    headers = {name.lower(): value for name, value in admission.request.headers.items()}
    return rules.Message(headers, envelope, xacml.attributes(envelope.body), f"{admission.tenant.audience}{PATH}")


def _acting(message: rules.Message, value: dict[str, str]) -> Acting:
    """The responsible person, and where another acts under a mandate: that one, on behalf of the first."""

    def person(name: str) -> Person:
        oid = next(each.oid for each in message.attributes if each.id == xacml.BY_NAME[name].id)
        return Person(value[name], xacml.PERSON_SYSTEMS.get(oid, f"urn:oid:{oid}"), value["role"], value["user"])

    return Acting(person("mandated"), person("person")) if "mandated" in value else Acting(person("person"))
