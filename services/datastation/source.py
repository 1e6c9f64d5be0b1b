"""The source of one party: its doors, and what must still be true at the moment that it gives."""

import asyncio
from dataclasses import dataclass

from proeftuin import consent_question
from proeftuin.access.admission import Admission
from proeftuin.audit.calling import About
from proeftuin.audit.events import EMERGENCY_PURPOSES
from proeftuin.parties import Party
from proeftuin.reasons import TOKEN_REVOKED, UNKNOWN_CLIENT, UPSTREAM, Refused
from proeftuin.tenant import Tenant
from proeftuin.transport.client import Unreachable

CATEGORY = {"Patient": "Patient", "Condition": "Condition", "MedicationRequest": "MedicationRequest", "CarePlan": "Episode"}


def told(admission: Admission) -> About:
    """Return what the token says of a call that is made for its sake."""
    token = admission.token
    patients = (token.patient,) if token.patient else ()
    return About(patients, token.grant.person, token.grant.purpose)


@dataclass(frozen=True, slots=True)
class Source:
    """The datastation of `tenant`: `issuer` is its own authorization server, `consent` where it asks for decisions."""

    tenant: Tenant
    issuer: str
    consent: str
    known_clients: dict[str, Party]

    async def check_client_data(self, admission: Admission, resource_type: str) -> None:
        """Raise Refused unless, now, the token is not revoked and the client permits this category to this user."""
        grant = admission.token.grant
        user = self.known_clients.get(grant.acts_for)
        if user is None:
            raise Refused(UNKNOWN_CLIENT, f"{grant.acts_for} is no party of this network")
        category = CATEGORY[resource_type]
        admission.record.details["category"] = category
        if grant.purpose in EMERGENCY_PURPOSES:  # this party itself let the user in, for a short time and with a reason
            await self.check_live(admission)
            return
        asked = consent_question.ask(self.tenant, self.consent, admission.patient, user, grant.person, [category], grant.purpose)
        live, consents = await asyncio.gather(self.check_live(admission), asked, return_exceptions=True)
        if isinstance(consents, BaseException):  # it says more than that the token, which stood on it, is gone too
            raise consents
        if isinstance(live, BaseException):
            raise live
        admission.record.consents = consents

    async def check_live(self, admission: Admission) -> None:
        """Raise Refused(TOKEN_REVOKED) unless the party's authorization server still stands for the token (RFC 7662)."""
        try:
            answer = await self.tenant.client.request(
                "POST", f"{self.issuer}/introspect", about=told(admission), form={"token": admission.token.raw}
            )
            active = answer.status == 200 and answer.json().get("active")
        except (Unreachable, ValueError) as error:
            raise Refused(UPSTREAM, f"the authorization server did not say whether the token holds: {error}") from error
        if answer.status != 200:
            raise Refused(UPSTREAM, f"the authorization server answered {answer.status} to the introspection")
        if active is not True:
            raise Refused(TOKEN_REVOKED, "the authorization server does not stand for the token any more")
