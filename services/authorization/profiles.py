"""Profiles: which presentations a scope asks for (Nuts RFC021 policies), read from profiles/*.json and checked at start.

A file is `{"<scope>": {"organization": <PD>, "service_provider": <PD>?, "scope_policy": "..."?, "purpose_of_use": "..."?}}`, PD a
presentation definition (DIF PEX v2). Its constraint fields with an id become claims of the token. `{{name}}` stands for what only
the network knows: the fingerprint of a CA, the DID of the register.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from proeftuin.credentials import shapes
from proeftuin.credentials.exchange import definition
from proeftuin.credentials.exchange.definition import PresentationDefinition
from proeftuin.reasons import DEFINITION_INVALID, INVALID_REQUEST, SCOPE_UNKNOWN, Refused

ScopePolicy = Literal["profile-only", "passthrough", "dynamic"]
FOLDER = Path(__file__).parent / "profiles"
ORGANIZATION, SERVICE_PROVIDER = "organization", "service_provider"
URA, CLIENT_ID, DELEGATION = "organization_ura", "service_provider_id", "delegation_id"  # the claims that say whose token it is
_MEMBERS = {ORGANIZATION, SERVICE_PROVIDER, "scope_policy", "purpose_of_use"}


@dataclass(frozen=True, slots=True)
class Profile:
    """What one scope asks for, and what happens to the scopes beside it (`policy`).

    `definitions` by wallet owner. `purpose`: a code of v3-ActReason for which the profile is, where the request names none.
    """

    scope: str
    definitions: Mapping[str, PresentationDefinition]
    policy: ScopePolicy
    purpose: str | None

    @property
    def shared(self) -> frozenset[str]:
        """The ids of fields that stand in both definitions: their values must be equal (cross-VP binding)."""
        second = self.definitions.get(SERVICE_PROVIDER)
        return frozenset(self.definitions[ORGANIZATION].field_ids) & frozenset(second.field_ids if second else ())


class Profiles:
    """The profiles of one issuer."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self._profiles = dict(profiles)

    def select(self, scope: str) -> tuple[Profile, tuple[str, ...]]:
        """Return the one profile in a list of scopes, and the scopes beside it.

        Raises Refused(SCOPE_UNKNOWN) when there is none, more than one, or others beside one that takes none.
        """
        names = tuple(dict.fromkeys(scope.split()))
        found = [self._profiles[name] for name in names if name in self._profiles]
        if len(found) != 1:
            why = "not found" if not found else "ambiguous, more than one profile"
            raise Refused(SCOPE_UNKNOWN, f"unsupported scope ({scope[:100]}) for presentation exchange: {why}")
        others = tuple(name for name in names if name != found[0].scope)
        if others and found[0].policy == "profile-only":
            raise Refused(SCOPE_UNKNOWN, f"scope {found[0].scope} takes no other scopes beside it")
        return found[0], others

    def definition(self, scope: str, owner: str) -> PresentationDefinition:
        """Return the definition for one owner of a wallet; raises Refused: SCOPE_UNKNOWN or INVALID_REQUEST."""
        profile, _ = self.select(scope)
        if owner not in profile.definitions:
            raise Refused(INVALID_REQUEST, f"wallet_owner_type is {' or '.join(profile.definitions)} for scope {profile.scope}")
        return profile.definitions[owner]

    def of(self, scopes: Mapping[str, Any]) -> "Profiles":
        """Return those whose scope is one of `scopes`."""
        return Profiles({name: profile for name, profile in self._profiles.items() if name in scopes})

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._profiles)


def load(values: Mapping[str, str], folder: Path = FOLDER) -> Profiles:
    """Read and check every profile; raises Refused(DEFINITION_INVALID), naming file and place: such a server does not start."""
    profiles: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(_filled(path.read_text(), values))
            for scope, entry in document.items():
                if scope in profiles:
                    raise ValueError(f"scope {scope} has two profiles")
                profiles[scope] = _profile(scope, entry)
        except (ValueError, AttributeError, Refused) as error:
            raise Refused(DEFINITION_INVALID, f"{path.name}: {getattr(error, 'detail', error)}") from error
    return Profiles(profiles)


def _profile(scope: str, entry: dict[str, Any]) -> Profile:
    policy = entry.get("scope_policy", "profile-only")
    if unknown := entry.keys() - _MEMBERS:
        raise ValueError(f"{scope}: a profile has {', '.join(sorted(_MEMBERS))}, not {', '.join(sorted(unknown))}")
    if policy not in get_args(ScopePolicy):
        raise ValueError(f"{scope}: scope_policy is {', '.join(get_args(ScopePolicy))}")
    first = definition.read(entry.get(ORGANIZATION))
    definition.check_for_verifier(first, shapes.SELF_ATTESTED)
    if URA not in first.certain_ids:
        raise ValueError(f"{scope}: no required field has id {URA}, so it would not say whose token it is")
    definitions = {ORGANIZATION: first}
    if SERVICE_PROVIDER in entry:
        second = definitions[SERVICE_PROVIDER] = definition.read(entry[SERVICE_PROVIDER])
        definition.check_for_verifier(second, shapes.SELF_ATTESTED, first.certain_ids)
        if lacking := {CLIENT_ID, DELEGATION} - second.certain_ids:
            raise ValueError(f"{scope}: service_provider lacks a required field with id {', '.join(sorted(lacking))}")
        if not first.certain_ids & second.certain_ids:
            raise ValueError(f"{scope}: no field binds the service provider to the organization")
    return Profile(scope, definitions, policy, entry.get("purpose_of_use"))


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Put the network's own values in; raises ValueError for a name that it does not have."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"{{{{{match[1]}}}}} stands for nothing; there are {', '.join(sorted(values))}")
        return json.dumps(values[match[1]])[1:-1]

    return re.sub(r"\{\{([^{}]*)\}\}", value, text)
