"""The iWlz doors of the national authorization server, and a GraphQL register that its enforcement point passes on to."""

import json
from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfo, execute_sync, parse
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proeftuin.iwlz import schemas
from proeftuin.transport.server import Listener
from proeftuin.transport.trust import server_context
from tests.unit.events.expected import ROUTES
from tests.unit.events.hops import Hop
from tests.unit.events.network import HOLDER

if TYPE_CHECKING:
    from tests.unit.events.requests import Request, Requests

SERVICE = "iwlz"  # as the table has it
DOOR, PEP = "/netwerkmodel/v3/auth/token", "/netwerkmodel/v3/pep"
SCOPE = "registers/wlzbemiddelingsregister/bemiddelingen/bemiddeling:read"
AGB = "47990103"  # of the holder
QUERY = """query Specificatie($za: String) { bemiddelingspecificatie(where: {
  bemiddelingspecificatieID: {eq: "c37239b0-9e3d-4c00-88fd-01f37e590fc0"}, instelling: {eq: $za}}) { zzpCode } }"""


async def register(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a GraphQL request by the schema of the bemiddelingsregister."""
    asked = json.loads(await Asked(scope, receive).body())

    def resolve(_source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        return [{}] if str(info.return_type).startswith("[") else "063"

    found = execute_sync(
        schemas.schema(schemas.BEMIDDELING), parse(asked["query"]), variable_values=asked["variables"], field_resolver=resolve
    )
    await Response(json.dumps(found.formatted), media_type="application/json")(scope, receive, send)


async def add(requests: "Requests") -> None:
    """Serve the register, and say how each request is made."""
    instance = requests.network.instance(SERVICE)
    service = requests.network.services[instance.name]
    own = service.settings
    context = server_context(own.certificate, own.key, service.trust, lambda *_: None)
    port = await requests.network.serve(Listener(register, "127.0.0.1", 0, context))
    base, server, audience = instance.base_url, instance.operator, f"https://localhost:{port}/bemiddelingsregister/v1/graphql"
    rows, client = ROUTES[SERVICE], requests.systems[HOLDER].client.peers
    wanted = {"grant_type": "client_credentials", "scope": SCOPE, "audience": audience}

    async def token(**changes: str) -> str:
        answer = await client.request("POST", base + DOOR, content=wanted | changes)
        await requests.network.events()
        return str(answer.json()["access_token"])

    def ask(reason: str | None = None, **changes: Any) -> "Request":
        hop = Hop(rows["POST", DOOR], HOLDER, server, reason=reason)
        return requests.request(HOLDER, "POST", base + DOOR, [hop], {"content": wanted | changes})

    async def pass_on(reason: str | None = None, *, agb: str = AGB, given: bool = True, **changes: str) -> "Request":
        hop = Hop(rows["POST", PEP], HOLDER, server, reason=reason)
        sent: dict[str, Any] = {"content": {"query": QUERY, "variables": {"za": agb}}}
        return requests.request(HOLDER, "POST", base + PEP, [hop], sent | ({"token": await token(**changes)} if given else {}))

    async def allowed() -> "Request":
        return ask()

    requests._add_made(SERVICE, "POST", DOOR, allowed)
    requests._add_made(SERVICE, "POST", PEP, pass_on)
    requests._add(SERVICE, "GET", "/netwerkmodel/v3/auth/jwks", HOLDER, server, f"{base}/netwerkmodel/v3/auth/jwks")
    nobody = f"https://localhost:{requests.network.base_port + 99}/graphql"
    requests.refused[SERVICE] = [
        lambda: _made(ask("scope_unknown", scope="registers/unknown:read")),
        lambda: _made(ask("resource_unknown", audience="http://localhost/graphql")),
        lambda: _made(ask("mandate_missing", access_token={"sub": "agbcode:06990101"})),
        lambda: pass_on("token_missing", given=False),
        lambda: pass_on("policy_denied", agb="06990101"),
        lambda: pass_on("upstream", audience=nobody),
    ]


async def _made(request: "Request") -> "Request":
    return request
