"""Filling the wallets through their own doors: each party gets the credentials that its place in parties.toml entitles it to."""

import asyncio
from typing import Any

from proeftuin.credentials.credential import read
from proeftuin.credentials.dids import web_did
from proeftuin.parties import KINDS, VENDOR, Party
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.home import Home


class Wallets:
    """The wallets of a network, each called by the system of its own party; `register` is the system of who states types."""

    def __init__(self, home: Home, register: CareSystem) -> None:
        self._topology = home.topology
        self._register = register

    def did(self, party: Party) -> str:
        """Return the DID of a party."""
        return web_did(self._topology.wallet(party.id))

    async def held(self, system: CareSystem) -> list[dict[str, Any]]:
        """Return what a party holds."""
        found: list[dict[str, Any]] = await self._call(system, "list the credentials", "GET", "holder/vc")
        return found

    async def issue(self, system: CareSystem, kind: str, subject: dict[str, Any] | None = None) -> str:
        """Have a party issue a credential; returns it."""
        content = {"type": kind} | ({"credentialSubject": subject} if subject else {})
        return str(await self._call(system, f"issue a {kind}", "POST", "issuer/vc", content=content))

    async def revoke(self, system: CareSystem, credential_id: str) -> None:
        """Have a party revoke what it issued."""
        local = credential_id.rpartition("#")[2]
        await self._call(system, "revoke a credential", "DELETE", f"issuer/vc/{local}")

    async def hold(self, system: CareSystem, raw: str) -> None:
        """Load a credential into the wallet of a party."""
        await self._call(system, "load a credential", "POST", "holder/vc", content=raw)

    async def offer(self, issuer: CareSystem, holder: CareSystem, subjects: dict[str, dict[str, Any]]) -> None:
        """Have a party offer credentials, by type, which the wallet of another accepts and fetches (OpenID4VCI 1.0)."""
        wanted = [{"type": kind, "credentialSubject": subject} for kind, subject in subjects.items()]
        content = {"client_id": holder.party.client_id, "credentials": wanted}
        offered = await self._call(issuer, "offer credentials", "POST", "issuer/offers", content=content)
        accepted = {"credential_offer_uri": offered["credential_offer_uri"]}
        await self._call(holder, "accept credentials", "POST", "holder/offers", content=accepted)

    async def provide(self, system: CareSystem) -> None:
        """Give a care provider or a vendor what it lacks, or what says something else by now; to do it twice changes nothing."""
        party, did = system.party, self.did(system.party)
        known = {each["type"]: read(each["raw"]).claims for each in reversed(await self.held(system))}  # the newest counts
        if party.is_care_provider:
            place = party.city or "onbekend"
            if known.get("X509Credential", {}).get("subject") != {"O": party.name, "L": place}:
                await self.hold(system, await self.issue(system, "X509Credential"))
            organization = {"ura": party.ura, "name": party.name, "city": place}
            stated: dict[str, dict[str, Any]] = {
                "NutsUraCredential": {"organization": organization},
                "HealthcareProviderRoleTypeCredential": {"roleCodeNL": KINDS[party.kind].nictiz},
            }
        else:
            stated = {"ServiceProviderCredential": {"name": party.name, "identifier": party.client_id}}
        said = {kind: {"id": did} | subject for kind, subject in stated.items()}
        if lacking := {kind: subject for kind, subject in said.items() if known.get(kind) != subject}:
            await self.offer(self._register, system, lacking)

    async def delegate(self, provider: CareSystem, vendor: CareSystem) -> None:
        """Have a care provider let the vendor that hosts it ask in its name; to do it twice changes nothing."""
        issuers = {each["issuer"] for each in await self.held(vendor) if each["type"] == "ServiceProviderDelegationCredential"}
        if self.did(provider.party) not in issuers:
            subject = {"id": self.did(vendor.party), "delegatedBy": self.did(provider.party)}
            await self.offer(provider, vendor, {"ServiceProviderDelegationCredential": subject})

    async def _call(self, system: CareSystem, what: str, method: str, path: str, **rest: Any) -> Any:  # noqa: ANN401 - JSON is any
        return await system.get(what, "wallet", method, f"{self._topology.wallet(system.party.id)}/{path}", **rest)


async def provide(wallets: Wallets, systems: dict[str, CareSystem]) -> None:
    """Fill the wallets of the parties whose systems these are: care providers, and the vendors that host them."""
    await asyncio.gather(*(wallets.provide(each) for each in systems.values()))
    for system in systems.values():  # one after the other: a vendor's wallet is asked what it holds
        host = system.party.hosted_by
        if host in systems:
            await wallets.delegate(system, systems[host])


def owners(home: Home) -> list[Party]:
    """Return the parties that get credentials: care providers, and vendors that host one."""
    parties = home.seed.parties
    hosts = {party.hosted_by for party in parties if party.is_care_provider}
    return [party for party in parties if party.is_care_provider or (party.kind == VENDOR and party.id in hosts)]
