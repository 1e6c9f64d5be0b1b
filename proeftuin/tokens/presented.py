"""A client that gets tokens by presenting credentials: it reads what the server asks, has the wallet answer, and asks the token."""

import json
from dataclasses import dataclass
from typing import Any

from proeftuin.reasons import UPSTREAM, Refused
from proeftuin.tokens.issuers import metadata_url
from proeftuin.transport.client import Answer, Client, Unreachable

VP_TOKEN = "vp_token-bearer"  # noqa: S105 - the name of a grant
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Holder:
    """A party with a wallet: `wallet` is its base address, `client` calls with the party's certificate."""

    wallet: str
    client: Client

    async def present(self, audience: str, definition: dict[str, Any], **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
        """Have the wallet answer a definition (services/wallet: `id_token`, `credentials`, `credential_selection`, `bound`).

        Raises Refused(UPSTREAM) with what the wallet says is lacking.
        """
        content = {"audience": audience, "presentation_definition": definition} | rest
        return await _json(self.client, "POST", f"{self.wallet}/holder/vp", content=content)


async def vp_token(holder: Holder, issuer: str, scope: str, client_id: str, **rest: Any) -> Answer:  # noqa: ANN401 - passed on
    """Ask `issuer` for a token by `vp_token-bearer` (Nuts RFC021); `rest` is for the wallet, but for `authorization_details`.

    Returns the answer of the token endpoint; raises Refused(UPSTREAM) when it does not come to that.
    """
    details = rest.pop("authorization_details", None)
    server = await _metadata(holder.client, issuer)
    definition = await _definition(holder.client, server, scope)
    made = await holder.present(issuer, definition, **rest)
    form = {
        "grant_type": VP_TOKEN, "client_id": client_id, "scope": scope, "assertion": made["vp"],
        "presentation_submission": json.dumps(made["presentation_submission"]),
    }  # fmt: skip
    return await _ask(holder.client, server, form, details)


async def jwt_bearer(
    holder: Holder,
    vendor: Holder,
    issuer: str,
    scope: str,
    **rest: Any,  # noqa: ANN401 - passed on
) -> Answer:
    """Ask `issuer` for a token by jwt-bearer with two presentations (GFI-004): of the care provider, and of the vendor that asks.

    The vendor calls, so the token is bound to its certificate. Returns and raises as `vp_token` does.
    """
    details = rest.pop("authorization_details", None)
    server = await _metadata(vendor.client, issuer)
    first = await holder.present(issuer, await _definition(vendor.client, server, scope), **rest)
    wanted = await _definition(vendor.client, server, scope, "service_provider")
    second = await vendor.present(issuer, wanted, bound=first["fields"])
    form = {
        "grant_type": JWT_BEARER, "scope": scope, "assertion": first["vp"],
        "client_assertion_type": ASSERTION_TYPE, "client_assertion": second["vp"],
    }  # fmt: skip
    return await _ask(vendor.client, server, form, details)


async def _ask(client: Client, server: dict[str, Any], form: dict[str, str], details: list[dict[str, Any]] | None) -> Answer:
    form |= {"authorization_details": json.dumps(details)} if details is not None else {}
    try:
        return await client.request("POST", str(server["token_endpoint"]), form=form)
    except (Unreachable, KeyError) as error:
        raise Refused(UPSTREAM, f"the token endpoint does not answer: {error}") from error


async def _metadata(client: Client, issuer: str) -> dict[str, Any]:
    found = await _json(client, "GET", metadata_url(issuer))
    if found.get("issuer") != issuer:
        raise Refused(UPSTREAM, f"the metadata of {issuer} does not name it as issuer")
    return found


async def _definition(client: Client, server: dict[str, Any], scope: str, owner: str = "organization") -> dict[str, Any]:
    endpoint = server.get("presentation_definition_endpoint")
    if not isinstance(endpoint, str):
        raise Refused(UPSTREAM, "this server asks for no presentations")
    return await _json(client, "GET", endpoint, params={"scope": scope, "wallet_owner_type": owner})


async def _json(client: Client, method: str, url: str, **sent: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    try:
        answer = await client.request(method, url, **sent)
        document: dict[str, Any] = answer.json()
    except (Unreachable, ValueError) as error:
        raise Refused(UPSTREAM, f"{url.partition('?')[0]} does not answer: {error}") from error
    if answer.status != 200:
        told = document.get("explanation") or document.get("detail") or document.get("error_description")
        raise Refused(UPSTREAM, f"{url.partition('?')[0]}: {answer.status} {document.get('reason')}: {str(told)[:1000]}")
    return document
