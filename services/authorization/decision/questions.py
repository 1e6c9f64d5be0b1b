"""Decide on a validated question of KIK-V: a scope that pins the whole query, by id and digest."""

from pathlib import Path
from typing import Any

from services.authorization.decision.folder import Policies
from services.authorization.decision.rego import Unevaluable

FOLDER = Path(__file__).parent / "policies" / "kikv"
SCOPE = "system/kik-v.s"


class QuestionDecisions:
    """The decision point for validated questions."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.policies = Policies(folder, prepare)

    def decide(self, asker: str, scopes: frozenset[str], question: dict[str, Any]) -> dict[str, Any]:
        """Judge `{"id", "sha256", "parameters"}` of a kind of party; returns `{"decision", "context"}`."""
        loaded = self.policies.current()
        facts = {"asker": asker, "question": {"parameters": {}} | question}
        try:
            findings = loaded.evaluate("kikv", "failed", facts)
        except Unevaluable as fault:
            findings = [{"rule": "policy.fault", "hint": str(fault)}]
        if SCOPE not in scopes:
            findings.append({"rule": "scope", "hint": f"Ask for a token with scope {SCOPE}."})
        context: dict[str, Any] = {"policies": loaded.version.as_json()}
        if findings:
            findings.sort(key=lambda each: str(each["rule"]))
            context |= {"reason": findings[0]["rule"], "findings": findings}
        return {"decision": not findings, "context": context}


def prepare(documents: dict[str, Any], _modules: dict[str, str]) -> dict[str, Any]:
    """Return the data that the rules read."""
    return {"question": documents["profiles"]["question"]}
