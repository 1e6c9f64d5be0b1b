"""The issuer of one party: its keys, its policies, and the one path along which every token is given, whatever the protocol."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from proeftuin import consent_question
from proeftuin.access.admission import Admission
from proeftuin.audit.events import EMERGENCY_PURPOSES
from proeftuin.audit.record import policy_urns
from proeftuin.parties import Party
from proeftuin.reasons import (
    AUTHORIZATION_DETAILS,
    EMERGENCY_REASON,
    IDENTITY_INVALID,
    IDENTITY_MISSING,
    INVALID_REQUEST,
    MANDATE_MISSING,
    PARTY_MISMATCH,
    SUBJECT_MISMATCH,
    SUBJECT_MISSING,
    TOKEN_EXPIRED,
    Refused,
)
from proeftuin.tenant import Tenant
from proeftuin.tokens import identity
from proeftuin.tokens.access_token import AccessToken, Grant, Person, inspect, issue
from proeftuin.tokens.issuers import KeySource
from proeftuin.tokens.keys import SigningKeys
from services.authorization import store
from services.authorization.grants import CERTIFICATE, CONSENT, MANDATE, GrantRequest, Ground, is_name
from services.authorization.policies import Policies, ScopePolicy, version

DAY = 86400  # seconds
EMERGENCY_LIFETIME = 120  # seconds that a token lives at most in an emergency
SHORTEST_REASON = 10  # characters
Holds = Callable[[str], Awaitable[bool]]  # does the ground with this id still hold?


@dataclass(slots=True)
class Issuer:
    """Issues and judges the tokens of one party (`tenant`); `url` is the issuer identifier.

    `logs_in` says who logs in here, if anybody; `own_resource` is the address of the party's own resource server.

    `holds` asks, by kind of ground, a source outside the store whether one still holds: a revocation list, a status list. It is
    asked at every introspection and may raise Refused when it cannot know. `pseudonym_key` hides numbers of persons in the store.

    `represents(client, acting)` tells whether one person (BSN) may decide for another.
    """

    url: str
    tenant: Tenant
    keys: SigningKeys
    policies: Policies
    identity_providers: dict[str, KeySource]
    consent: str
    pseudonym_key: bytes
    logs_in: Literal["professional", "client"] | None = None
    own_resource: str | None = None
    known_clients: dict[str, Party] = field(default_factory=dict)
    holds: dict[str, Holds] = field(default_factory=dict)
    represents: Callable[[str, str], bool] = lambda _client, _acting: False

    async def grant(self, admission: Admission, request: GrantRequest) -> AccessToken:
        """Decide on a request and issue the token, stored together with its audit event.

        Raises Refused with the first check that fails: scope, resource, mandate, subject, person, role, purpose, time, consent.
        """
        rules = self.policies.select(list(request.scopes), request.resource, request.acts_for)
        admission.record.policies = policy_urns(*(rule.name for rule in rules), of=version())
        if request.principal not in (None, request.client) and request.mandate is None:
            raise Refused(MANDATE_MISSING, f"{request.client.client_id} shows no mandate of {request.acts_for.client_id}")
        record = admission.record
        record.purpose, record.details["grant_type"] = request.purpose, request.door
        if request.acts_for != request.client:
            record.details["acts_for"] = request.acts_for.client_id
        record.patients = [request.patient] if request.patient is not None else []
        person = await self._person(admission, rules, request)
        for rule in rules:
            rule.check_purpose(request.purpose)
        emergency = self._emergency(admission, request)
        lifetime, not_before = self._time(rules, request, EMERGENCY_LIFETIME if emergency else DAY)
        since, consents = await self._consents(admission, rules, request, person)
        grant = Grant(
            client_id=request.client.client_id,
            audience=request.resource,
            scopes=frozenset(rule.name for rule in rules),
            confirmation=request.confirmation,
            lifetime=lifetime,
            patient=request.patient,
            person=person,
            purpose=request.purpose,
            principal=request.acts_for.client_id if request.acts_for != request.client else None,
            actors=request.actors,
            not_before=not_before,
            claims=request.claims,
        )
        token = issue(self.keys, self.url, grant, self.tenant.clock)
        record.token = token.policy
        record.details["scope"] = " ".join(sorted(grant.scopes))
        stands_on = [*request.stands_on, *consents, Ground(CERTIFICATE, admission.peer.certificate_id)]
        if request.mandate is not None:
            stands_on.append(Ground(MANDATE, request.mandate))
        if not all(is_name(ground.id) for ground in stands_on):
            raise Refused(INVALID_REQUEST, "the id of a credential, mandate or consent is not 1 to 300 printable characters")
        basis = "vital interest" if emergency else " ".join(sorted({rule.legal_basis for rule in rules}))
        await admission.write(store.add, token, request, stands_on, since, self.pseudonym_key, basis)
        return token

    async def live_token(self, raw: str) -> AccessToken | None:
        """Return the token when it is one of this issuer that still holds: given, in time, and all that it stands on is left."""
        token = inspect(raw, self.keys)
        return token if token is not None and (await self.grounds_of(token)) else None

    async def grounds_of(self, token: AccessToken) -> list[Ground]:
        """Return what the grant of a token of this issuer stands on, nothing when it does not hold (any more)."""
        now = self.tenant.clock.now().timestamp()
        if not (token.grant.not_before or 0) <= now < token.expires_at:
            return []
        found, holds = await self.tenant.database.read(store.standing, token.jti)
        asked = [self.holds[ground.kind](ground.id) for ground in found if ground.kind in self.holds] if holds else []
        return found if holds and all(await asyncio.gather(*asked)) else []

    def _emergency(self, admission: Admission, request: GrantRequest) -> bool:
        """Tell whether this is an emergency, which the party decides on itself and has to account for; raises Refused."""
        if request.purpose not in EMERGENCY_PURPOSES:
            return False
        reason = (request.emergency or "").strip()
        if len(reason) < SHORTEST_REASON:
            raise Refused(EMERGENCY_REASON, "the request has no reason in words")
        admission.record.details["emergency_reason"] = reason
        return True

    def _time(self, rules: list[ScopePolicy], request: GrantRequest, longest: int) -> tuple[int, int | None]:
        """Return for how many seconds the token holds, and from when if that is later than now."""
        now = int(self.tenant.clock.now().timestamp())
        start = now if request.not_before is None else request.not_before
        if start > now + DAY:
            raise Refused(AUTHORIZATION_DETAILS, "authorization_details: not_before is more than a day ahead")
        start = max(now, start)
        lifetime = min(longest, *(rule.lifetime for rule in rules))
        if request.lifetime is not None:
            lifetime = min(lifetime, request.lifetime)
        if request.until is not None:
            lifetime = min(lifetime, request.until - start)
        if lifetime <= 0:
            raise Refused(
                TOKEN_EXPIRED if request.until is not None else INVALID_REQUEST, "no time is left for this grant", status=400
            )
        return lifetime, start if start > now else None

    async def _consents(
        self, admission: Admission, rules: list[ScopePolicy], request: GrantRequest, person: Person | None
    ) -> tuple[int, list[Ground]]:
        """Ask consent for the scopes that need it; returns the consents, and the newest end of a ground that was known before."""
        categories = [rule.category for rule in rules if rule.category is not None]
        if not categories or request.purpose in EMERGENCY_PURPOSES:
            return 0, []
        since = await self.tenant.database.read(store.newest_end)
        found = await consent_question.ask(
            self.tenant, self.consent, request.patient or "", request.acts_for, person, categories, request.purpose
        )
        admission.record.consents = found
        return since, [Ground(CONSENT, each) for each in found]

    async def _person(self, admission: Admission, rules: list[ScopePolicy], request: GrantRequest) -> Person | None:
        kinds = {rule.person for rule in rules}
        if len(kinds) > 1:
            raise Refused(INVALID_REQUEST, "ask for scopes of a person and of a system in separate requests")
        if kinds == {None}:
            return None
        (kind,) = kinds
        if request.patient is None and any(rule.needs_patient for rule in rules):
            raise Refused(SUBJECT_MISSING, "authorization_details names no client")
        person = request.person or await self._stated(request)
        admission.record.person = person
        if kind != "any" and person.is_client != (kind == "client"):
            raise Refused(IDENTITY_INVALID, f"these scopes are for a {kind}")
        own = not person.is_client or request.patient in (None, person.identifier)
        if not own and not (
            all(rule.representative for rule in rules) and self.represents(request.patient or "", person.identifier)
        ):
            raise Refused(SUBJECT_MISMATCH, "a client asks only for the own data, or decides as a representative")
        for rule in rules:
            rule.check_role(person.role, request.purpose)
        return person

    async def _stated(self, request: GrantRequest) -> Person:
        """Verify the identity statement of the request, and that the person logged in through a party to it."""
        if not request.id_token:
            raise Refused(IDENTITY_MISSING, "the request has no id_token")
        stated = await identity.verify(request.id_token, self.identity_providers, self.tenant.clock)
        if stated.audience not in (request.client.client_id, request.acts_for.client_id):
            raise Refused(PARTY_MISMATCH, f"the person logged in through {stated.audience}, not {request.client.client_id}")
        return stated.person
