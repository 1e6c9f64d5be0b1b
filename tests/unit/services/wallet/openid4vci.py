"""The steps of the pre-authorized code flow of OpenID4VCI 1.0, for the tests of both its ends."""

import json
import re
from typing import Any

import httpx

from proeftuin.credentials import jose, key_proof, openid4vci
from proeftuin.tokens.keys import SigningKeys
from tests.harness import BASE
from tests.unit.services.wallet.test_wallet import HOSPITAL, JSON, REGISTER, Wallets

ISSUER = f"{BASE}/iam/{REGISTER}"
KIND = "HealthcareProviderRoleTypeCredential"
GRANT = openid4vci.GRANT_TYPE
DESCRIPTION = re.compile(r"[ !#-\[\]-~]*")  # what RFC 6749 §5.2 lets an error_description hold


class Flow:
    """The steps of the pre-authorized code flow, as the hospital takes them at the register unless a test changes something."""

    def __init__(self, wallets: Wallets) -> None:
        self.wallets = wallets
        tenants = {each.party: each for each in wallets.settings.tenants}
        self.keys = SigningKeys(tenants[HOSPITAL].folder / "keys" / "did", wallets.clock, retired=86400.0 * 366)
        self.did = wallets.did(HOSPITAL)

    def client_id(self, party: str = HOSPITAL) -> str:
        return self.wallets.seed.party(party).client_id

    async def offer(self, *kinds: str, tx_code: bool = False, **changes: Any) -> Any:
        subjects = {
            KIND: {"id": self.did, "roleCodeNL": "V4"},
            "NutsUraCredential": {"id": self.did, "organization": {"ura": "90000101", "name": "De Linde", "city": "Linde"}},
        }
        content = {"client_id": self.client_id(), "tx_code": tx_code} | {
            "credentials": [{"type": kind, "credentialSubject": subjects[kind]} for kind in kinds or (KIND,)]
        }
        answer = await self.wallets.send("POST", REGISTER, "issuer/offers", content | changes)
        return answer.json() | {"status": answer.status_code}

    async def code(self, **rest: Any) -> str:
        return code_of(await self.offer(**rest))

    async def token(self, code: str, by: str = HOSPITAL, **changes: Any) -> httpx.Response:
        form = {"grant_type": GRANT, "pre-authorized_code": code, "client_id": self.client_id(by)} | changes
        sent = {name: value for name, value in form.items() if value is not None}
        return await self.wallets.call("POST", f"/iam/{REGISTER}/token", party=by, data=sent)

    async def access(self, *kinds: str) -> str:
        return str((await self.token(code_of(await self.offer(*kinds)))).json()["access_token"])

    async def nonce(self) -> str:
        answer = await self.wallets.send("POST", REGISTER, "nonce", by=HOSPITAL)
        assert answer.headers["Cache-Control"] == "no-store"
        return str(answer.json()["c_nonce"])

    async def proof(self, header: dict[str, Any] | None = None, keys: SigningKeys | None = None, **changes: Any) -> str:
        claims = {"aud": ISSUER, "iat": int(self.wallets.clock.now().timestamp())}
        claims |= {"nonce": changes["nonce"] if "nonce" in changes else await self.nonce()} | changes
        kid, key, _ = (keys or self.keys)._private[-1]
        members = {"typ": key_proof.MEDIA_TYPE} | ({"kid": f"{self.did}#{kid}"} if header is None else header)
        return jose.sign({name: value for name, value in claims.items() if value is not None}, key, "ES256", **members)

    async def credential(self, token: str, proof: Any, by: str = HOSPITAL, **changes: Any) -> httpx.Response:
        content = {"credential_configuration_id": KIND, "proofs": {"jwt": [proof]}} | changes
        body = json.dumps({name: value for name, value in content.items() if value is not None}).encode()
        return await self.wallets.call("POST", f"/iam/{REGISTER}/credential", party=by, token=token, content=body, headers=JSON)

    async def accept(self, by: str = HOSPITAL, **asked: Any) -> httpx.Response:
        return await self.wallets.send("POST", by, "holder/offers", asked)


def code_of(offer: Any) -> str:
    return str(offer["credential_offer"]["grants"][GRANT]["pre-authorized_code"])
