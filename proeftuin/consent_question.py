"""The closed question that a holder asks consent: may this user see these categories?"""

from typing import Any

from proeftuin.audit.calling import About
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import Party
from proeftuin.reasons import CATALOGUE, CONSENT_UNAVAILABLE, NO_CONSENT, Refused
from proeftuin.tenant import Tenant
from proeftuin.tokens.access_token import Person
from proeftuin.transport.client import Unreachable

SCOPE = "consent:decide"


async def ask(
    holder: Tenant, consent: str, patient: str, user: Party, person: Person | None, categories: list[str], purpose: str | None
) -> list[str]:
    """Return the consents ("Consent/<id>") on which every category is permitted to `user`.

    Raises Refused with the decision's reason for the first category that is not permitted, and with CONSENT_UNAVAILABLE when
    no decision can be had: without one nothing is given.
    """
    question: dict[str, Any] = {
        "patient": {"system": BSN_SYSTEM, "value": patient},
        "holder": {"ura": holder.party.ura, "kind": holder.party.kind},
        "user": {"ura": user.ura, "kind": user.kind},
        "categories": categories,
        "purpose": purpose,
    }
    if person is not None:
        question["user"] |= {"role": person.role, "person": person.identifier}
    try:
        token = await holder.tokens.token(consent, SCOPE)
        about = About((patient,), person, purpose, {"category": " ".join(categories)})
        answer = await holder.client.request("POST", f"{consent}/decisions", about=about, content=question, token=token)
        if answer.status == 401:
            holder.tokens.forget()
        decisions = {decision["category"]: decision for decision in answer.json()["decisions"]} if answer.status == 200 else {}
    except (Unreachable, Refused, ValueError, KeyError, TypeError) as error:
        raise Refused(CONSENT_UNAVAILABLE, f"consent gave no decision: {error}") from error
    found: list[str] = []
    for category in categories:
        decision = decisions.get(category)
        if decision is None:
            raise Refused(CONSENT_UNAVAILABLE, f"consent answered {answer.status} without a decision on {category}")
        if decision["outcome"] != "permit":
            raise Refused(CATALOGUE.get(decision["reason"] or "", NO_CONSENT), f"no permit for {category} at {holder.party.name}")
        found += decision["consent"]
    return sorted(set(found))
