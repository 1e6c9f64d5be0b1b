"""Verifies a presentation and every credential in it: keys, times, shapes, status. Whom to trust is the definition's to say."""

import asyncio
from dataclasses import dataclass

from proeftuin.clock import Clock
from proeftuin.credentials import dezi, did_x509, jose, presentation, shapes, status
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.dids import KeyResolver
from proeftuin.credentials.presentation import Presentation
from proeftuin.credentials.status import StatusChecker, StatusRef
from proeftuin.reasons import CREDENTIAL_EXPIRED, CREDENTIAL_SIGNATURE, PRESENTATION_SIGNATURE, Refused
from proeftuin.tokens.issuers import KeySource
from proeftuin.transport.trust import Trust


@dataclass(frozen=True, slots=True)
class Evidence:
    """What can end after a presentation was accepted: status list entries, certificates (by name), and time.

    `expires` is when the first of the credentials ends (POSIX seconds); `statement` the last identity statement that one wraps.
    """

    statuses: tuple[StatusRef, ...] = ()
    certificates: tuple[str, ...] = ()
    expires: int | None = None
    statement: str | None = None

    def __add__(self, other: "Evidence") -> "Evidence":
        """Return the evidence of both."""
        ends = [each.expires for each in (self, other) if each.expires is not None]
        return Evidence(
            self.statuses + other.statuses,
            self.certificates + other.certificates,
            min(ends, default=None),
            other.statement or self.statement,
        )


class Verifier:
    """Verifies for one relying party; `providers` are the identity providers whose statements a DeziUserCredential may wrap."""

    def __init__(
        self, resolver: KeyResolver, checker: StatusChecker, trust: Trust, clock: Clock, providers: dict[str, KeySource]
    ) -> None:
        self._resolver = resolver
        self._checker = checker
        self._trust = trust
        self._clock = clock
        self._providers = providers

    async def verify(self, presented: Presentation) -> Evidence:
        """Verify one presentation and all in it; raises Refused with the first thing that does not hold."""
        presentation.check_time(presented, self._clock.real().timestamp())
        key = await self._resolver.key(presented.signed, presented.holder)
        try:
            jose.verify(presented.signed, key)
        except ValueError as error:
            raise Refused(PRESENTATION_SIGNATURE, f"the presentation: {error}") from error
        found = Evidence()
        for each in presented.credentials:
            found += await self.credential(each)
        return found

    async def credential(self, found: Credential) -> Evidence:
        """Verify one credential; one without proof holds by the presentation that it stands in."""
        shapes.check(found)
        now = self._clock.now().timestamp()
        if found.not_before is not None and now < found.not_before - presentation.MAX_SKEW:
            raise Refused(CREDENTIAL_EXPIRED, f"the {found.type[:60]} does not hold yet")
        if found.expires is not None and now >= found.expires:
            raise Refused(CREDENTIAL_EXPIRED, f"the {found.type[:60]} expired")
        statement = await dezi.verify(found, self._providers, self._clock) if found.format == "dezi" else None
        certificates = await self._check_signature(found) if found.signed is not None else ()
        refs = tuple(status.refs_of(found))
        await asyncio.gather(*(self._checker.check(ref) for ref in refs))
        return Evidence(refs, certificates, found.expires, statement)

    async def _check_signature(self, found: Credential) -> tuple[str, ...]:
        assert found.signed is not None  # noqa: S101 - the caller saw it
        key = await self._resolver.key(found.signed, found.issuer)
        try:
            jose.verify(found.signed, key)
        except ValueError as error:
            raise Refused(CREDENTIAL_SIGNATURE, f"the {found.type[:60]}: {error}") from error
        if not found.issuer.startswith("did:x509:"):
            return ()
        chain = did_x509.read_chain(found.signed.header["x5c"])
        shapes.check_x509(found, chain[0])
        return did_x509.names_of(chain)
