"""A tenant: one party in one service, with its own database, keys, certificate, audience and outbox."""

from dataclasses import dataclass
from pathlib import Path

from proeftuin.audit.calling import Caller
from proeftuin.audit.outbox import Courier
from proeftuin.audit.record import System
from proeftuin.clock import Clock
from proeftuin.parties import Party
from proeftuin.storage.database import Database
from proeftuin.tokens.access_token import TokenVerifier
from proeftuin.tokens.client import TokenClient
from proeftuin.tokens.dpop import Nonces


@dataclass(slots=True)
class Tenant:
    """Everything that belongs to one party in one service.

    `audience` is the service's base address for this party (RFC 8707 resource). `client` calls others with the party's
    certificate and logs that, `tokens` gets the party's tokens for national services, `secrets` is the folder of its private keys,
    `nonces` are for proofs of possession (RFC 9449 §8).
    """

    party: Party
    service: str
    audience: str
    secrets: Path
    clock: Clock
    database: Database
    verifier: TokenVerifier
    client: Caller
    tokens: TokenClient
    courier: Courier
    nonces: Nonces

    @property
    def system(self) -> System:
        """This tenant as an end of an exchange, for audit events."""
        return System(self.party.identifiers[0], self.party.name, self.audience)
