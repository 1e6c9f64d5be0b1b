"""What the portal asks the consent register for a client: read, give, agree, withdraw (services/consent README)."""

from typing import Any

from proeftuin.sandbox.portal.choices import Held, read_resource
from proeftuin.sandbox.portal.network import Declined, Network
from proeftuin.sandbox.portal.sessions import Session

SCOPE = "patient/Consent.cruds"
CONTENT = "application/fhir+json"


class Register:
    """The consent register, seen by the portal. Every method raises Stopped when the register, or a token for it, is refused."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def held(self, session: Session) -> list[Held]:
        """Return what the session's client decided, withdrawn decisions too; the newest change first."""
        found = [read_resource(each, self._network.home.seed) for each in await self._all(session)]
        return sorted(found, key=lambda each: each.changed, reverse=True)

    async def give(self, session: Session, resource: dict[str, Any]) -> dict[str, Any]:
        """Register a decision; returns it as it stands, with status `proposed` when the other side has yet to agree."""
        answer = await self._network.ask(
            session, "consent", SCOPE, "POST", "/fhir/Consent", content=resource, content_type=CONTENT
        )  # fmt: skip
        given: dict[str, Any] = answer.json()
        return given

    async def change(self, session: Session, consent: str, version: str, status: str) -> dict[str, Any]:
        """Give a decision, seen as `version`, another status: `inactive` withdraws it, `active` agrees with what is proposed.

        Raises Declined(version_stale) when it was changed since it was seen, Declined(not_found) when the client has none such.
        """
        found = next((each for each in await self._all(session) if each["id"] == consent), None)
        if found is None:
            raise Declined("consent", "not_found")
        answer = await self._network.ask(
            session, "consent", SCOPE, "PUT", f"/fhir/Consent/{found['id']}", content=found | {"status": status},
            content_type=CONTENT, headers={"If-Match": f'W/"{version}"'},
        )  # fmt: skip
        changed: dict[str, Any] = answer.json()
        return changed

    async def _all(self, session: Session) -> list[dict[str, Any]]:
        answer = await self._network.ask(session, "consent", SCOPE, "GET", "/fhir/Consent")
        return [entry["resource"] for entry in answer.json().get("entry", [])]
