"""The cases that stand beside the iWlz policies, as requests to decide on."""

import json
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.authorization.decision.iwlz import FOLDER, Decisions, Unanswered
from services.authorization.decision.model import Caller, Decision

DOCUMENT: dict[str, Any] = tomllib.loads((FOLDER / "tests" / "cases.toml").read_text(encoding="utf-8"))
PROFILES = {"vecozo": "vecozo-2026-03", "spec": "spec-2026-06"}


@dataclass
class Case:
    """One request, and the rules that must fail under each profile."""

    name: str
    operation: str
    caller: Caller
    text: str
    variables: dict[str, Any]
    today: str
    pip: dict[str, bool] | str
    expected: dict[str, list[str]]


class Stage:
    """The clock and the information point of a case."""

    def __init__(self) -> None:
        self.today = "2026-05-01"
        self.pip: dict[str, bool] | str = {}
        self.asked: list[tuple[str, str, str, str]] = []

    def now(self) -> datetime:
        return datetime.fromisoformat(self.today).replace(hour=12, tzinfo=UTC)

    def real(self) -> datetime:
        return self.now()

    async def involved(self, relation: str, wlz_indicatie: str, identifier: str, quantifier: str) -> bool:
        self.asked.append((relation, wlz_indicatie, identifier, quantifier))
        if isinstance(self.pip, str):
            raise Unanswered(self.pip)
        return self.pip.get(relation, False)

    async def decide(self, decisions: Decisions, case: Case, profile: str) -> Decision:
        self.today, self.pip, self.asked = case.today, case.pip, []
        return await decisions.decide(case.caller, case.text, case.variables, PROFILES[profile])


def read(entry: dict[str, Any]) -> Case:
    """Return one entry of the file as a request."""
    request = DOCUMENT["request"][entry["request"]]
    text: str = request["text"]
    for mark, written in (request.get("blanks", {"§": ""}) | entry.get("put", {})).items():
        text = text.replace(mark, written)
    if "filter" in entry:
        text = text.replace("(where: {", "(where: {" + entry["filter"] + ", ", 1)
    variables = json.loads(json.dumps(request.get("variables", {})))
    for name, value in entry.get("variables", {}).items():
        variables[name] = variables[name] | value if isinstance(value, dict) else value
    variables |= dict.fromkeys(entry.get("nulls", []))
    variables = {name: value for name, value in variables.items() if name not in entry.get("without", [])}
    claims = DOCUMENT["caller"][entry["caller"]]["claims"] | entry.get("claims", {})
    claims |= dict.fromkeys(entry.get("null_claims", []))
    claims = {name: value for name, value in claims.items() if name not in entry.get("without_claims", [])}
    scopes = frozenset([DOCUMENT["scope"][name] for name in entry["scopes"]] + entry.get("scope_names", []))
    return Case(
        name=entry["name"],
        operation=re.findall(r"[{]\s*(\w+)", text)[0],
        caller=Caller(claims, scopes),
        text=text + entry.get("append", ""),
        variables=variables,
        today=entry.get("today", "2026-05-01"),
        pip=entry.get("pip", {}),
        expected={profile: entry[profile] for profile in PROFILES},
    )


CASES = [read(entry) for entry in DOCUMENT["case"]]
