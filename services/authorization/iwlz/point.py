"""The decision point as its doors use it: which profile speaks, who a token says is asking, and whether that still holds."""

from dataclasses import dataclass
from typing import Any

from proeftuin.access.admission import Admission
from proeftuin.reasons import MALFORMED, PROFILE_UNKNOWN, TOKEN_MISSING, TOKEN_REVOKED, Refused
from proeftuin.settings import Iwlz
from proeftuin.tokens.access_token import AccessToken, Confirmation, Grant
from services.authorization.decision.iwlz import Decisions
from services.authorization.decision.model import Caller, Decision
from services.authorization.issuer import Issuer
from services.authorization.iwlz.tokens import IwlzTokens

PROFILE_HEADER = "X-Iwlz-Profile"


@dataclass(frozen=True, slots=True)
class Point:
    """Decisions on requests with a token of `tokens`, whose grants are those of `issuer`."""

    decisions: Decisions
    tokens: IwlzTokens
    issuer: Issuer
    settings: Iwlz

    def profile(self, named: str | None) -> str:
        """Return the profile to speak: the one of the settings, or the one named where that is allowed; raises Refused."""
        if named is None or not self.settings.profile_by_request:
            return self.settings.profile
        if named not in self.decisions.profiles:
            raise Refused(PROFILE_UNKNOWN, f"profiles are {', '.join(self.decisions.profiles)}")
        return named

    def profile_settings(self, profile: str) -> dict[str, Any]:
        """Return what a profile says of itself."""
        found: dict[str, Any] = self.decisions.policies.current().documents["profiles"]["profiles"][profile]
        return found

    async def verified(self, authorization: str | None, admission: Admission) -> dict[str, Any]:
        """Return the claims of the token in an Authorization header, which must be given by this server and not have ended.

        It must be bound to the certificate of the caller, unless that is the network's own enforcement point. Raises Refused.
        """
        scheme, _, raw = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not raw.strip():
            raise Refused(TOKEN_MISSING, "there is no Authorization: Bearer <token>")
        claims = self.tokens.verify(raw.strip(), None if is_own(admission) else admission.peer)
        if not await self.issuer.grounds_of(_granted(claims, self.issuer.url)):
            raise Refused(TOKEN_REVOKED, "what the token stands on has ended")
        return claims

    async def decide(self, caller: Caller, body: dict[str, Any], profile: str, *, look_up: bool = True) -> Decision:
        """Judge `{"query", "variables"}`; raises Refused(MALFORMED) when it has another shape."""
        query, variables = body.get("query"), body.get("variables")
        if not isinstance(query, str) or not isinstance(variables, dict | None):
            raise Refused(MALFORMED, "query is text, variables an object")
        return await self.decisions.decide(caller, query, variables, profile, look_up=look_up)


def is_own(admission: Admission) -> bool:
    """Tell whether the caller is the party that this door belongs to, such as its own enforcement point."""
    return admission.peer.client_id == admission.tenant.party.client_id


def _granted(claims: dict[str, Any], issuer: str) -> AccessToken:
    """Return the grant that a verified token names, as far as its time and its id go."""
    grant = Grant(str(claims.get("client_id")), str(claims.get("aud")), frozenset(), Confirmation("x5t#S256", ""), 0)
    return AccessToken(issuer, grant, str(claims.get("jti")), int(claims.get("iat", 0)), int(claims["exp"]), "")
