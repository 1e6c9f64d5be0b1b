"""The checks on what is presented at the token endpoint, in the order of Nuts RFC021 §3-4: the cheap ones first."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from proeftuin.access.possession import serve_once
from proeftuin.credentials import presentation
from proeftuin.credentials.presentation import MAX_SKEW, Presentation
from proeftuin.credentials.verifier import Evidence
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import Party
from proeftuin.reasons import (
    INVALID_REQUEST,
    PARTY_MISMATCH,
    PRESENTATION_MALFORMED,
    PRESENTATION_REPLAYED,
    ROLE_NOT_ALLOWED,
    SCOPE_NOT_ALLOWED,
    SUBJECT_MISMATCH,
    UNKNOWN_CLIENT,
    Refused,
)
from services.authorization import details
from services.authorization.api.token import Asked
from services.authorization.details import Details
from services.authorization.grants import CERTIFICATE, CREDENTIAL, Ground
from services.authorization.issuer import Issuer
from services.authorization.profiles import URA, Profile

MAX_PRESENTATIONS = 5
ENROLLMENT = "patient_enrollment_identifier"


def required(form: Mapping[str, str], *names: str) -> list[str]:
    """Return the values of these parameters; raises Refused(INVALID_REQUEST) when one is absent or empty."""
    if not all(form.get(name) for name in names):
        raise Refused(INVALID_REQUEST, "missing required parameters")
    return [form[name] for name in names]


def read_all(assertion: str) -> list[Presentation]:
    """Return the presentations in an `assertion`: a JWT, or a JSON list of them; raises Refused(PRESENTATION_MALFORMED)."""
    found: Any = assertion
    if assertion.lstrip().startswith("["):
        try:
            found = json.loads(assertion)
        except (ValueError, RecursionError) as error:
            raise Refused(PRESENTATION_MALFORMED, "assertion parameter is invalid: it is not JSON") from error
    found = found if isinstance(found, list) else [found]
    if not 0 < len(found) <= MAX_PRESENTATIONS:
        raise Refused(PRESENTATION_MALFORMED, f"assertion parameter is invalid: 1 to {MAX_PRESENTATIONS} presentations")
    return [presentation.read(each) for each in found]


def check_cheap(presented: Sequence[Presentation], issuer: Issuer, longest: int) -> None:
    """Check validity, signer and audience of each, without any key; raises Refused."""
    holder = None
    for each in presented:
        presentation.check_validity(each, longest)
        presentation.check_signer(each, holder)
        presentation.check_audience(each, issuer.url)
        holder = each.holder


async def serve(issuer: Issuer, presented: Presentation, what: str) -> None:
    """Let a presentation serve once, by its nonce or jti; it is burnt whatever comes after.

    It is remembered until it is expired on any clock. Raises Refused: PRESENTATION_VALIDITY or PRESENTATION_REPLAYED.
    """
    now = issuer.tenant.clock.real()
    presentation.check_time(presented, now.timestamp())
    forgotten = datetime.fromtimestamp((presented.expires or 0) + 2 * MAX_SKEW, UTC)
    try:
        await serve_once(issuer.tenant, "presentation", f"{presented.holder} {what}", forgotten, now, PRESENTATION_REPLAYED)
    except Refused as refused:
        raise Refused(refused.reason, "presentation nonce has already been used") from refused


def organization(asked: Asked, fields: Mapping[str, Any]) -> Party:
    """Return the care provider whose URA was presented; raises Refused(UNKNOWN_CLIENT)."""
    party = asked.issuer.known_clients.get(f"ura:{fields[URA]}")
    if party is None:
        raise Refused(UNKNOWN_CLIENT, "the organisation that was presented is no party of this network", status=400)
    return party


def check_connection(asked: Asked, client: Party) -> None:
    """Raise Refused(PARTY_MISMATCH) unless the client presents over its own connection: what is overheard serves nobody else."""
    if asked.admission.peer.client_id != client.client_id:
        detail = f"{client.client_id} was presented over a connection of {asked.admission.peer.client_id}"
        raise Refused(PARTY_MISMATCH, detail, status=400)


def wanted_of(asked: Asked, profile: Profile, fields: Mapping[str, Any]) -> Details:
    """Return client of care, purpose and time: of `authorization_details`, of an enrollment that was presented, of the profile.

    Raises Refused(SUBJECT_MISMATCH) when two of them name another client of care.
    """
    found = details.read(asked.form.get("authorization_details"))
    enrolled = str(fields[ENROLLMENT]).removeprefix(f"{BSN_SYSTEM}|") if ENROLLMENT in fields else None
    if enrolled is not None and found.patient not in (None, enrolled):
        raise Refused(SUBJECT_MISMATCH, "authorization_details and the enrollment name different clients")
    patient = found.patient or enrolled
    return Details(patient, found.purpose or profile.purpose, found.lifetime, found.not_before)


def granted_scopes(
    asked: Asked, profile: Profile, others: Sequence[str], party: Party, fields: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the scopes that are asked of the issuer: the profile's own, and those beside it as its policy says.

    `passthrough`: all. `dynamic`: those that the rules leave to this party and role; the others are silently dropped (RFC021).
    Raises Refused: SCOPE_NOT_ALLOWED or ROLE_NOT_ALLOWED, as access_denied, when the profile itself is not for them.
    """
    if profile.policy != "dynamic":
        return (profile.scope, *others)
    try:
        _check_open(asked, profile.scope, party, fields)
    except Refused as refused:
        if refused.reason in (SCOPE_NOT_ALLOWED, ROLE_NOT_ALLOWED):
            raise Refused(refused.reason, refused.detail, status=400, oauth="access_denied") from refused
        raise
    return (profile.scope, *(name for name in others if _is_open(asked, name, party, fields)))


def grounds(found: Evidence) -> tuple[Ground, ...]:
    """Return what a grant on this evidence stands on: it dies with a credential or certificate that is revoked."""
    credentials = {Ground(CREDENTIAL, each.name) for each in found.statuses}
    return (*credentials, *{Ground(CERTIFICATE, each) for each in found.certificates})


def shown(presented: Sequence[Presentation], profile: Profile, submission: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what extended introspection tells of the presentations, by nuts-node's names."""
    definitions = {owner: each.raw for owner, each in profile.definitions.items()}
    submissions = {submission["definition_id"]: dict(submission)} if submission else {}
    raw = [each.signed.raw for each in presented]
    return {"vps": raw, "presentation_definitions": definitions, "presentation_submissions": submissions}


def _check_open(asked: Asked, name: str, party: Party, fields: Mapping[str, Any]) -> None:
    for rule in asked.issuer.policies.select([name], resource_of(asked), party):
        rule.check_role(fields.get("user_role"))


def _is_open(asked: Asked, name: str, party: Party, fields: Mapping[str, Any]) -> bool:
    try:
        _check_open(asked, name, party, fields)
    except Refused:
        return False
    return True


def resource_of(asked: Asked) -> str:
    """Return the audience that is asked for; RFC021 names none: it is the party's own source."""
    return asked.form.get("resource") or asked.issuer.own_resource or ""
