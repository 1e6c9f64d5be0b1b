"""Verifies a presentation and every credential in it: keys, times, shapes, status. Whom to trust is the definition's to say."""

import asyncio
import json
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
    """What can end after a presentation was accepted: status list entries, certificates (issuer CN, serial) and time.

    `expires` is when the first of the credentials ends (POSIX seconds).
    """

    statuses: tuple[StatusRef, ...] = ()
    certificates: tuple[tuple[str, int], ...] = ()
    expires: int | None = None

    def __add__(self, other: "Evidence") -> "Evidence":
        """Return the evidence of both."""
        ends = [each.expires for each in (self, other) if each.expires is not None]
        return Evidence(self.statuses + other.statuses, self.certificates + other.certificates, min(ends, default=None))

    def to_json(self) -> str:
        """Return it as text to store."""
        statuses = [[each.dialect, each.url, each.index, each.issuer] for each in self.statuses]
        return json.dumps(
            {
                "statuses": statuses,
                "certificates": [[name, f"{serial:x}"] for name, serial in self.certificates],
                "expires": self.expires,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Evidence":
        """Read what `to_json` wrote."""
        found = json.loads(text)
        return cls(
            tuple(StatusRef(*each) for each in found["statuses"]),
            tuple((name, int(serial, 16)) for name, serial in found["certificates"]),
            found["expires"],
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
        presentation.check_time(presented, self._clock.now().timestamp())
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
        if found.format == "dezi":
            await dezi.verify(found, self._providers, self._clock)
        certificates = await self._check_signature(found) if found.signed is not None else ()
        refs = tuple(status.refs_of(found))
        await asyncio.gather(*(self._checker.check(ref) for ref in refs))
        return Evidence(refs, certificates, found.expires)

    async def still_holds(self, evidence: Evidence) -> None:
        """Raise Refused when something behind what was presented earlier was withdrawn since, or that cannot be known."""
        if evidence.certificates:
            did_x509.check_revocation(evidence.certificates, self._trust, self._clock.now())
        await asyncio.gather(*(self._checker.check(ref) for ref in evidence.statuses))

    async def _check_signature(self, found: Credential) -> tuple[tuple[str, int], ...]:
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
        return tuple(did_x509.serials(chain))
