"""What the portal asks the log for a client."""

from typing import Any

from proeftuin.overview import checking
from proeftuin.sandbox.care_system import CareSystem, Stopped
from proeftuin.sandbox.portal.network import Network
from proeftuin.sandbox.portal.sessions import Session
from proeftuin.storage.secrets import secret
from proeftuin.transport.client import Answer

SCOPE = "patient/AuditEvent.rs"


class Log:
    """The log, seen by the portal; the keys that it sees first are those it checks with ever after."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def ask(self, session: Session, form: dict[str, str]) -> Answer:
        """Return the overview of the session's client as `form` asks it; raises Stopped when it is not given."""
        return await self._network.ask(session, "logging", SCOPE, "POST", "/inzage/logging", form=form)

    async def fault(self, overview: dict[str, Any]) -> str | None:
        """Return what does not hold in an overview, None when all of it does; raises Stopped when the keys cannot be had."""
        async with self._network.portal() as portal:
            keys = await self._key(portal, "logging"), await self._key(portal, "witness")
        try:
            checking.check(overview, keys)
        except ValueError as error:
            return str(error)
        return None

    async def _key(self, portal: CareSystem, service: str) -> str:
        pinned = self._network.home.party_folder(portal.party.id) / f"{service}.verifier"
        if not pinned.exists():
            answer = await portal.call(f"read the key of {service}", service, "GET", f"{portal.services[service]}/key")
            if answer is None or answer.status != 200:
                raise Stopped(f"{service} does not show its key")
            secret(pinned, lambda: answer.body)
        return pinned.read_text(encoding="utf-8")
