"""One question of the Authorization API: which policies it is for follows from the type of the resource; any other is denied."""

from typing import Any

from proeftuin.reasons import INVALID_REQUEST, Refused
from services.authorization.decision.iwlz import Decisions
from services.authorization.decision.knooppunt import KnooppuntDecisions
from services.authorization.decision.model import Caller, Decision
from services.authorization.decision.questions import QuestionDecisions

GRAPHQL, FHIR, QUESTION = "graphql_request", "fhir_request", "validated_question"
IDENTIFIERS = {"agb_code": "agb", "uzovi_code": "uzovi", "kvk_number": "kvk"}
ORGANISATIONS = {"ZORGKANTOOR": "Zorgkantoor", "ZORGAANBIEDER": "Zorgaanbieder", "CIZ": "Onderneming", "VECOZO": "Onderneming"}
SERVICES = {  # RFC0052 context.service -> the operations that it names
    "INDICATIEREGISTER": {"wlzIndicatie"},
    "BEMIDDELINGSREGISTER": {"client", "bemiddeling", "bemiddelingspecificatie", "overdracht", "regiehouder"},
}
PURPOSE = "WLZ_UITVOERING"
LONGEST = 65_536  # characters of a query_filter


class Evaluator:
    """Evaluates questions whose facts the enforcement point stands for: it has verified the token."""

    def __init__(self, decisions: Decisions, fhir: KnooppuntDecisions, questions: QuestionDecisions, profile: str) -> None:
        self._decisions, self._fhir, self._questions, self._profile = decisions, fhir, questions, profile

    async def evaluate(self, asked: dict[str, Any], *, look_up: bool) -> dict[str, Any]:
        """Return `{"decision", "context"}`; raises Refused(INVALID_REQUEST) when subject, action or resource is not well formed."""
        subject, action, resource = (
            _member(asked, "subject", "id"),
            _member(asked, "action", None),
            _member(asked, "resource", "id"),
        )
        properties, caller = resource.get("properties", {}), _caller(subject)
        if resource["type"] == QUESTION:
            kind = str(subject.get("properties", {}).get("kind", ""))
            question = {name: properties[name] for name in ("sha256", "parameters") if name in properties}
            return self._questions.decide(kind, caller.scopes, {"id": resource["id"]} | question)
        if resource["type"] == FHIR:
            return await self._fhir_request(subject, caller, properties, look_up=look_up)
        if resource["type"] != GRAPHQL:
            return _denied("no_policy", f"no policy is about resources of type {str(resource['type'])[:60]}")
        profile = self._profile_of(asked)
        query, variables = properties.get("query"), properties.get("variables")
        if not isinstance(query, str) or not isinstance(variables, dict | None):
            raise Refused(INVALID_REQUEST, f"a {GRAPHQL} has properties.query (text) and properties.variables (object)")
        decision = await self._decisions.decide(caller, query, variables, profile, look_up=look_up)
        if decision.allowed and str(action["name"]).lower() not in (_kind(decision), "execute"):
            return _denied("action_mismatch", f"the request is a {_kind(decision)}, not a {str(action['name'])[:60]}")
        return _answer(decision)

    async def _fhir_request(
        self, subject: dict[str, Any], caller: Caller, request: dict[str, Any], *, look_up: bool
    ) -> dict[str, Any]:
        ura = subject.get("properties", {}).get("identifiers", {}).get("ura")
        asked = {
            "subject": {"client_id": subject["id"], "scope": " ".join(sorted(caller.scopes)), "organization_ura": ura},
            "request": request,
            "context": {"patient_bsn": request.get("patient_bsn")},
        }
        try:
            found = await self._fhir.decide(asked, look_up=look_up)
        except ValueError as error:
            raise Refused(INVALID_REQUEST, str(error)) from error
        context: dict[str, Any] = {"policies": found["version"], "findings": found["policies"]}
        if not found["allow"]:
            context["reason"] = found.get("error", "not_allowed")
        return {"decision": found["allow"], "context": context}

    async def evaluate_filter(self, asked: dict[str, Any], *, look_up: bool) -> dict[str, Any]:
        """Return the answer to one evaluation of RFC0052: `context` has policy_id and reason."""
        subject, _, resource = _member(asked, "subject", "id"), _member(asked, "action", None), _member(asked, "resource", None)
        context = _context(asked)
        if "purpose_of_use" not in context:
            return _reason("MISSING_PURPOSE_OF_USE")
        if context["purpose_of_use"] != PURPOSE:
            return _reason("PURPOSE_OF_USE_NOT_ALLOWED")
        if context.get("contract_active") is False:
            return _reason("CONTRACT_NOT_ACTIVE")
        operation = context.get("operation")
        if not isinstance(operation, str) or operation not in SERVICES.get(str(context.get("service")), set()):
            return _reason("OPERATION_UNKNOWN")
        where = resource.get("properties", {}).get("query_filter", {})
        if not isinstance(where, dict) or len(str(where)) > LONGEST:
            raise Refused(INVALID_REQUEST, f"resource.properties.query_filter is an object of at most {LONGEST} characters")
        try:
            decision = await self._decisions.judge_filter(
                _caller(subject), operation, where, self._profile_of(asked), look_up=look_up
            )
        except (AttributeError, TypeError, RecursionError) as error:
            raise Refused(INVALID_REQUEST, "resource.properties.query_filter is no filter") from error
        if decision.allowed:
            return {"decision": True, "context": {"policy_id": decision.operation, "policies": decision.version.as_json()}}
        first = decision.findings[0]
        answer = _reason(first.rule.upper().replace(".", "_").replace("-", "_"), " ".join(first.policies))
        answer["context"] |= {"policies": decision.version.as_json(), "hint": first.hint}
        return answer

    def _profile_of(self, asked: dict[str, Any]) -> str:
        named = _context(asked).get("profile", self._profile)
        if named not in self._decisions.profiles:
            raise Refused(INVALID_REQUEST, f"context.profile is one of {', '.join(self._decisions.profiles)}")
        return str(named)


def findings_of(decision: Decision) -> list[dict[str, Any]]:
    """Return every rule that says no, as JSON."""
    return [
        {
            "rule": each.rule,
            "policies": list(each.policies),
            "code": each.code,
            "origin": each.origin,
            "text": each.text,
            "hint": each.hint,
        }
        for each in decision.findings
    ]


def _kind(decision: Decision) -> str:
    return "mutation" if decision.operation.startswith("zend") else "query"


def _member(asked: dict[str, Any], name: str, needs: str | None) -> dict[str, Any]:
    found = asked.get(name)
    wanted = ("name",) if name == "action" else ("type", *((needs,) if needs else ()))
    if not isinstance(found, dict) or any(not isinstance(found.get(each), str) for each in wanted):
        raise Refused(INVALID_REQUEST, f"{name} is an object with {' and '.join(wanted)}")
    if not isinstance(found.get("properties", {}), dict):
        raise Refused(INVALID_REQUEST, f"{name}.properties is an object")
    return found


def _context(asked: dict[str, Any]) -> dict[str, Any]:
    found = asked.get("context", {})
    if not isinstance(found, dict):
        raise Refused(INVALID_REQUEST, "context is an object")
    return found


def _caller(subject: dict[str, Any]) -> Caller:
    properties = subject.get("properties", {})
    identifiers = properties.get("identifiers", {})
    if not isinstance(identifiers, dict):
        raise Refused(INVALID_REQUEST, "subject.properties.identifiers is an object")
    kind = str(properties.get("organization_type", ""))
    claims: dict[str, str | None] = {"instantie_type": ORGANISATIONS.get(kind), "instantie_naam": kind or None}
    claims |= {ours: identifiers[name] for name, ours in IDENTIFIERS.items() if isinstance(identifiers.get(name), str)}
    if isinstance(properties.get("actor"), str):
        claims["act"] = properties["actor"]
    scopes = properties.get("scopes", [])
    if not isinstance(scopes, list):
        raise Refused(INVALID_REQUEST, "subject.properties.scopes is a list")
    return Caller(claims, frozenset(each for each in scopes if isinstance(each, str)))


def _answer(decision: Decision) -> dict[str, Any]:
    context: dict[str, Any] = {"policies": decision.version.as_json(), "profile": decision.profile}
    if not decision.allowed:
        context |= {"reason": decision.findings[0].rule, "findings": findings_of(decision)}
    return {"decision": decision.allowed, "context": context}


def _denied(reason: str, text: str) -> dict[str, Any]:
    return {"decision": False, "context": {"reason": reason, "text": text}}


def _reason(reason: str, policy: str = "") -> dict[str, Any]:
    return {"decision": False, "context": {"policy_id": policy, "reason": reason}}
