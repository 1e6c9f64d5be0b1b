"""Which scopes the iWlz authorization server gives: those of the policies' own list, for any https audience."""

from urllib.parse import urlsplit

from proeftuin.parties import Party
from proeftuin.reasons import RESOURCE_UNKNOWN, SCOPE_UNKNOWN, Refused
from services.authorization.decision.folder import Policies as PolicyFolder
from services.authorization.policies import Policies, ScopePolicy

LIFETIME = 3600  # seconds, regardless of scope (iWlz RFC0014)


class IwlzScopes(Policies):
    """The scopes in profiles.toml; what they open to whom is the decision point's, at each request."""

    def __init__(self, folder: PolicyFolder) -> None:
        super().__init__(frozenset(), {}, [])
        self._folder = folder

    def select(self, names: list[str], resource: str, client: Party) -> list[ScopePolicy]:  # noqa: ARG002 - any party may ask
        """Return one rule for each scope asked for; one bad scope refuses them all.

        Raises Refused: RESOURCE_UNKNOWN (the audience is no https URL) or SCOPE_UNKNOWN.
        """
        parts = urlsplit(resource)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment or " " in resource:
            raise Refused(RESOURCE_UNKNOWN, "audience is one https URL")
        known = {scope for scopes in self._folder.current().documents["profiles"]["scopes"].values() for scope in scopes}
        if not names or set(names) - known:
            raise Refused(SCOPE_UNKNOWN, "Access denied, invalid scope")
        return [ScopePolicy(name, "iwlz", "", frozenset({"*"}), lifetime=LIFETIME) for name in dict.fromkeys(names)]
