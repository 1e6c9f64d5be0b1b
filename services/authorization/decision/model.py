"""What goes into a decision and what comes out of it, whatever language it was asked in."""

from dataclasses import dataclass, field
from typing import Any

from services.authorization.decision.folder import Version

PEP, PDP, PIP = "PEP", "PDP", "PIP"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that says no: `rule` is its id here, `policies` are the published ids that it stands for, `hint` says what to change.

    `code` is the machine-readable code that the interface carries, `origin` who says it: PEP, PDP or PIP.
    """

    rule: str
    policies: tuple[str, ...]
    code: str
    text: str
    hint: str
    origin: str = PDP
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the verified token says: `claims` are agb, uzovi, kvk, instantie_type, instantie_naam and act."""

    claims: dict[str, str | None] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed, or every rule that says no; by which policies, in which profile; `rules` are all that were looked at."""

    allowed: bool
    profile: str
    version: Version
    findings: tuple[Finding, ...] = ()
    operation: str = ""
    rules: dict[str, bool] = field(default_factory=dict)

    def details(self) -> dict[str, str]:
        """Return what the audit event says of this decision."""
        return {
            "decision": "permit" if self.allowed else "deny",
            "policies": f"{self.version.name} {self.version.sha256}",
            "profile": self.profile,
            "rules": " ".join(dict.fromkeys(each.rule for each in self.findings)),
        }


def question(operation: str, caller: Caller) -> dict[str, Any]:
    """Return the facts about the caller, as rules read them."""
    return {"operation": operation, "claims": caller.claims, "scopes": sorted(caller.scopes)}
