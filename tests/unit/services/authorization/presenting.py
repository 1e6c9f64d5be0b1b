"""The authorization server of a nursing home at which a hospital presents credentials; network and consent are stood in for."""

import json
from pathlib import Path
from typing import Any

import httpx
import jwt

from proeftuin.credentials import dezi, presentation
from proeftuin.credentials.credential import CONTEXT
from proeftuin.credentials.exchange import definition, matching, submission
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.transport.client import Answer, Unreachable
from services.authorization.app import create_app
from tests.harness import BASE, Harness
from tests.unit.credentials.world import HOSPITAL, HOST, LOGIN, REGISTER, VENDOR, World

HOME, CLIENT = "verpleeghuis-avondrood", "999910000"
ISSUER = f"{BASE}/oauth2/{HOME}"
SCOPE = "zorginzage patient/Condition.rs"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Presenting(Harness):
    """`world` has the parties' keys and credentials; `consent` is what consent says."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path, "authorization", [HOME])
        self.world = World(tmp_path / "world", self.clock, self.authority)
        network = self.settings.network.model_copy(update={"registrar": self.world.did(REGISTER), "identity_professionals": LOGIN})
        tenant = self.settings.tenants[0].model_copy(update={"issuer": ISSUER, "audience": ISSUER, "datastation": f"{BASE}/{HOME}"})
        self.settings = self.settings.model_copy(update={"network": network, "tenants": [tenant]})
        self.consent = "permit"
        self.app = create_app(self.settings, self.wiring)
        metadata = {"issuer": LOGIN, "jwks_uri": f"{LOGIN}/jwks"}
        self.world.web.put(f"{HOST}/.well-known/oauth-authorization-server/oauth2/cibg", metadata)
        self.world.web.put(f"{LOGIN}/jwks", self.world.login.jwks())
        for each in self.app.state.service.tenants.values():
            each.client.request = self._answer

    async def _answer(self, method: str, url: str, **sent: Any) -> Answer:
        if url.startswith(HOST):
            return await self.world.web.request(method, url, **sent)
        contents: dict[str, Any] = {
            "token": {"access_token": "of no use here", "expires_in": 60},
            "decisions": {"decisions": [{"category": each, "outcome": self.consent, "reason": None, "consent": ["Consent/1"]}
                                        for each in sent.get("content", {}).get("categories", [])]},
        }  # fmt: skip
        try:
            return Answer(200, {}, json.dumps(contents[url.rpartition("/")[2]]).encode())
        except KeyError:
            raise Unreachable(f"{method} {url}") from None

    def enrollment(self, bsn: str = CLIENT) -> dict[str, Any]:
        return {
            "@context": [CONTEXT], "type": ["VerifiableCredential", "PatientEnrollmentCredential"],
            "credentialSubject": {"patientId": f"{BSN_SYSTEM}|{bsn}", "registeredBy": "urn:oid:1.2|3"},
        }  # fmt: skip

    def held(self) -> list[Any]:
        """What the hospital presents: who it is, its type, and the nurse."""
        return [self.world.x509_credential(), self.world.issue(), dezi.wrap(self.world.statement(), self.world.did(HOSPITAL))]

    def vp(self, credentials: list[Any] | None = None, by: str = HOSPITAL, **claims: Any) -> str:
        """Return a presentation for the nursing home's server; `claims` change it before it is signed (None: left out)."""
        world = self.world
        raw = presentation.create(
            world.keys[by], world.did(by), self.held() if credentials is None else credentials, ISSUER, self.clock
        )
        if not claims:
            return raw
        changed = jwt.decode(raw, options={"verify_signature": False}) | claims
        return world.keys[by].sign({k: v for k, v in changed.items() if v is not None}, typ="JWT", controller=world.did(by))

    async def definition(self, scope: str = SCOPE, owner: str = "organization") -> Any:
        path = f"/oauth2/{HOME}/presentation_definition"
        return await self.call("GET", path, party=HOSPITAL, params={"scope": scope, "wallet_owner_type": owner})

    async def submission(self, vp: str, scope: str = SCOPE) -> str:
        wanted = definition.read((await self.definition(scope)).json())
        credentials = presentation.read(vp).credentials
        return json.dumps(submission.create(wanted, matching.match(wanted, credentials).chosen, credentials))

    def details(self, bsn: str = CLIENT) -> str:
        return json.dumps([{"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": bsn}}])

    async def ask(
        self, vp: str | None = None, *, party: str = HOSPITAL, headers: dict[str, str] | None = None, **changes: Any
    ) -> httpx.Response:
        """Ask a token by vp_token-bearer; `changes` of the form (None: left out)."""
        vp = vp or self.vp()
        form = {
            "grant_type": "vp_token-bearer", "client_id": f"{HOST}/oauth2/{HOSPITAL}", "assertion": vp, "scope": SCOPE,
            "authorization_details": self.details(),
        }  # fmt: skip
        if "presentation_submission" not in changes:
            form["presentation_submission"] = await self.submission(vp)
        form = {name: value for name, value in (form | changes).items() if value is not None}
        return await self.call("POST", f"/oauth2/{HOME}/token", party=party, data=form, headers=headers)

    def vendor_vp(self, delegation: str | None = None, **claims: Any) -> str:
        """Return the vendor's presentation: who it is, and the hospital's delegation."""
        return self.vp([self.vendor_credential(), delegation or self.delegation()], VENDOR, **claims)

    def vendor_credential(self, **extra: Any) -> str:
        subject = {"id": self.world.did(VENDOR), "name": "Zorgsoft", "identifier": self.seed.party(VENDOR).client_id}
        return self.world.issue("ServiceProviderCredential", subject=subject, **extra)

    def delegation(self, by: str = HOSPITAL, **extra: Any) -> str:
        subject = {"id": self.world.did(VENDOR), "delegatedBy": self.world.did(by)}
        return self.world.issue("ServiceProviderDelegationCredential", by=by, subject=subject, **extra)

    async def ask_bearer(
        self, holder: str | None = None, client: str | None = None, *, party: str = VENDOR, **changes: Any
    ) -> httpx.Response:
        """Ask a token by jwt-bearer with two presentations."""
        form = {
            "grant_type": JWT_BEARER, "assertion": holder or self.vp(), "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client or self.vendor_vp(), "scope": SCOPE, "authorization_details": self.details(),
        } | changes  # fmt: skip
        form = {name: value for name, value in form.items() if value is not None}
        return await self.call("POST", f"/oauth2/{HOME}/token", party=party, data=form)

    async def introspect(self, token: str, *, extended: bool = False) -> Any:
        path = f"/oauth2/{HOME}/introspect{'_extended' if extended else ''}"
        return (await self.call("POST", path, party=HOME, data={"token": token})).json()


def refused(answer: Any) -> tuple[int, str, str, str]:
    """Return status, error, reason and words of a refusal."""
    told = answer.json()
    return answer.status_code, told["error"], told["reason"], told["error_description"]
