"""Answering a question from the register: what is stored of the client, decided by category, and told in the audit event."""

from dataclasses import dataclass

from proeftuin.access.admission import Admission
from proeftuin.clock import instant
from proeftuin.tokens.access_token import Person
from services.consent import store
from services.consent.decisions import DENY, Decision, Question, decide
from services.consent.model import read_consent


@dataclass(frozen=True, slots=True)
class AsOf:
    """The two moments of a question about the past, as UTC instants: what held at `valid`, as the register knew it at `known`."""

    valid: str
    known: str


async def answer(
    admission: Admission,
    index_key: bytes,
    patient: str,
    question: Question,
    categories: list[str],
    person: Person | None,
    as_of: AsOf | None = None,
) -> list[Decision]:
    """Decide on each category about the client `patient` (BSN), now or `as_of`; nothing is cached.

    The event tells the decision: outcome 8 and the reason on a deny (BALP AuthZconsent), and the consents that were weighed.
    """
    record = admission.record
    record.patients, record.purpose = [patient], question.purpose
    record.person = person or record.person
    record.details["category"] = " ".join(categories)
    token = store.patient_token(index_key, patient)
    database = admission.tenant.database
    if as_of is None:
        moment = instant(admission.tenant.clock.now())
        resources = await database.read(store.of_patient, token)
    else:
        moment = as_of.valid
        resources = await database.read(store.known_at, token, as_of.known)
        record.details["as_of"] = f"{as_of.valid} as known at {as_of.known}"
    consents = [read_consent(resource, patient) for resource in resources]
    decisions = [decide(question, category, consents, moment) for category in categories]
    weighed = {each.consent.id for decision in decisions for each in decision.evaluated}
    record.consents = [f"Consent/{consent}" for consent in sorted(weighed)]
    record.details["decision"] = " ".join(f"{decision.category}={decision.outcome}" for decision in decisions)
    denied = next((decision.reason for decision in decisions if decision.outcome == DENY), None)
    if denied is not None and as_of is None:
        record.refuse(denied, record.details["decision"])
    return decisions
