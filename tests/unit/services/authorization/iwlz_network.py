"""The iWlz doors of the national server under test, with a real GraphQL register behind the enforcement point."""

import json
from pathlib import Path
from typing import Any

import httpx
import jwt
from graphql import GraphQLResolveInfo, execute_sync, parse

from proeftuin.iwlz import schemas
from proeftuin.service import Wiring
from proeftuin.settings import Iwlz
from proeftuin.transport.client import Answer, Unreachable
from services.authorization.app import create_app
from tests.harness import BASE, Harness

ZA, ZK, VENDOR, THIEF, CIZ, NETWORK = (
    "verpleeghuis-avondrood", "zorgkantoor-lindestreek", "zorgsoft", "carewave", "ciz", "vws",
)  # fmt: skip
AGB, UZOVI = "47990103", "9901"
ID = "c37239b0-9e3d-4c00-88fd-01f37e590fc0"
IR, BR, N = f"{BASE}/indicatieregister/v2/graphql", f"{BASE}/bemiddelingsregister/v1/graphql", f"{BASE}/notificaties"
IR_SCOPE = "registers/wlzindicatieregister/indicaties/indicatie:read"
BR_SCOPE = "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"
N_SCOPE = "organisaties/zorgaanbieder/notificaties/notificatie:create"
SPEC = f"""query Specificatie($za: String) {{
  bemiddelingspecificatie(where: {{bemiddelingspecificatieID: {{eq: "{ID}"}}, instelling: {{eq: $za}}}}) {{ zzpCode }}
}}"""
INDICATIE = f'query Indicatie {{ wlzIndicatie(where: {{wlzindicatieID: {{eq: "{ID}"}}}}) {{ wlzindicatieID }} }}'


class Network(Harness):
    """`passed` are the requests that reached a resource server: address, headers and body. `related`: what the register knows."""

    def __init__(
        self, tmp_path: Path, profile: str = "vecozo-2026-03", *, explanations: bool = True, profile_by_request: bool = True
    ) -> None:
        super().__init__(tmp_path, "authorization", [NETWORK])
        tenants = [each.model_copy(update={"audience": f"{BASE}/oauth2/{NETWORK}"}) for each in self.settings.tenants]
        iwlz = Iwlz(profile=profile, profile_by_request=profile_by_request, explanations=explanations, bemiddelingsregister=BR)
        self.settings = self.settings.model_copy(update={"tenants": tenants, "iwlz": iwlz})
        self.app = create_app(self.settings, Wiring(self.clock, None, self.wiring.delivery))
        self.passed: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.related = True
        self.down: str | None = None
        self.app.state.service.operator.client.peers.request = self._resource_server

    async def _resource_server(self, method: str, url: str, **sent: Any) -> Answer:
        assert method == "POST"
        body = sent.get("content") or json.loads(sent["body"])
        if url == self.down:
            raise Unreachable("timeout" if url == N else "no connection")
        self.passed.append((url, dict(sent["headers"]), body))
        name = schemas.BERICHTEN if url == N else schemas.INDICATIE if url == IR else schemas.BEMIDDELING

        def resolve(_source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
            kind = str(info.return_type)
            if kind.startswith("["):
                return [{}] if self.related else []
            return ID if kind == "UUID!" else {} if kind in ("Notificatie!", "Melding!") else "063"

        executed = execute_sync(
            schemas.schema(name), parse(body["query"]), variable_values=body.get("variables"), field_resolver=resolve
        )
        headers = {"content-type": "application/graphql-response+json", "set-cookie": "x=1"}
        return Answer(200, headers, json.dumps(executed.formatted).encode())

    async def token(self, party: str, scope: str, audience: str, sub: str | None = None) -> str:  # type: ignore[override] # by the door
        answer = await self.ask_token(party, scope=scope, audience=audience, **({"access_token": {"sub": sub}} if sub else {}))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def ask_token(self, party: str, **changes: Any) -> httpx.Response:
        content = {"grant_type": "client_credentials", "scope": BR_SCOPE, "audience": BR} | changes
        return await self.call(
            "POST", "/netwerkmodel/v3/auth/token", party=party, json={k: v for k, v in content.items() if v is not None}
        )

    async def pep(self, party: str, token: str | None, query: str, profile: str | None = None, **variables: Any) -> httpx.Response:
        headers = {"X-Iwlz-Profile": profile} if profile else {}
        content = {"query": query, "variables": variables}
        return await self.call("POST", "/netwerkmodel/v3/pep", party=party, token=token, json=content, headers=headers)


def payload(token: str) -> dict[str, Any]:
    """Return what a token says, unverified."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found
