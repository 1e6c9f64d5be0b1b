"""How the requests of wallets, and of who asks what to present, are made: what `Requests` calls for them."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from proeftuin.credentials import credential, key_proof, openid4vci
from proeftuin.credentials.dids import web_did
from proeftuin.tokens.keys import SigningKeys
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

    offering = openid4vci.well_known("openid-credential-issuer", base), openid4vci.well_known("oauth-authorization-server", base)
    for url in offering:
        path = urlsplit(url).path.replace(holder, "{party}")
        requests._add("wallet", "GET", path, hospital, holder, url)
    requests._add("wallet", "POST", f"{ROOT}/nonce", hospital, holder, f"{base}/nonce")
    seed = requests.network.home.seed
    delegation_offer = {"client_id": seed.party("zorgsoft").client_id, "credentials": [delegation]}
    requests._add("wallet", "POST", f"{ROOT}/issuer/offers", holder, holder, f"{base}/issuer/offers", content=delegation_offer)

    async def offered(by: str, content: dict[str, Any]) -> dict[str, Any]:
        answer = await requests.systems[by].client.request("POST", f"{topology.wallet(by)}/issuer/offers", content=content)
        assert answer.status == 201, answer.body
        await requests.network.events()
        found: dict[str, Any] = answer.json()["credential_offer"]
        return found | {"uri": answer.json()["credential_offer_uri"]}

    def form(offer: dict[str, Any]) -> dict[str, str]:
        code = offer["grants"][openid4vci.GRANT_TYPE]["pre-authorized_code"]
        client_id = seed.party(hospital).client_id
        return {"grant_type": openid4vci.GRANT_TYPE, "pre-authorized_code": code, "client_id": client_id}

    async def to_the_hospital() -> dict[str, Any]:
        subject = delegation["credentialSubject"] | {"id": web_did(topology.wallet(hospital))}  # type: ignore[operator] # it is one
        return await offered(
            holder, {"client_id": seed.party(hospital).client_id, "credentials": [delegation | {"credentialSubject": subject}]}
        )

    async def referred() -> "Request":
        return requests.request(hospital, "GET", (await to_the_hospital())["uri"], [Hop(None, hospital, holder)], {})

    async def token() -> "Request":
        sent = {"form": form(await to_the_hospital())}
        hop = Hop(ROUTES["wallet"]["POST", f"{ROOT}/token"], hospital, holder)
        return requests.request(hospital, "POST", f"{base}/token", [hop], sent)

    async def fetched() -> "Request":
        client = requests.systems[hospital].client
        given = await client.request("POST", f"{base}/token", form=form(await to_the_hospital()))
        nonce = (await client.request("POST", f"{base}/nonce")).json()["c_nonce"]
        service = requests.network.services[requests.network.instance("wallet", hospital).name]
        tenant = service.tenants[hospital]
        keys, did = SigningKeys(tenant.secrets / "did", tenant.clock, retired=1e9), web_did(topology.wallet(hospital))
        proof = key_proof.make(keys, did, base, nonce, tenant.party.client_id, tenant.clock)
        content = {"credential_configuration_id": delegation["type"], "proofs": {"jwt": [proof]}}
        await requests.network.events()
        hop = Hop(ROUTES["wallet"]["POST", f"{ROOT}/credential"], hospital, holder)
        sent = {"content": content, "token": given.json()["access_token"]}
        return requests.request(hospital, "POST", f"{base}/credential", [hop], sent)

    async def accept() -> "Request":
        register, party = "cibg", seed.party(holder)
        organization = {"ura": party.ura, "name": party.name, "city": "Linde"}
        subject = {"id": web_did(base), "organization": organization}
        stated = {"type": "NutsUraCredential", "credentialSubject": subject}
        offer = await offered(register, {"client_id": party.client_id, "credentials": [stated]})
        rows = ROUTES["wallet"]
        hops = [Hop(rows["POST", f"{ROOT}/{path}"], holder, register) for path in ("token", "credential")]
        hop = Hop(rows["POST", f"{ROOT}/holder/offers"], holder, holder)
        sent = {"content": {"credential_offer_uri": offer["uri"]}}
        return requests.request(holder, "POST", f"{base}/holder/offers", [hop, *hops], sent)

    for method, path, make in (
        ("GET", "/offers/{offer_id}", referred), ("POST", "/token", token), ("POST", "/credential", fetched),
        ("POST", "/holder/offers", accept), ("GET", "/status/{dialect}/{page}", status_list), ("DELETE", "/issuer/vc/{credential_id}", revoke),
        ("POST", "/holder/vc", hold), ("DELETE", "/holder/vc/{credential_id}", drop), ("POST", "/holder/vp", present),
    ):  # fmt: skip
        requests._add_made("wallet", method, ROOT + path, make)


def _local(raw: str) -> str:
    return credential.read(raw).id.rpartition("#")[2]
