"""How the requests of live grants, of the login pages and of OpenID Connect are made: what `Requests` calls for authorization."""

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from proeftuin.tokens.dpop import digest
from tests.unit.events.expected import ROUTES
from tests.unit.events.hops import Hop

if TYPE_CHECKING:
    from tests.unit.events.requests import Request, Requests

VERIFIER = "v" * 43


async def add(requests: "Requests", hospital: str, portal: str, holder: str, client: str) -> None:
    """Say how each request is made."""
    issuer, system = requests.issuer, requests.systems[portal]
    statement = await system.log_in("identity-clients", client=client)
    token = await system.token(issuer, issuer, "patient/Grant.rd", patient=client, purpose="PATRQT", id_token=statement)
    root = "/oauth2/{party}"
    own = f"{root}/client/grants"
    form = {"token": requests.tokens["care"]}
    extended = "introspect_extended"
    requests._add("authorization", "POST", f"{root}/{extended}", holder, holder, f"{issuer}/{extended}", (client,), form=form)
    for caller in (hospital, holder):
        requests._add("authorization", "GET", f"{root}/grants", caller, holder, f"{issuer}/grants")
    requests._add("authorization", "GET", own, portal, holder, f"{issuer}/client/grants", (client,), token=token)
    ended = {"kind": "consent", "id": "Consent/unknown"}
    for caller in ("toestemmingsregister", holder):
        requests._add("authorization", "POST", f"{root}/ended", caller, holder, f"{issuer}/ended", content=ended)
    requests._add("authorization", "POST", f"{root}/keys", holder, holder, f"{issuer}/keys")
    configuration = "/.well-known/openid-configuration"
    requests._add("authorization", "GET", root + configuration, hospital, holder, issuer + configuration)

    async def end(party: str, path: str, **sent: Any) -> "Request":
        jti = jti_of(await requests._care_token())
        await requests.network.events()
        about = (client,) if "token" in sent else ()
        hop = Hop(ROUTES["authorization"]["DELETE", root + path + "/{jti}"], party, holder, about)
        return requests.request(party, "DELETE", f"{issuer}{path}/{jti}", [hop], sent, about)

    requests._add_made("authorization", "DELETE", f"{root}/grants/{{jti}}", lambda: end(hospital, "/grants"))
    requests._add_made("authorization", "DELETE", f"{own}/{{jti}}", lambda: end(portal, "/client/grants", token=token))
    _logins(requests, hospital, root)


def _logins(requests: "Requests", hospital: str, root: str) -> None:
    provider, system = requests.addresses.identity_professionals, requests.systems[hospital]
    registered = json.loads(requests.network.home.client_file(hospital).read_text())
    asked = {
        "response_type": "code", "client_id": system.party.client_id, "redirect_uri": registered["redirect_uris"][0],
        "scope": "openid", "code_challenge": digest(VERIFIER), "code_challenge_method": "S256",
    }  # fmt: skip
    page = f"{provider}/authorize?{urlencode(asked)}"
    requests._add("authorization", "POST", f"{root}/par", hospital, "cibg", f"{provider}/par", form=asked)
    requests._add("authorization", "GET", f"{root}/authorize", hospital, "cibg", page)

    async def opened() -> dict[str, str]:
        body = (await system.client.peers.request("GET", page)).body.decode()
        (login,) = re.findall(r'name="login" value="([^"]+)"', body)
        return {"login": login, "person": requests.nurse}

    async def log_in() -> "Request":
        form = await opened()
        hop = Hop(ROUTES["authorization"]["POST", f"{root}/authorize"], hospital, "cibg")
        return requests.request(hospital, "POST", f"{provider}/authorize", [hop], {"form": form})

    async def look() -> "Request":
        back = await system.client.peers.request("POST", f"{provider}/authorize", form=await opened())
        (code,) = parse_qs(urlsplit(back.headers["Location"]).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        form |= {name: asked[name] for name in ("client_id", "redirect_uri")}
        token = (await system.client.peers.request("POST", f"{provider}/token", form=form)).json()["access_token"]
        await requests.network.events()
        hop = Hop(ROUTES["authorization"]["GET", f"{root}/userinfo"], hospital, "cibg")
        return requests.request(hospital, "GET", f"{provider}/userinfo", [hop], {"token": token})

    requests._add_made("authorization", "POST", f"{root}/authorize", log_in)
    requests._add_made("authorization", "GET", f"{root}/userinfo", look)


def jti_of(token: str) -> str:
    """Return the id of an access token."""
    return str(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["jti"])
