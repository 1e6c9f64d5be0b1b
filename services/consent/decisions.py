"""The rules of a decision: opt-in, the more specific wins, an objection wins at equal specificity (§7.1, §7.3)."""

from dataclasses import dataclass
from typing import Any

from proeftuin.reasons import (
    CONSENT_CATEGORY,
    CONSENT_EXPIRED,
    CONSENT_OBJECTION,
    CONSENT_WITHDRAWN,
    NO_CONSENT,
    PURPOSE_NOT_ALLOWED,
    Reason,
)
from services.consent.model import Consent

PERMIT, DENY, NO_DECISION = "permit", "deny", "no-decision"
TREATMENT = "TREAT"


@dataclass(frozen=True, slots=True)
class Question:
    """May the user (URA, kind) see data of the holder (URA, kind) for a purpose? Asked for each category."""

    holder_ura: str | None
    holder_kind: str | None
    user_ura: str | None
    user_kind: str | None
    purpose: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one category: the reason when it is not a permit, the consents it stands on, all that was weighed."""

    category: str
    outcome: str
    reason: Reason | None
    consents: tuple[str, ...] = ()
    evaluated: tuple[tuple[str, int, str], ...] = ()
    valid_until: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the decision as the interface gives it (§7.4)."""
        return {
            "category": self.category,
            "outcome": self.outcome,
            "basis": "explicit" if self.outcome == PERMIT else "none",
            "reason": self.reason.code if self.reason else None,
            "consent": [f"Consent/{consent}" for consent in self.consents],
            "evaluated": [{"id": name, "specificity": weight, "effect": effect} for name, weight, effect in self.evaluated],
            "valid_until": self.valid_until,
        }


def decide(question: Question, category: str, consents: list[Consent], now: str) -> Decision:
    """Decide on one category from all consents of the client, withdrawn and expired ones too; `now` is a UTC instant."""
    if question.purpose != TREATMENT:
        return Decision(category, NO_DECISION, PURPOSE_NOT_ALLOWED)
    aimed = [consent for consent in consents if _aimed(consent, question)]
    on_category = [consent for consent in aimed if category in consent.categories]
    live = [consent for consent in on_category if not consent.withdrawn and consent.valid_at(now)]
    evaluated = tuple((consent.id, _specificity(consent), _effect(consent, now)) for consent in on_category)
    if not live:
        return Decision(category, DENY, _why_none(aimed, on_category, now), evaluated=evaluated)
    highest = max(map(_specificity, live))
    deciding = [consent for consent in live if _specificity(consent) == highest]
    objections = [consent for consent in deciding if not consent.permit]
    chosen = tuple(sorted(consent.id for consent in objections or deciding))
    if objections:
        return Decision(category, DENY, CONSENT_OBJECTION, chosen, evaluated)
    ends = [consent.end for consent in deciding if consent.end]
    objects = [consent for consent in on_category if not (consent.permit or consent.withdrawn) and _specificity(consent) >= highest]
    begins = [objection.start for objection in objects if objection.start and objection.start > now]
    until = min(ends + begins, default=None)  # an objection that has yet to begin ends the permit too
    return Decision(category, PERMIT, None, chosen, evaluated, until)


def _aimed(consent: Consent, question: Question) -> bool:
    return consent.holder.covers(question.holder_ura, question.holder_kind) and consent.user.covers(
        question.user_ura, question.user_kind
    )


def _specificity(consent: Consent) -> int:
    return consent.holder.specificity + consent.user.specificity


def _effect(consent: Consent, now: str) -> str:
    if consent.withdrawn:
        return "withdrawn"
    return ("permit" if consent.permit else "deny") if consent.valid_at(now) else "expired"


def _why_none(aimed: list[Consent], on_category: list[Consent], now: str) -> Reason:
    """Say why nothing permits: what once did, or would have for another category."""
    permits = [consent for consent in on_category if consent.permit]
    if any(consent.withdrawn for consent in permits):
        return CONSENT_WITHDRAWN
    if permits:
        return CONSENT_EXPIRED
    live = any(consent.permit and not consent.withdrawn and consent.valid_at(now) for consent in aimed)
    return CONSENT_CATEGORY if live else NO_CONSENT
