"""Who may act for whom: the toestemmingsverklaringen, as data beside the policies and as fresh as those."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from proeftuin.clock import Clock
from proeftuin.parties import Party
from services.authorization.iwlz.tokens import identity


class Mandates:
    """The entries of mandates.toml: `{id: {actor, principal, until?}}`, identities as kvk:, agbcode: or uzovi:."""

    def __init__(self, read: Callable[[], Mapping[str, Mapping[str, Any]]], clock: Clock) -> None:
        self._read, self._clock = read, clock

    def find(self, actor: Party, principal: Party) -> str | None:
        """Return the id of the mandate by which `actor` may act for `principal` today, if there is one."""
        wanted = ({f"kvk:{actor.kvk}", identity(actor)}, identity(principal))
        return next(
            (
                name
                for name, each in self._read().items()
                if each["actor"] in wanted[0] and each["principal"] == wanted[1] and self._holds(each)
            ),
            None,
        )

    async def holds(self, mandate: str) -> bool:
        """Tell whether a mandate still holds: what was withdrawn is not there any more.

        One named by a URI is none of these: it is a credential, or the token that was exchanged, which are grounds themselves.
        """
        if ":" in mandate:
            return True
        found = self._read().get(mandate)
        return found is not None and self._holds(found)

    def _holds(self, mandate: Mapping[str, Any]) -> bool:
        until: date | None = mandate.get("until")
        return until is None or self._clock.now().date() <= until
