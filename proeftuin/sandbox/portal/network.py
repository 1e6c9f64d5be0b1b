"""The portal as the party that it is: it calls over mTLS, with a token for the one client that a session is about."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proeftuin.sandbox.care_system import CareSystem, Stopped, told
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal.sessions import Session
from proeftuin.sandbox.seeding import care_system
from proeftuin.sandbox.topology import only
from proeftuin.transport.client import Answer

TOKEN_SERVES = 240  # seconds of the 300 that it lives


class Declined(Stopped):
    """The network refused what the portal asked for a client; `reason` is the machine-readable one (docs/reasons.md)."""

    def __init__(self, what: str, reason: str, detail: str = "") -> None:
        super().__init__(f"{what}: {reason}{detail}")
        self.reason = reason


class Network:
    """The network of the sandbox in `home`, seen by its portal."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._system: CareSystem | None = None

    @asynccontextmanager
    async def portal(self) -> AsyncIterator[CareSystem]:
        """The system of the portal, once it found the network; what it remembers of each call is let go."""
        if self._system is None:
            self._system = care_system(self.home, only(self.home.seed, "portaal"))
        try:
            if not self._system.services:
                await self._system.discover()
            yield self._system
        finally:
            self._system.hops.all.clear()

    async def ask(self, session: Session, service: str, scope: str, method: str, path: str, **rest: Any) -> Answer:  # noqa: ANN401 - passed on to CareSystem.call
        """Ask `service` at `path` for the client that the session is about; raises Declined when it is refused."""
        async with self.portal() as portal:
            token = await self._token(portal, session, service, scope)
            url = f"{portal.services[service]}{path}"
            answer = await portal.call(f"{method} {path} for a client", service, method, url, token=token, **rest)
            if answer is None or answer.status >= 300:
                session.tokens.pop((scope, session.about.bsn), None)
                raise Declined(service, portal.hops.all[-1].reason, told(answer))
            return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._system is not None:
            await self._system.close()

    async def _token(self, portal: CareSystem, session: Session, service: str, scope: str) -> str:
        patient = session.about.bsn
        token, ends = session.tokens.get((scope, patient), ("", 0.0))
        if time.monotonic() < ends:
            return token
        statement = await portal.log_in("identity-clients", client=session.client.bsn)
        issuer, resource = portal.services["authorization"], portal.services[service]
        given = await portal.token(
            issuer, resource, scope, target="vws", patient=patient, purpose="PATRQT", id_token=statement
        )  # fmt: skip
        if given is None:
            raise Declined("no token", portal.hops.all[-1].reason)
        session.tokens[scope, patient] = given, time.monotonic() + TOKEN_SERVES
        return given
