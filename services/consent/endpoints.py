"""Where a holder's authorization server is, as addressing has it: it is told when a consent that its tokens stand on ends."""

from proeftuin.identifiers import URA_SYSTEM
from proeftuin.tenant import Tenant
from proeftuin.transport.client import Unreachable


async def authorization_server(tenant: Tenant, addressing: str, ura: str) -> str:
    """Return the address of the active OAuth endpoint of the organisation with this URA; raises Unreachable when there is none."""
    url = f"{addressing}/fhir/Organization?identifier={URA_SYSTEM}|{ura}&_include=Organization:endpoint"
    answer = await tenant.client.request("GET", url)
    try:
        found = [entry["resource"] for entry in answer.json().get("entry", [])]
        return next(
            str(each["address"])
            for each in found
            if each["resourceType"] == "Endpoint" and each["status"] == "active" and each["connectionType"]["code"] == "oauth2"
        )
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise Unreachable("addressing knows no authorization server of this holder") from error
