"""Answering a question from the register: what is stored of the client, decided by category, and told in the audit event."""

from dataclasses import dataclass, field

from proeftuin.access.admission import Admission
from proeftuin.audit.record import MINOR_FAILURE, NO_CONSENT_ON_FILE, SERIOUS_FAILURE
from proeftuin.clock import instant
from proeftuin.tokens.access_token import Person
from services.consent import store
from services.consent.decisions import DENY, NO_DECISION, PERMIT, Decision, Question, decide
from services.consent.model import stored_consent

MOST_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class AsOf:
    """The two moments of a question about the past, as UTC instants: what held at `valid`, as the register knew it at `known`."""

    valid: str
    known: str


@dataclass(frozen=True, slots=True)
class Acting:
    """Who asks: the acting person, and under a mandate the person who is responsible; neither where a system asks."""

    person: Person | None = None
    responsible: Person | None = None


@dataclass(slots=True)
class Asking:
    """The register as it is asked; `index_key` makes the tokens that stand for BSNs."""

    index_key: bytes
    _relied: set[tuple[str, str]] = field(default_factory=set)  # what is stored already: who relies on which consent

    async def answer(
        self,
        admission: Admission,
        patient: str,
        question: Question,
        categories: list[str],
        acting: Acting,
        as_of: AsOf | None = None,
    ) -> list[Decision]:
        """Decide on each category about the client `patient` (BSN), now or `as_of`; no decision is kept.

        The event tells the decision: outcome 8 and the reason on a deny (BALP AuthZconsent), 4 where nothing is decided, and the
        consents that were weighed. A question about the past is no decision.
        """
        record = admission.record
        record.patients, record.purpose = [patient], question.purpose
        record.person, record.responsible = acting.person or record.person, acting.responsible
        record.details["category"] = " ".join(categories)
        token = store.patient_token(self.index_key, patient)
        database = admission.tenant.database
        if as_of is None:
            moment = instant(admission.tenant.clock.now())
            stored = await database.read(store.current, token)
        else:
            moment = as_of.valid
            stored = await database.read(store.known_at, token, as_of.known)
            record.details["as_of"] = f"{as_of.valid} as known at {as_of.known}"
        while True:
            consents = [stored_consent(text, patient) for text in stored]
            decisions = [decide(question, category, consents, moment) for category in categories]
            held = stored if as_of is not None else await self._rely(admission, question, decisions, token)
            if held is None or held == stored:
                break
            stored = held  # a change came between: who gave it does not know of this reliance
        weighed = {each.consent.id for decision in decisions for each in decision.evaluated}
        record.consents = [f"Consent/{consent}" for consent in sorted(weighed)] or [NO_CONSENT_ON_FILE]
        record.details["decision"] = " ".join(f"{decision.category}={decision.outcome}" for decision in decisions)
        for outcome, failure in ((DENY, SERIOUS_FAILURE), (NO_DECISION, MINOR_FAILURE)):
            reason = next((decision.reason for decision in decisions if decision.outcome == outcome), None)
            if reason is not None and as_of is None:
                record.refuse(reason, record.details["decision"], failure)
                break
        return decisions

    async def _rely(self, admission: Admission, question: Question, decisions: list[Decision], token: str) -> list[str] | None:
        """Keep who relies on which consent, before the answer leaves: whoever does is told when it ends.

        Returns what is stored of the client where it was kept, None where nothing was new.
        """
        permits = [consent for decision in decisions if decision.outcome == PERMIT for consent in decision.consents]
        new = {(consent, question.holder_ura or "") for consent in permits} - self._relied
        if not new:
            return None
        held = await admission.tenant.database.write(store.rely, new, token)
        if len(self._relied) > MOST_REMEMBERED:
            self._relied.clear()
        self._relied |= new
        return held
