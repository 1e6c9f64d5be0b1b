"""The issuer of one party: its keys, its policies, and the one path along which every token is given."""

import json
from dataclasses import dataclass, field
from typing import Any

from proeftuin import consent_question
from proeftuin.access.admission import Admission, json_object
from proeftuin.audit.record import policy_urns
from proeftuin.identifiers import InvalidIdentifier, bsn_of
from proeftuin.parties import Party
from proeftuin.reasons import (
    IDENTITY_INVALID,
    IDENTITY_MISSING,
    INVALID_REQUEST,
    MALFORMED,
    PARTY_MISMATCH,
    SUBJECT_MISMATCH,
    SUBJECT_MISSING,
    Refused,
)
from proeftuin.tenant import Tenant
from proeftuin.tokens import identity
from proeftuin.tokens.access_token import AccessToken, Grant, Person, issue
from proeftuin.tokens.issuers import KeySource
from proeftuin.tokens.keys import SigningKeys
from services.authorization import store
from services.authorization.policies import Policies, ScopePolicy, version

LIFETIME = 300  # seconds; the longest that a token lives
DETAILS_TYPE = "client_data"


@dataclass(frozen=True, slots=True)
class Subject:
    """What `authorization_details` (RFC 9396) of type client_data asks: one client of care, a purpose, a time in seconds."""

    patient: str | None = None
    purpose: str | None = None
    lifetime: int = LIFETIME


@dataclass(slots=True)
class Issuer:
    """Issues and judges the tokens of one party (`tenant`); `url` is the issuer identifier."""

    url: str
    tenant: Tenant
    keys: SigningKeys
    policies: Policies
    identity_providers: dict[str, KeySource]
    consent: str
    known_clients: dict[str, Party] = field(default_factory=dict)

    async def grant(self, admission: Admission, client: Party, form: dict[str, str]) -> AccessToken:
        """Decide on a token request and issue the token, stored together with its audit event.

        Raises Refused with the first check that fails: scope, resource, subject, person, role, purpose, consent.
        """
        rules = self.policies.select(form.get("scope", "").split(), form.get("resource", ""), client)
        admission.record.policies = policy_urns(*(rule.name for rule in rules), of=version())
        subject = read_subject(form.get("authorization_details"))
        admission.record.purpose = subject.purpose
        if subject.patient is not None:
            admission.record.patients = [subject.patient]
        person = await self._person(admission, rules, client, subject, form.get("id_token"))
        for rule in rules:
            rule.check_purpose(subject.purpose)
        categories = [rule.category for rule in rules if rule.category is not None]
        if categories:
            admission.record.consents = await consent_question.ask(
                self.tenant, self.consent, subject.patient or "", client, person, categories, subject.purpose
            )
        grant = Grant(
            client_id=client.client_id,
            audience=form["resource"],
            scopes=frozenset(rule.name for rule in rules),
            thumbprint=admission.peer.thumbprint,
            lifetime=subject.lifetime,
            patient=subject.patient,
            person=person,
            purpose=subject.purpose,
        )
        token = issue(self.keys, self.url, grant, self.tenant.clock)
        admission.record.token = token.policy
        admission.record.details["scope"] = " ".join(sorted(grant.scopes))
        await admission.write(store.add, token)
        return token

    async def is_active(self, token: AccessToken) -> bool:
        """Tell whether a token of this issuer still holds: given, in time and not revoked."""
        if self.tenant.clock.now().timestamp() >= token.expires_at:
            return False
        return await self.tenant.database.read(store.is_live, token.jti)

    async def _person(
        self, admission: Admission, rules: list[ScopePolicy], client: Party, subject: Subject, statement: str | None
    ) -> Person | None:
        kinds = {rule.person for rule in rules}
        if len(kinds) > 1:
            raise Refused(INVALID_REQUEST, "ask for scopes of a person and of a system in separate requests")
        if kinds == {None}:
            return None
        if subject.patient is None:
            raise Refused(SUBJECT_MISSING, "authorization_details names no client")
        if not statement:
            raise Refused(IDENTITY_MISSING, "the request has no id_token")
        stated = await identity.verify(statement, self.identity_providers, self.tenant.clock)
        person = stated.person
        admission.record.person = person
        if stated.audience != client.client_id:
            raise Refused(PARTY_MISMATCH, f"the person logged in through {stated.audience}, not {client.client_id}")
        if stated.is_client != (kinds == {"client"}):
            raise Refused(IDENTITY_INVALID, f"these scopes are for a {rules[0].person}")
        if stated.is_client and person.identifier != subject.patient:
            raise Refused(SUBJECT_MISMATCH, "a client asks only for the own data")
        for rule in rules:
            rule.check_role(person.role)
        return person


def read_subject(raw: str | None) -> Subject:
    """Read `authorization_details`: absent, or a JSON list with one object of type client_data.

    Shape: `[{"type": "client_data", "patient": {"system", "value"}, "purpose_of_use": "TREAT", "expires_in": 300}]`.
    Raises Refused(INVALID_REQUEST or MALFORMED) without showing the value.
    """
    if raw is None:
        return Subject()
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(MALFORMED, "authorization_details is not JSON") from error
    if not isinstance(parsed, list) or len(parsed) != 1 or not isinstance(parsed[0], dict):
        raise Refused(INVALID_REQUEST, "authorization_details is a list with one object")
    details: dict[str, Any] = json_object(json.dumps(parsed[0]).encode())
    patient = details.get("patient")
    if details.get("type") != DETAILS_TYPE or not isinstance(patient, dict):
        raise Refused(INVALID_REQUEST, f'authorization_details needs "type": "{DETAILS_TYPE}" and "patient"')
    try:
        bsn = bsn_of(patient)
    except InvalidIdentifier as error:
        raise Refused(INVALID_REQUEST, f"patient: {error.why}") from error
    lifetime, purpose = details.get("expires_in", LIFETIME), details.get("purpose_of_use")
    if type(lifetime) is not int or not 0 < lifetime <= LIFETIME:
        raise Refused(INVALID_REQUEST, f"expires_in is a number of seconds from 1 to {LIFETIME}")
    if purpose is not None and not isinstance(purpose, str):
        raise Refused(INVALID_REQUEST, "purpose_of_use is a code of v3-ActReason")
    return Subject(bsn, purpose, lifetime)
