"""Decide on a FHIR request by the policies of nuts-knooppunt: a policy for each scope, the first that allows is enough."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from proeftuin.fhir import interaction
from proeftuin.fhir.interaction import Interaction, UnknownInteractionError
from proeftuin.identifiers import BSN_SYSTEM, is_bsn
from proeftuin.reasons import Refused
from services.authorization.decision.folder import Policies
from services.authorization.decision.rego import Unevaluable

FOLDER = Path(__file__).parent / "policies" / "knooppunt"
Permits = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Asks whether a client (BSN) permits the data of this request to the organisation; raises Refused when not."""


class ForbiddenPolicyError(ValueError):
    """A scope names a policy that is not for callers."""


class KnooppuntDecisions:
    """The decision point for FHIR; `permits` stands where Mitz stands."""

    def __init__(self, permits: Permits, folder: Path = FOLDER) -> None:
        self.policies = Policies(folder, prepare)
        self._permits = permits

    async def decide(self, asked: dict[str, Any], *, look_up: bool = True) -> dict[str, Any]:
        """Return `{"allow", "error"?, "policies": {name: {"allow", "reasons"}}, "version"}`.

        Without `look_up` nobody's consent is asked. Raises ForbiddenPolicyError for a scope such as `system`, and ValueError when a
        member has not its shape.
        """
        subject, request, context = (_object(asked, name) for name in ("subject", "request", "context"))
        loaded = self.policies.current()
        answer: dict[str, Any] = {"allow": False, "policies": {}, "version": loaded.version.as_json()}
        names = sorted({scope.lower().replace("-", "_") for scope in str(subject.get("scope") or "").split()})
        if any(name.startswith("test_") or name == "system" for name in names):
            raise ForbiddenPolicyError("this policy is not for callers")
        if not names:
            return answer | {"error": "missing required value, no policy defined"}
        try:
            found = _read(request)
            facts = _facts(subject, request, context, found)
        except (UnknownInteractionError, AmbiguousClientError) as error:
            return answer | {"error": str(error)}
        known = loaded.documents["profiles"]["policy"]
        for name in names:
            if name not in known:
                answer["policies"][name] = _judged([{"code": "not_implemented", "description": f"there is no policy {name}"}])
                continue
            reasons = await self._reasons(name, known[name], facts, look_up=look_up)
            answer["policies"][name] = _judged(reasons)
            if not reasons:
                return answer | {"allow": True}
        return answer

    async def _reasons(self, name: str, policy: dict[str, Any], facts: dict[str, Any], *, look_up: bool) -> list[dict[str, str]]:
        context = facts["context"]
        if policy.get("consent"):
            context["mitz_consent"], context["mitz_reason"] = (
                False,
                {"code": "pip_error", "description": "no BSN, so no consent could be asked"},
            )
            if context["patient_bsn"] and look_up:
                try:
                    await self._permits(context["patient_bsn"], facts)
                    context["mitz_consent"] = True
                except Refused as refused:
                    code = "pip_error" if refused.status >= 500 else "not_allowed"
                    context["mitz_reason"] = {"code": code, "description": f"{refused.reason.code}: {refused.detail}"}
        try:
            failed = self.policies.current().evaluate("knooppunt", "failed", facts | {"policy": name})
        except Unevaluable as fault:
            return [{"code": "internal_error", "description": str(fault)}]
        return sorted(failed, key=lambda each: (each["code"], each["description"]))


class AmbiguousClientError(ValueError):
    """A request names no one client, or two that differ."""


def prepare(documents: dict[str, Any], _modules: dict[str, str]) -> dict[str, Any]:
    """Return the data that the rules read."""
    profiles = documents["profiles"]
    return {"policy": profiles["policy"], "pzp": profiles["pzp"], "capabilities": documents["capabilities"]}


def _judged(reasons: list[dict[str, str]]) -> dict[str, Any]:
    return {"allow": not reasons, "reasons": reasons}


def _object(asked: dict[str, Any], name: str) -> dict[str, Any]:
    found = asked.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"input.{name} is an object")
    return found


def _read(request: dict[str, Any]) -> Interaction:
    query, body, header = request.get("query") or "", request.get("body") or "", request.get("header") or {}
    if "query_params" in request:
        raise UnknownInteractionError(
            "send request.query as text; query_params is of an older description and would not be looked at"
        )
    if not isinstance(query, str) or not isinstance(header, dict):
        raise UnknownInteractionError("request.query is text, request.header an object of lists")
    kinds = header.get("Content-Type") or header.get("content-type") or []
    is_form = any(str(each).startswith("application/x-www-form-urlencoded") for each in kinds)
    return interaction.read(
        str(request.get("method")), str(request.get("path") or ""), query, body if is_form and isinstance(body, str) else ""
    )


def _facts(subject: dict[str, Any], request: dict[str, Any], context: dict[str, Any], found: Interaction) -> dict[str, Any]:
    patient_id, bsn = _client(found, str(context.get("patient_bsn") or ""))
    return {
        "subject": subject | {
            "client": {"id": subject.get("client_id"), "scopes": str(subject.get("scope") or "").split()},
            "organization": {
                "ura": subject.get("organization_ura"), "name": subject.get("organization_name"),
                "facility_type": subject.get("organization_facility_type"),
            },
            "user": {"id": subject.get("user_id"), "role": subject.get("user_role")},
        },
        "resource": {"id": found.id, "type": found.type, "version_id": found.version, "consents": []},
        "action": {
            "name": found.name, "connection_type_code": context.get("connection_type_code"),
            "request": {name: request.get(name) for name in ("method", "path")},
            "fhir_rest": {
                "interaction_type": found.name, "operation": found.operation, "search_params": found.parameters,
                "include": list(found.include), "revinclude": list(found.revinclude), "capability_checked": True,
            },
        },
        "context": {
            "data_holder_organization_id": context.get("data_holder_organization_id"),
            "data_holder_facility_type": context.get("data_holder_facility_type"),
            "purpose_of_use": "TREAT", "patient_id": patient_id, "patient_bsn": bsn, "mitz_consent": False,
        },
    }  # fmt: skip


def _client(found: Interaction, stated: str) -> tuple[str | None, str | None]:
    """Return the id and the BSN of the one client that the request names; raises AmbiguousClientError when it names several."""
    ids: set[str] = {found.id} if found.type == "Patient" and found.id else set()
    numbers: set[str] = {stated} if stated else set()
    for name, groups in found.parameters.items():
        values = [value for group in groups for value in group]
        if found.type == "Patient" and name == "_id":
            ids |= set(values)
        elif name in ("patient", "subject", "patient:Patient", "subject:Patient"):
            ids |= {value.removeprefix("Patient/") for value in values}
        elif found.type == "Patient" and name == "identifier":
            for value in values:
                system, _, number = value.rpartition("|")
                if system != BSN_SYSTEM or not is_bsn(number):
                    raise AmbiguousClientError(f"identifier: a BSN as {BSN_SYSTEM}|<bsn>")
                numbers.add(number)
    if len(ids) > 1 or len(numbers) > 1:
        raise AmbiguousClientError("the request names more than one client")
    return next(iter(ids), None), next(iter(numbers), None)
