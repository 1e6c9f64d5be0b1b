"""How the requests of wallets, and of who asks what to present, are made: what `Requests` calls for them."""

from typing import TYPE_CHECKING, Any

from proeftuin.credentials import credential
from proeftuin.credentials.dids import web_did
from tests.unit.events.expected import ROUTES
from tests.unit.events.hops import Hop

if TYPE_CHECKING:
    from tests.unit.events.requests import Request, Requests

ROOT = "/iam/{party}"


def add(requests: "Requests", hospital: str, holder: str) -> None:
    """Say how each request is made; the wallet is the holder's, and it uses it itself."""
    topology = requests.network.home.topology
    base, client = topology.wallet(holder), requests.systems[holder].client
    for path in ("/.well-known/oauth-authorization-server", "/oauth-client"):
        requests._add("authorization", "GET", f"/oauth2/{{party}}{path}", hospital, holder, requests.issuer + path)
    asked = f"{requests.issuer}/presentation_definition?scope=zorginzage"
    requests._add("authorization", "GET", "/oauth2/{party}/presentation_definition", hospital, holder, asked)
    requests._add("wallet", "GET", f"{ROOT}/did.json", hospital, holder, f"{base}/did.json")
    for path in ("/issuer/vc", "/holder/vc"):
        requests._add("wallet", "GET", ROOT + path, holder, holder, base + path)
    delegation = {
        "type": "ServiceProviderDelegationCredential",
        "credentialSubject": {"id": web_did(topology.wallet("zorgsoft")), "delegatedBy": web_did(base)},
    }
    requests._add("wallet", "POST", f"{ROOT}/issuer/vc", holder, holder, f"{base}/issuer/vc", content=delegation)

    async def issued(content: dict[str, Any]) -> str:
        answer = await client.request("POST", f"{base}/issuer/vc", content=content)
        assert answer.status == 201, answer.body
        await requests.network.events()
        return str(answer.json())

    async def held() -> str:
        raw = await issued({"type": "X509Credential"})
        assert (await client.request("POST", f"{base}/holder/vc", content=raw)).status == 204
        await requests.network.events()
        return raw

    def request(method: str, path: str, variable: str = "", party: str = holder, **sent: Any) -> "Request":
        hop = Hop(ROUTES["wallet"][method, ROOT + path + ("/{credential_id}" if variable else "")], party, holder)
        return requests.request(party, method, base + path + variable, [hop], sent)

    async def status_list() -> "Request":
        found = credential.read(await issued(delegation))
        path, hop = f"{ROOT}/status/{{dialect}}/{{page}}", Hop(None, hospital, holder)
        assert ROUTES["wallet"]["GET", path] is None
        return requests.request(hospital, "GET", str(found.status[0]["statusListCredential"]), [hop], {})

    async def revoke() -> "Request":
        return request("DELETE", "/issuer/vc", f"/{_local(await issued(delegation))}")

    async def hold() -> "Request":
        return request("POST", "/holder/vc", content=await issued({"type": "X509Credential"}))

    async def drop() -> "Request":
        return request("DELETE", "/holder/vc", f"/{_local(await held())}")

    async def present() -> "Request":
        await held()
        return request("POST", "/holder/vp", content={"audience": requests.issuer, "types": ["X509Credential"]})

    for method, path, make in (
        ("GET", "/status/{dialect}/{page}", status_list), ("DELETE", "/issuer/vc/{credential_id}", revoke),
        ("POST", "/holder/vc", hold), ("DELETE", "/holder/vc/{credential_id}", drop), ("POST", "/holder/vp", present),
    ):  # fmt: skip
        requests._add_made("wallet", method, ROOT + path, make)


def _local(raw: str) -> str:
    return credential.read(raw).id.rpartition("#")[2]
