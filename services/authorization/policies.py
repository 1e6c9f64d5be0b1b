"""Who may ask for which scope: rules as data (policies.toml), read once at start."""

import hashlib
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from proeftuin.audit.events import EMERGENCY_PURPOSES
from proeftuin.parties import Party
from proeftuin.reasons import (
    PURPOSE_NOT_ALLOWED,
    RESOURCE_UNKNOWN,
    ROLE_NOT_ALLOWED,
    SCOPE_NOT_ALLOWED,
    SCOPE_UNKNOWN,
    Refused,
)

NATIONAL, PARTY, LOGIN, EVERY = "national", "party", "login", "every"
LIFETIME = 300  # seconds; the longest that a token lives, where a rule says nothing else


@dataclass(frozen=True, slots=True)
class ScopePolicy:
    """One scope: which server issues it, for which resource, to which kinds of party, roles and purposes.

    `person`: who acts: "professional", "client", "any" of them, or None, a system. `category`: of data, for which the client's
    consent is asked. `legal_basis`: on what the use of the data rests: "consent", the client's own "request", or the "law".
    `lifetime`: of a token, in seconds, at most. `emergency`: professions of the UZI role code that may open the data in an
    emergency, without consent. `representative`: who may decide for a client may use it too.
    """

    name: str
    server: str
    resource: str
    clients: frozenset[str]
    person: str | None = None
    roles: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    category: str | None = None
    legal_basis: str = "law"
    lifetime: int = LIFETIME
    emergency: frozenset[str] = frozenset()
    representative: bool = False

    @property
    def needs_patient(self) -> bool:
        """Whether a token with this scope is for one client of care."""
        return self.person is not None and self.server != LOGIN

    def check_client(self, client: Party) -> None:
        """Raise Refused(SCOPE_NOT_ALLOWED) unless the scope is open for this party."""
        open_to = {"*", client.kind} | ({"care_provider"} if client.is_care_provider else set())
        if not self.clients & open_to:
            raise Refused(SCOPE_NOT_ALLOWED, f"scope {self.name} is not open for a {client.kind}")

    def check_purpose(self, purpose: str | None) -> None:
        """Raise Refused(PURPOSE_NOT_ALLOWED) unless the scope is open for this purpose of use."""
        if self.emergency and purpose in EMERGENCY_PURPOSES:
            return
        if self.purposes and purpose not in self.purposes:
            wanted = " or ".join(sorted(self.purposes))
            raise Refused(PURPOSE_NOT_ALLOWED, f"scope {self.name} is for purpose {wanted}, not {purpose or 'none'}")

    def check_role(self, role: str | None, purpose: str | None = None) -> None:
        """Raise Refused(ROLE_NOT_ALLOWED) unless the profession of the UZI role code may use the scope (for this purpose)."""
        in_emergency = purpose in EMERGENCY_PURPOSES
        roles = self.emergency if in_emergency else self.roles
        if roles and (role or "").partition(".")[0] not in roles:
            raise Refused(
                ROLE_NOT_ALLOWED, f"role {role or 'none'} may not use scope {self.name}{' in an emergency' * in_emergency}"
            )


class Policies:
    """The scopes of one issuer that is all of `servers`; `resources` maps the resource names of the rules to base addresses."""

    def __init__(self, servers: Collection[str], resources: dict[str, str], rules: Iterable[ScopePolicy]) -> None:
        self._resources = resources
        self.scopes = {rule.name: rule for rule in rules if rule.server in servers}

    def select(self, names: list[str], resource: str, client: Party) -> list[ScopePolicy]:
        """Return the rules of the scopes asked for; one bad scope refuses them all.

        Raises Refused: SCOPE_UNKNOWN, RESOURCE_UNKNOWN (unknown, or not the one of a scope) or SCOPE_NOT_ALLOWED.
        """
        unknown = sorted(set(names) - self.scopes.keys())
        if not names or unknown:
            raise Refused(SCOPE_UNKNOWN, f"this server does not issue {' '.join(unknown)[:100] or 'an empty scope'}")
        rules = [self.scopes[name] for name in dict.fromkeys(names)]
        for rule in rules:
            if resource != self._resources[rule.resource]:
                raise Refused(RESOURCE_UNKNOWN, f"scope {rule.name} is for {self._resources[rule.resource]}")
            rule.check_client(client)
        return rules


RULES = Path(__file__).parent / "policies.toml"


@cache
def version(path: Path = RULES) -> str:
    """Return what names this version of the rules: it changes with every letter of them."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def load(path: Path = RULES) -> list[ScopePolicy]:
    """Read the rules from `path`; raises KeyError when one is not well formed."""
    return [
        ScopePolicy(
            name=rule["name"],
            server=rule["server"],
            resource=rule["resource"],
            clients=frozenset(rule["clients"]),
            person=rule.get("person"),
            roles=frozenset(rule.get("roles", ())),
            purposes=frozenset(rule.get("purposes", ())),
            category=rule.get("category"),
            legal_basis=rule.get("legal_basis", _legal_basis(rule)),
            lifetime=rule.get("lifetime", LIFETIME),
            emergency=frozenset(rule.get("emergency", ())),
            representative=rule.get("representative", False),
        )
        for rule in tomllib.loads(path.read_text())["scope"]
    ]


def _legal_basis(rule: dict[str, Any]) -> str:
    if "category" in rule:
        return "consent"
    return "request" if rule.get("person") == "client" else "law"
