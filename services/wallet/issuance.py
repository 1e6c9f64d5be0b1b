"""Who may issue which credential: rules as data (issuance.toml), read once at start; deny by default."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from proeftuin.parties import Party
from proeftuin.reasons import ISSUANCE_NOT_ALLOWED, Refused


@dataclass(frozen=True, slots=True)
class Rule:
    """One type of credential: which kinds of party issue it, to whom, whether it can be revoked, and for how many days at most."""

    type: str
    by: frozenset[str]
    to_self: bool
    revocable: bool
    days: int


class Issuance:
    """The rules of issuance."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = {rule.type: rule for rule in rules}

    def types(self, party: Party) -> list[Rule]:
        """Return what `party` may issue."""
        return [rule for rule in self._rules.values() if rule.by & _kinds(party)]

    def offered(self) -> list[str]:
        """Return every type that some party issues to another."""
        return [rule.type for rule in self._rules.values() if not rule.to_self]

    def rule(self, kind: str, party: Party) -> Rule:
        """Return the rule by which `party` issues a credential of this type; raises Refused(ISSUANCE_NOT_ALLOWED)."""
        rule = self._rules.get(kind)
        if rule is None or not rule.by & _kinds(party):
            raise Refused(ISSUANCE_NOT_ALLOWED, f"a {party.kind} does not issue a {kind[:60]}")
        return rule


def load(path: Path = Path(__file__).parent / "issuance.toml") -> Issuance:
    """Read the rules from `path`; raises KeyError when one is not well formed."""
    return Issuance(
        [
            Rule(each["type"], frozenset(each["by"]), each.get("to") == "self", each["revocable"], each["days"])
            for each in tomllib.loads(path.read_text())["credential"]
        ]
    )


def _kinds(party: Party) -> set[str]:
    return {party.kind} | ({"care_provider"} if party.is_care_provider else set())
