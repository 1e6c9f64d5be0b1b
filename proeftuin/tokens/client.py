"""Tokens that a service asks for itself (client credentials over mTLS, RFC 8705 §2), kept until shortly before they expire."""

import asyncio

from proeftuin.clock import Clock, SystemClock
from proeftuin.reasons import UPSTREAM, Refused
from proeftuin.transport.client import Client, Unreachable


class TokenClient:
    """Gets tokens of one issuer for one party."""

    def __init__(self, issuer: str, client_id: str, client: Client, clock: Clock | None = None, *, margin: float = 10.0) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client = client
        self._clock = clock or SystemClock()
        self._margin = margin
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def token(self, resource: str, scope: str) -> str:
        """Return a bearer token for `scope` at `resource`; raises Refused(UPSTREAM) when the issuer gives none."""
        wanted = (resource, scope)
        async with self._locks.setdefault(wanted, asyncio.Lock()):
            kept = self._tokens.get(wanted)
            now = self._clock.now().timestamp()
            if kept is not None and now < kept[1]:
                return kept[0]
            token, lifetime = await self._request(resource, scope)
            self._tokens[wanted] = (token, now + lifetime - self._margin)
            return token

    def forget(self) -> None:
        """Drop what is kept, after a service refused it."""
        self._tokens.clear()

    async def _request(self, resource: str, scope: str) -> tuple[str, int]:
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "scope": scope, "resource": resource}
        try:
            answer = await self._client.request("POST", f"{self._issuer}/token", form=form)
            document = answer.json()
            if answer.status == 200:
                return str(document["access_token"]), int(document["expires_in"])
        except (Unreachable, ValueError, KeyError) as error:
            raise Refused(UPSTREAM, f"{self._issuer} gave no token: {error}") from error
        raise Refused(UPSTREAM, f"{self._issuer} refused a token for {scope}: {document.get('reason', document.get('error'))}")
