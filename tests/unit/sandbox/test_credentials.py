"""The wallets follow the network file: what a credential says is what stands there now."""

from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin import parties
from proeftuin.clock import SystemClock
from proeftuin.credentials.credential import claims_of, new_document
from proeftuin.parties import Party
from proeftuin.sandbox.credentials import Wallets
from tests.harness import PARTIES

pytestmark = pytest.mark.anyio
DID, REGISTER = "did:web:localhost%3A1:iam:x", "did:web:localhost%3A1:iam:register"
KEY = ec.generate_private_key(ec.SECP256R1())
ALL = ["X509Credential", "NutsUraCredential", "HealthcareProviderRoleTypeCredential"]


class System:
    """The system of a party."""

    def __init__(self, party: Party) -> None:
        self.party = party


class Wallet(Wallets):
    """One wallet, without the service before it; `asked` is what was issued."""

    def __init__(self) -> None:
        self._register: Any = None
        self.kept: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def did(self, party: Party) -> str:
        return DID

    async def held(self, system: Any) -> list[dict[str, Any]]:
        return self.kept[::-1]

    async def issue(self, system: Any, kind: str, subject: dict[str, Any] | None = None) -> str:
        self.asked.append(kind)
        party: Any = system.party if system else None
        said = subject or {"id": DID, "subject": {"O": party.name, "L": party.city or "onbekend"}}
        document = new_document(REGISTER, said, kind, [], (SystemClock().now(), None))
        return jwt.encode(claims_of(document), KEY, algorithm="ES256", headers={"typ": "JWT", "kid": f"{REGISTER}#0"})

    async def offer(self, issuer: Any, holder: Any, subjects: dict[str, dict[str, Any]]) -> None:
        for kind, subject in subjects.items():
            await self.hold(holder, await self.issue(issuer, kind, subject))

    async def hold(self, system: Any, raw: str) -> None:
        self.kept.append({"type": self.asked[-1], "raw": raw})


async def test_a_wallet_gets_anew_what_the_network_file_says_otherwise_and_nothing_else() -> None:
    party = next(each for each in parties.load(PARTIES).parties if each.is_care_provider)
    wallet = Wallet()
    for change, issued in (
        (replace(party, city=None), ALL), (replace(party, city=None), []), (party, ALL[:2]), (party, []),
        (replace(party, kind="thuiszorg"), ALL[2:]),
    ):  # fmt: skip
        system: Any = System(change)
        await wallet.provide(system)
        assert wallet.asked == issued
        wallet.asked.clear()
