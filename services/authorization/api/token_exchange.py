"""The door of token exchange (RFC 8693): a token of this issuer for one that opens the same or less, for the same time or shorter.

It is for the party to which the token was given, and for the issuer's own party, whose resource server received it; the latter then
acts on behalf of the former (`act`, §4.1). Client of care, person, purpose and principal stay; claims of another protocol do not,
as what they open is not known here. What is new dies with the original.
"""

from collections.abc import Mapping
from typing import Any

from proeftuin.parties import Party
from proeftuin.reasons import INVALID_REQUEST, RESOURCE_UNKNOWN, SCOPE_WIDER, SUBJECT_TOKEN, UNKNOWN_CLIENT, Refused
from proeftuin.tokens.access_token import AccessToken, check_binding
from services.authorization import details
from services.authorization.api.token import Asked
from services.authorization.grants import GrantRequest

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind of token


async def read(asked: Asked) -> tuple[GrantRequest, Mapping[str, Any]]:
    """Translate `subject_token`, `scope`, `resource` and `authorization_details` (only its `expires_in` can change anything)."""
    form, issuer = asked.form, asked.issuer
    client = await asked.client()
    for name in ("subject_token_type", "requested_token_type"):
        if form.get(name, ACCESS_TOKEN if name == "requested_token_type" else None) != ACCESS_TOKEN:
            raise Refused(INVALID_REQUEST, f"{name} must be {ACCESS_TOKEN}")
    if "actor_token" in form:
        raise Refused(INVALID_REQUEST, "the actor is who authenticates: send no actor_token")
    original = await issuer.live_token(form.get("subject_token", ""))
    if original is None:
        raise Refused(SUBJECT_TOKEN, "subject_token is no live access token of this server")
    _check_holder(asked, original, client)
    grant = original.grant
    scopes = tuple(form["scope"].split()) if form.get("scope") else tuple(sorted(grant.scopes))
    if wider := sorted(set(scopes) - grant.scopes):
        raise Refused(SCOPE_WIDER, f"the token does not have {' '.join(wider)[:100]}")
    wanted = details.read(form.get("authorization_details"))
    if wanted.patient not in (None, grant.patient) or wanted.purpose not in (None, grant.purpose):
        raise Refused(SUBJECT_TOKEN, "an exchange changes neither the client of care nor the purpose")
    principal = issuer.known_clients.get(grant.acts_for)
    if principal is None:
        raise Refused(UNKNOWN_CLIENT, f"{grant.acts_for} is no party of this network")
    targets = {form[name] for name in ("resource", "audience") if form.get(name)} or {grant.audience}
    if len(targets) > 1:
        raise Refused(RESOURCE_UNKNOWN, "resource and audience name two targets, and a token is for one")
    passed_on = client.client_id != grant.client_id
    request = GrantRequest(
        door=GRANT_TYPE,
        client=client,
        confirmation=asked.confirmation,
        scopes=scopes,
        resource=targets.pop(),
        patient=grant.patient,
        purpose=grant.purpose,
        lifetime=wanted.lifetime,
        not_before=wanted.not_before,
        until=original.expires_at,
        person=grant.person,
        principal=principal,
        mandate=f"urn:ietf:params:oauth:jti:{original.jti}" if principal != client else None,
        actors=(grant.client_id, *grant.actors) if passed_on else grant.actors,
        exchanged=original.jti,
    )
    return request, {"issued_token_type": ACCESS_TOKEN}


def _check_holder(asked: Asked, original: AccessToken, client: Party) -> None:
    """Raise Refused unless the token was given to this client, who has what it is bound to, or reached the issuer's own party."""
    own = asked.issuer.tenant.party
    if client.client_id == original.grant.client_id:
        held = original.grant.confirmation
        key = asked.confirmation.value if held.method == asked.confirmation.method == "jkt" else None
        try:  # what is bound to a certificate may from here on be bound to a key, but not the other way round
            check_binding(held, asked.admission.peer, key)
        except Refused as refused:
            raise Refused(SUBJECT_TOKEN, refused.detail) from refused
    elif client != own or original.grant.audience != asked.issuer.own_resource:
        raise Refused(
            SUBJECT_TOKEN, f"the token was given to {original.grant.client_id}, and is not for a resource of {client.client_id}"
        )
