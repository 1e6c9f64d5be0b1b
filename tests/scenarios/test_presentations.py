"""A hospital gets a token at a nursing home by what its wallet presents, and reads a record; with the credential the token dies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.credentials import Wallets
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from proeftuin.sandbox.topology import only
from proeftuin.tokens.presented import Holder, jwt_bearer, vp_token
from proeftuin.transport.client import Answer
from tests.contract.proofs import proves

pytestmark = pytest.mark.anyio
SCOPE = "zorginzage patient/Patient.rs patient/Condition.rs system/unknown"


@dataclass
class Cast:
    """Who plays: the hospital that asks, the vendor, the register, and where the client's data is."""

    home: Home
    hospital: CareSystem
    vendor: CareSystem
    register: CareSystem
    wallets: Wallets
    holder: str
    client: str
    nurse: str

    @property
    def issuer(self) -> str:
        return self.home.topology.issuer(self.holder)

    def wallet(self, system: CareSystem) -> Holder:
        return Holder(self.home.topology.wallet(system.party.id), system.client)

    @property
    def details(self) -> list[dict[str, Any]]:
        return [{"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": self.client}, "purpose_of_use": "TREAT"}]

    async def statement(self) -> str:
        return await self.hospital.log_in("identity-professionals", professional=self.nurse)

    async def ask(self) -> Answer:
        client_id = self.home.topology.issuer(self.hospital.party.id)  # in RFC021 a client's id is its own issuer
        return await vp_token(
            self.wallet(self.hospital), self.issuer, SCOPE, client_id,
            id_token=await self.statement(), authorization_details=self.details,
        )  # fmt: skip

    async def read(self, token: str, by: CareSystem | None = None) -> Answer:
        url = f"{self.home.topology.datastation(self.holder)}/fhir/Condition"
        return await (by or self.hospital).client.request("GET", url, token=token)


@pytest.fixture
async def played(network: Home) -> AsyncIterator[Cast]:
    parts = cast(network.seed)
    hospital, register = care_system(network, parts.hospital.id), care_system(network, only(network.seed, "register"))
    vendor = care_system(network, "zorgsoft")
    await hospital.discover()
    wallets = Wallets(network, register)
    nurse = next(
        each.uzi for each in network.seed.professionals if each.employer == parts.hospital.id and each.role.startswith("30")
    )
    yield Cast(network, hospital, vendor, register, wallets, parts.holder.id, parts.client, nurse)
    await asyncio.gather(hospital.close(), register.close(), vendor.close())


@proves("nuts 2.3: status")
async def test_a_presentation_opens_a_record_and_a_revoked_credential_closes_it_at_once(played: Cast) -> None:
    answer = await played.ask()
    assert answer.status == 200, answer.body
    assert answer.json()["scope"] == "patient/Condition.rs patient/Patient.rs zorginzage"  # what is unknown was dropped (dynamic)
    token = answer.json()["access_token"]
    assert (await played.read(token)).status == 200
    (kind,) = [
        each for each in await played.wallets.held(played.hospital) if each["type"] == "HealthcareProviderRoleTypeCredential"
    ]
    await played.wallets.revoke(played.register, kind["id"])
    try:
        refused = await played.read(token)
        assert (refused.status, refused.headers["X-Reason"]) == (401, "token_revoked")
        again = await played.ask()
        assert (again.status, again.json()["error"], again.json()["reason"]) == (400, "invalid_request", "credential_revoked")
    finally:
        url = f"{played.home.topology.wallet(played.hospital.party.id)}/holder/vc/{kind['id'].rpartition('#')[2]}"
        assert (await played.hospital.client.request("DELETE", url)).status == 204
        await played.wallets.provide(played.hospital)  # a new one, as the register would give
    assert (await played.ask()).status == 200


async def test_a_vendor_asks_for_the_hospital_that_lets_it(played: Cast) -> None:
    holder, vendor = played.wallet(played.hospital), played.wallet(played.vendor)
    await played.wallets.delegate(played.hospital, played.vendor)
    answer = await jwt_bearer(
        holder, vendor, played.issuer, SCOPE, id_token=await played.statement(), authorization_details=played.details
    )
    assert answer.status == 200, answer.body
    token = answer.json()["access_token"]
    assert (await played.read(token, played.vendor)).status == 200
    stolen = await played.read(token)
    assert stolen.headers["X-Reason"] == "token_binding"
    issued = await played.hospital.get("", "wallet", "GET", f"{holder.wallet}/issuer/vc?type=ServiceProviderDelegationCredential")
    await played.wallets.revoke(played.hospital, issued[0]["id"])
    assert (await played.read(token, played.vendor)).headers["X-Reason"] == "token_revoked"
