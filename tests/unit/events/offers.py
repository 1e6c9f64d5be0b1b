"""How the requests of OpenID4VCI are made: what `Requests` calls for them. The holder's wallet offers to the hospital's."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from proeftuin.credentials import key_proof, openid4vci
from proeftuin.credentials.dids import web_did
from proeftuin.tokens.keys import SigningKeys
from tests.unit.events.expected import ROUTES
from tests.unit.events.hops import Hop

if TYPE_CHECKING:
    from tests.unit.events.requests import Request, Requests

ROOT, REGISTER = "/iam/{party}", "cibg"
KIND = "ServiceProviderDelegationCredential"


@dataclass
class Offers:
    """Makes each request; nothing of what it needs first is left in the outboxes."""

    requests: "Requests"
    hospital: str
    holder: str

    def add(self) -> None:
        """Say how each request is made."""
        base = self.wallet(self.holder)
        for name in ("openid-credential-issuer", "oauth-authorization-server"):
            url = openid4vci.well_known(name, base)
            path = urlsplit(url).path.replace(self.holder, "{party}")
            self.requests._add("wallet", "GET", path, self.hospital, self.holder, url)
        self.requests._add("wallet", "POST", f"{ROOT}/nonce", self.hospital, self.holder, f"{base}/nonce")
        self.requests._add(
            "wallet", "POST", f"{ROOT}/issuer/offers", self.holder, self.holder, f"{base}/issuer/offers", content=self.delegation()
        )
        for method, path, make in (
            ("GET", "/offers/{offer_id}", self.referred), ("POST", "/token", self.token), ("POST", "/credential", self.fetched),
            ("POST", "/holder/offers", self.accept),
        ):  # fmt: skip
            self.requests._add_made("wallet", method, ROOT + path, make)

    def wallet(self, party: str) -> str:
        return self.requests.network.home.topology.wallet(party)

    def client_id(self, party: str) -> str:
        return self.requests.network.home.seed.party(party).client_id

    def delegation(self) -> dict[str, Any]:
        subject = {"id": web_did(self.wallet(self.hospital)), "delegatedBy": web_did(self.wallet(self.holder))}
        return {"client_id": self.client_id(self.hospital), "credentials": [{"type": KIND, "credentialSubject": subject}]}

    async def offered(self, by: str, content: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """Make an offer; returns its address, and the form that takes it."""
        answer = await self.requests.systems[by].client.request("POST", f"{self.wallet(by)}/issuer/offers", content=content)
        assert answer.status == 201, answer.body
        await self.requests.network.events()
        offer = answer.json()
        code = offer["credential_offer"]["grants"][openid4vci.GRANT_TYPE]["pre-authorized_code"]
        form = {"grant_type": openid4vci.GRANT_TYPE, "pre-authorized_code": code, "client_id": content["client_id"]}
        return str(offer["credential_offer_uri"]), form

    async def referred(self) -> "Request":
        uri, _ = await self.offered(self.holder, self.delegation())
        return self.requests.request(self.hospital, "GET", uri, [Hop(None, self.hospital, self.holder)], {})

    async def token(self) -> "Request":
        _, form = await self.offered(self.holder, self.delegation())
        hop = Hop(ROUTES["wallet"]["POST", f"{ROOT}/token"], self.hospital, self.holder)
        return self.requests.request(self.hospital, "POST", f"{self.wallet(self.holder)}/token", [hop], {"form": form})

    async def fetched(self) -> "Request":
        _, form = await self.offered(self.holder, self.delegation())
        base, client = self.wallet(self.holder), self.requests.systems[self.hospital].client
        token = (await client.request("POST", f"{base}/token", form=form)).json()["access_token"]
        nonce = (await client.request("POST", f"{base}/nonce")).json()["c_nonce"]
        network = self.requests.network
        tenant = network.services[network.instance("wallet", self.hospital).name].tenants[self.hospital]
        keys = SigningKeys(tenant.secrets / "did", tenant.clock, retired=1e9)
        proof = key_proof.make(keys, web_did(self.wallet(self.hospital)), base, nonce, form["client_id"], tenant.clock)
        await network.events()
        sent = {"content": {"credential_configuration_id": KIND, "proofs": {"jwt": [proof]}}, "token": token}
        hop = Hop(ROUTES["wallet"]["POST", f"{ROOT}/credential"], self.hospital, self.holder)
        return self.requests.request(self.hospital, "POST", f"{base}/credential", [hop], sent)

    async def accept(self) -> "Request":
        """The register offers to the holder, whose wallet then makes the calls."""
        party = self.requests.network.home.seed.party(self.holder)
        organization = {"ura": party.ura, "name": party.name, "city": "Linde"}
        stated = {
            "type": "NutsUraCredential",
            "credentialSubject": {"id": web_did(self.wallet(self.holder)), "organization": organization},
        }
        uri, _ = await self.offered(REGISTER, {"client_id": party.client_id, "credentials": [stated]})
        rows = ROUTES["wallet"]
        hops = [Hop(rows["POST", f"{ROOT}/holder/offers"], self.holder, self.holder)]
        hops += [Hop(rows["POST", f"{ROOT}/{path}"], self.holder, REGISTER) for path in ("token", "credential")]
        url = f"{self.wallet(self.holder)}/holder/offers"
        return self.requests.request(self.holder, "POST", url, hops, {"content": {"credential_offer_uri": uri}})
