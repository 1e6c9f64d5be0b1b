"""The door of client credentials (RFC 6749 §4.4), bounded by authorization_details (RFC 9396) and an identity statement."""

from collections.abc import Mapping
from typing import Any

from services.authorization import details
from services.authorization.api.token import Asked
from services.authorization.grants import GrantRequest

GRANT_TYPE = "client_credentials"


async def read(asked: Asked) -> tuple[GrantRequest, Mapping[str, Any]]:
    """Translate `scope`, `resource`, `authorization_details` and `id_token`; raises Refused."""
    form = asked.form
    client = await asked.client()
    wanted = details.read(form.get("authorization_details"))
    request = GrantRequest(
        door=GRANT_TYPE,
        client=client,
        confirmation=asked.confirmation,
        scopes=tuple(form.get("scope", "").split()),
        resource=form.get("resource", ""),
        patient=wanted.patient,
        purpose=wanted.purpose,
        lifetime=wanted.lifetime,
        emergency=wanted.reason,
        not_before=wanted.not_before,
        id_token=form.get("id_token"),
    )
    return request, {}
