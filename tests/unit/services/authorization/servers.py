"""Authorization servers under test: the national one, the identity provider of professionals and that of a nursing home, in one.

Consent is stood in for at the nursing home's client; all else is the service's own.
"""

import base64
import json
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.service import Wiring
from proeftuin.tokens import dpop
from proeftuin.tokens.access_token import Confirmation, Grant, Person, issue
from proeftuin.tokens.keys import SigningKeys, public_jwk
from proeftuin.transport.client import Answer
from services.authorization import store
from services.authorization.app import create_app
from services.authorization.grants import GrantRequest
from tests.harness import BASE, Harness

HOSPITAL, PORTAL, HOLDER, THIEF = "ziekenhuis-de-linde", "mijn-dossier", "verpleeghuis-avondrood", "ziekenhuis-oeverzicht"
CONSENT_PARTY = "toestemmingsregister"
CLIENT, OTHER = "999910000", "999918138"
STATION = f"{BASE}/station"
CALLBACK = "https://localhost/callback"
CODE, EXCHANGE = "authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Servers(Harness):
    """`consents` are those on which consent permits everything; none: it denies. `key` is registered for every client."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path, "authorization", ["vws", "cibg", HOLDER])
        tenants = [
            each.model_copy(update={
                "issuer": f"{BASE}/oauth2/{each.party}", "audience": f"{BASE}/oauth2/{each.party}",
                "datastation": STATION if each.party == HOLDER else "",
            })
            for each in self.settings.tenants
        ]  # fmt: skip
        self.clients = tmp_path / "clients"
        self.settings = self.settings.model_copy(update={"tenants": tenants, "clients": self.clients})
        self.key = ec.generate_private_key(ec.SECP256R1())
        for party in (HOSPITAL, PORTAL, THIEF):
            self.register(party, redirect_uris=[CALLBACK], jwks={"keys": [public_jwk(self.key.public_key())]})
        self.app = create_app(self.settings, Wiring(self.clock, None, self.wiring.delivery))
        self.consents = ["Consent/1"]
        for tenant in self.app.state.service.tenants.values():
            tenant.client.request = self._consent

    async def _consent(self, _method: str, url: str, **sent: Any) -> Answer:
        outcome, reason = ("permit", None) if self.consents else ("deny", "no_consent")
        contents: dict[str, Any] = {
            "token": {"access_token": "of no use here", "expires_in": 60},
            "decisions": {"decisions": [{"category": each, "outcome": outcome, "reason": reason, "consent": self.consents}
                                        for each in sent.get("content", {}).get("categories", [])]},
        }  # fmt: skip
        return Answer(200, {}, json.dumps(contents[url.rpartition("/")[2]]).encode())

    def register(self, party: str, **document: Any) -> None:
        self.clients.mkdir(exist_ok=True)
        (self.clients / f"{party}.json").write_text(json.dumps({"client_id": self.seed.party(party).client_id} | document))

    async def post(
        self, path: str, form: dict[str, Any], party: str = HOSPITAL, *, at: str = "vws", headers: Any = None
    ) -> httpx.Response:
        data = {name: value for name, value in form.items() if value is not None}
        return await self.call("POST", f"/oauth2/{at}/{path}", party=party, data=data, headers=headers)

    async def ask(self, party: str = HOSPITAL, /, *, at: str = "vws", headers: Any = None, **changes: str | None) -> httpx.Response:
        """Ask a token: by default a hospital's for localization, by client credentials."""
        form = {
            "grant_type": "client_credentials", "client_id": self.peer(party).client_id, "scope": "nvi:localize", "resource": BASE,
        } | changes  # fmt: skip
        return await self.post("token", form, party, at=at, headers=headers)

    async def log_in(self, party: str = HOSPITAL, at: str = "cibg", **who: str) -> httpx.Response:
        return await self.post("login", {"client_id": self.peer(party).client_id} | who, party, at=at)

    async def nurse(self) -> str:
        """Return an identity statement on a professional of the hospital who may see everything."""
        found = next(each for each in self.seed.professionals if each.employer == HOSPITAL and each.role.startswith(("01", "30")))
        return str((await self.log_in(professional=found.uzi)).json()["id_token"])

    async def records(self, scope: str = "patient/Patient.rs patient/Condition.rs", **changes: str | None) -> httpx.Response:
        """Ask the nursing home a token for the records of one client, as a nurse of the hospital."""
        form = {
            "scope": scope, "resource": STATION, "authorization_details": details(), "id_token": await self.nurse(),
        } | changes  # fmt: skip
        return await self.ask(at=HOLDER, **form)

    async def forged(self, party: str, at: str, scope: str, patient: str | None = None, person: Person | None = None) -> str:
        """Return a stored token as no door would give it."""
        tenant, peer = self.app.state.service.tenants[at], self.peer(party)
        bound = Confirmation("x5t#S256", peer.thumbprint)
        grant = Grant(peer.client_id, f"{BASE}/oauth2/{at}", frozenset({scope}), bound, 60, patient, person)
        token = issue(SigningKeys(tenant.secrets / "signing", self.clock), grant.audience, grant, self.clock)
        asked = GrantRequest("test", self.seed.party(party), bound, (scope,), grant.audience)
        await tenant.database.write(store.add, token, asked, [], 0, b"", "law")
        return token.raw

    async def introspect(self, token: str, at: str = "vws", path: str = "introspect") -> dict[str, Any]:
        found: dict[str, Any] = (await self.post(path, {"token": token}, at, at=at)).json()
        return found

    async def active(self, token: str, at: str = "vws") -> bool:
        return bool((await self.introspect(token, at))["active"])

    def proof(self, url: str, method: str = "POST", key: ec.EllipticCurvePrivateKey | None = None, **rest: Any) -> dict[str, str]:
        return {"DPoP": dpop.make(key or self.key, method, url, self.clock.now(), **rest)}

    def assertion(
        self,
        party: str = HOSPITAL,
        at: str = "vws",
        key: Any = None,
        kid: str | None = "",
        alg: str = "ES256",
        **changes: Any,
    ) -> dict[str, str]:
        """Return the form members of private_key_jwt; with None a claim, or the kid, is left out."""
        client_id, now = self.peer(party).client_id, int(self.clock.now().timestamp())
        claims = {
            "iss": client_id, "sub": client_id, "aud": f"{BASE}/oauth2/{at}", "iat": now, "exp": now + 60,
            "jti": secrets.token_hex(8),
        } | changes  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {} if kid is None else {"kid": kid or public_jwk(self.key.public_key())["kid"]}
        signed = jwt.encode(claims, self.key if key is None else key, algorithm=alg, headers=headers)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}

    def authorization(self, party: str = HOSPITAL, **changes: str | None) -> dict[str, str]:
        form = {
            "response_type": "code", "client_id": self.peer(party).client_id, "redirect_uri": CALLBACK, "scope": "openid",
            "state": "s1", "nonce": "n1", "code_challenge": dpop.digest("v" * 43), "code_challenge_method": "S256",
        } | changes  # fmt: skip
        return {name: value for name, value in form.items() if value is not None}

    async def page(self, party: str = HOSPITAL, at: str = "cibg", **changes: str | None) -> httpx.Response:
        """Open the login page, as the browser of a party."""
        return await self.call("GET", f"/oauth2/{at}/authorize", party=party, params=self.authorization(party, **changes))

    async def choose(self, page: httpx.Response, party: str = HOSPITAL, at: str = "cibg", **form: str) -> httpx.Response:
        """Choose the first person on a login page, or what `form` says."""
        (handle,) = re.findall(r'name="login" value="([^"]+)"', page.text)
        person = re.findall(r'name="person" value="([^"]+)"', page.text)[0]
        return await self.post("authorize", {"login": handle} | (form or {"person": person}), party, at=at)

    async def code(self, party: str = HOSPITAL, at: str = "cibg", **changes: str | None) -> str:
        answer = await self.choose(await self.page(party, at, **changes), party, at)
        return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]

    async def redeem(
        self, code: str, party: str = HOSPITAL, at: str = "cibg", headers: Any = None, **changes: str | None
    ) -> httpx.Response:
        form = {
            "grant_type": CODE, "client_id": self.peer(party).client_id, "code": code, "redirect_uri": CALLBACK,
            "code_verifier": "v" * 43,
        } | changes  # fmt: skip
        return await self.post("token", form, party, at=at, headers=headers)


def details(bsn: str = CLIENT, **changes: Any) -> str:
    content = {"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": bsn}, "purpose_of_use": "TREAT"} | changes
    return json.dumps([{name: value for name, value in content.items() if value is not None}])


def claims_of(raw: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(raw.split(".")[1] + "=="))
    return found
