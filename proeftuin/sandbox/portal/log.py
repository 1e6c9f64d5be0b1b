"""What the portal asks the log for a client, as the party that it is: over mTLS, with a token for this client alone."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from proeftuin.overview import checking
from proeftuin.sandbox.care_system import CareSystem, Stopped, told
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.portal.sessions import Session
from proeftuin.sandbox.seeding import care_system, client_token
from proeftuin.sandbox.topology import only
from proeftuin.storage.secrets import secret
from proeftuin.transport.client import Answer

SCOPE = "patient/AuditEvent.rs"
TOKEN_SERVES = 240  # seconds of the 300 that it lives


class Log:
    """The log of the sandbox in `home`, seen by its portal; the keys that it sees first are those it checks with ever after."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._system: CareSystem | None = None

    async def ask(self, session: Session, form: dict[str, str]) -> Answer:
        """Return the overview of the session's client as `form` asks it; raises Stopped when it is not given."""
        async with self._portal() as portal:
            token, ends = session.tokens.get(SCOPE, ("", 0.0))
            if time.monotonic() >= ends:
                token = await client_token(portal, session.client.bsn, "logging", SCOPE)
                session.tokens[SCOPE] = token, time.monotonic() + TOKEN_SERVES
            url = f"{portal.services['logging']}/inzage/logging"
            answer = await portal.call("ask who did what", "logging", "POST", url, form=form, token=token)
            if answer is None or answer.status != 200:
                session.tokens.pop(SCOPE, None)
                raise Stopped(f"the log does not give the overview: {portal.hops.all[-1].reason}{told(answer)}")
            return answer

    async def fault(self, overview: dict[str, Any]) -> str | None:
        """Return what does not hold in an overview, None when all of it does; raises Stopped when the keys cannot be had."""
        async with self._portal() as portal:
            keys = await self._key(portal, "logging"), await self._key(portal, "witness")
        try:
            checking.check(overview, keys)
        except ValueError as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Close the connections."""
        if self._system is not None:
            await self._system.close()

    async def _key(self, portal: CareSystem, service: str) -> str:
        pinned = self._home.party_folder(portal.party.id) / f"{service}.verifier"
        if not pinned.exists():
            answer = await portal.call(f"read the key of {service}", service, "GET", f"{portal.services[service]}/key")
            if answer is None or answer.status != 200:
                raise Stopped(f"{service} does not show its key")
            secret(pinned, lambda: answer.body)
        return pinned.read_text(encoding="utf-8")

    @asynccontextmanager
    async def _portal(self) -> AsyncIterator[CareSystem]:
        """The system of the portal, once it found the network; what it remembers of each call is let go."""
        if self._system is None:
            self._system = care_system(self._home, only(self._home.seed, "portaal"))
        try:
            if not self._system.services:
                await self._system.discover()
            yield self._system
        finally:
            self._system.hops.all.clear()
