"""The door of RFC 7523 with two presentations (GFI-004): `assertion` of the care provider, `client_assertion` of who asks for it.

The client is a vendor with a delegation of the care provider, or the care provider itself. There is no presentation_submission: the
server looks for what it asks, and explains what it does not find. Errors: RFC 7521 §4.1.1 and §4.2.1.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from proeftuin.credentials import presentation
from proeftuin.credentials.exchange import matching
from proeftuin.credentials.exchange.definition import PresentationDefinition
from proeftuin.credentials.presentation import Presentation
from proeftuin.credentials.verifier import Verifier
from proeftuin.parties import Party
from proeftuin.reasons import (
    CREDENTIAL_SHAPE,
    INVALID_REQUEST,
    PRESENTATION_MALFORMED,
    SUBMISSION_INVALID,
    UNKNOWN_CLIENT,
    Refused,
    Unmatched,
)
from services.authorization import presented
from services.authorization.api.token import Asked, Door
from services.authorization.authentication import ASSERTION_TYPE
from services.authorization.grants import GrantRequest, is_name
from services.authorization.profiles import CLIENT_ID, DELEGATION, ORGANIZATION, SERVICE_PROVIDER, Profile, Profiles

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MAX_VALIDITY = 60  # seconds; GFI-004 names no bound, RFC 7523 §3 lets a server have one


def door(profiles: dict[str, Profiles], verifiers: dict[str, Verifier]) -> Door:
    """Return the door, with what each party's issuer asks for and how it verifies."""

    async def read(asked: Asked) -> tuple[GrantRequest, Mapping[str, Any]]:
        """Check both presentations, the cheap checks of both first, and translate them; raises Refused."""
        issuer, party = asked.issuer, asked.issuer.tenant.party.id
        assertion, kind, client_assertion, scope = presented.required(
            asked.form, "assertion", "client_assertion_type", "client_assertion", "scope"
        )
        if kind != ASSERTION_TYPE:
            raise Refused(INVALID_REQUEST, f"client_assertion_type is {ASSERTION_TYPE}")
        with _blamed("invalid_grant"):
            holder_vp = _cheap(asked, assertion)
        with _blamed("invalid_client"):
            client_vp = _cheap(asked, client_assertion)
        profile, others = profiles[party].select(scope)
        with _blamed("invalid_grant"):
            fields = _matched(profile.definitions[ORGANIZATION], holder_vp, {})
        own = client_vp.holder == holder_vp.holder
        with _blamed("invalid_client"):
            client_fields = {} if own else _client_fields(profile, client_vp, fields)
        for vp, error in ((holder_vp, "invalid_grant"), (client_vp, "invalid_client")):
            with _blamed(error):
                await presented.serve(issuer, vp, f"jti {vp.id}")
        with _blamed("invalid_grant"):
            found = await verifiers[party].verify(holder_vp)
        with _blamed("invalid_client"):
            found += await verifiers[party].verify(client_vp)
        if not own and not is_name(client_fields[DELEGATION]):
            raise Refused(CREDENTIAL_SHAPE, "the id of a delegation is a text of at most 300 characters", oauth="invalid_client")
        principal = presented.organization(asked, fields)
        client = principal if own else _client(asked, str(client_fields[CLIENT_ID]))
        presented.check_connection(asked, client)
        wanted = presented.wanted_of(asked, profile, fields)
        request = GrantRequest(
            door=GRANT_TYPE,
            client=client,
            confirmation=asked.confirmation,
            scopes=presented.granted_scopes(asked, profile, others, principal, fields),
            resource=presented.resource_of(asked),
            patient=wanted.patient,
            purpose=wanted.purpose,
            lifetime=wanted.lifetime,
            not_before=wanted.not_before,
            until=found.expires,
            id_token=found.statement,
            principal=None if own else principal,
            mandate=None if own else str(client_fields[DELEGATION]),
            stands_on=presented.grounds(found),
            claims=fields | client_fields,
            evidence=presented.shown([holder_vp, client_vp], profile),
        )
        return request, {}

    return read


def _cheap(asked: Asked, raw: str) -> Presentation:
    found = presentation.read(raw)
    presented.check_cheap([found], asked.issuer, MAX_VALIDITY)
    if not found.id:
        raise Refused(PRESENTATION_MALFORMED, "assertion parameter is invalid: it has no jti")
    return found


def _client_fields(profile: Profile, vp: Presentation, fields: Mapping[str, Any]) -> dict[str, Any]:
    wanted = profile.definitions.get(SERVICE_PROVIDER)
    if wanted is None:
        raise Refused(INVALID_REQUEST, f"scope {profile.scope} is asked by the care provider itself, not by another for it")
    return _matched(wanted, vp, {name: fields[name] for name in profile.shared})


def _matched(wanted: PresentationDefinition, vp: Presentation, bound: Mapping[str, Any]) -> dict[str, Any]:
    found = matching.match(wanted, vp.credentials, bound=bound)
    if found.faults:
        detail = f"the presentation does not meet definition {wanted.id}: {'; '.join(found.faults)[:200]}"
        raise Unmatched(SUBMISSION_INVALID, detail, found.explain())
    return found.fields


def _client(asked: Asked, client_id: str) -> Party:
    party = asked.issuer.known_clients.get(client_id)
    if party is None:
        raise Refused(UNKNOWN_CLIENT, "the client that was presented is no party of this network", status=400)
    return party


@contextmanager
def _blamed(error: str) -> Iterator[None]:
    """Give what is wrong with one of the two presentations the OAuth error of that one."""
    try:
        yield
    except Refused as refused:
        if refused.status == 400:
            refused.oauth = error
        raise
