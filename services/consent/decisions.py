"""The rules of a decision: opt-in, the more specific wins, an objection wins where neither is more specific (§7.1, §7.3)."""

from dataclasses import dataclass, replace
from typing import Any

from proeftuin.categories import lineage, parts
from proeftuin.reasons import (
    CONSENT_CATEGORY,
    CONSENT_EXPIRED,
    CONSENT_OBJECTION,
    CONSENT_OBJECTION_PART,
    CONSENT_WITHDRAWN,
    EMERGENCY_AT_HOLDER,
    LEGAL_BASIS_APPLIES,
    NO_CONSENT,
    PURPOSE_NOT_ALLOWED,
    Reason,
)
from services.consent.model import Consent

PERMIT, DENY, NO_DECISION = "permit", "deny", "no-decision"
EXPLICIT, IMPLICIT, NONE = "explicit", "implicit", "none"
TREATMENT, CARE_COORDINATION = "TREAT", "COC"
EMERGENCY = frozenset({"ETREAT", "BTG"})


@dataclass(frozen=True, slots=True)
class Question:
    """May the user (URA, kind) see data of the holder (URA, kind) for a purpose? Asked for each category.

    `legal_basis` names the law on which data is given without consent (legal_bases.toml); None: consent decides.
    """

    holder_ura: str | None
    holder_kind: str | None
    user_ura: str | None
    user_kind: str | None
    purpose: str | None
    legal_basis: str | None = None


@dataclass(frozen=True, slots=True)
class Specificity:
    """How closely a consent names holder and user (2 one organisation, 1 a kind, 0 anyone) and category (its depth)."""

    holder: int
    user: int
    category: int

    def exceeds(self, other: "Specificity") -> bool:
        """Tell whether this is more specific: nowhere less, and somewhere more. Of two consents it may hold for neither."""
        pairs = ((self.holder, other.holder), (self.user, other.user), (self.category, other.category))
        return all(own >= theirs for own, theirs in pairs) and self != other


@dataclass(frozen=True, slots=True)
class Weighed:
    """A consent as it bears on one question and category."""

    consent: Consent
    specificity: Specificity
    effect: str  # permit, deny, withdrawn, proposed, expired


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one category: the reason when it is not a permit, the consents it stands on, all that was weighed."""

    category: str
    outcome: str
    reason: Reason | None
    basis: str = NONE
    consents: tuple[str, ...] = ()
    evaluated: tuple[Weighed, ...] = ()
    valid_until: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the decision as the interface gives it (§7.4)."""
        return {
            "category": self.category,
            "outcome": self.outcome,
            "basis": self.basis,
            "reason": self.reason.code if self.reason else None,
            "consent": [f"Consent/{consent}" for consent in self.consents],
            "evaluated": [
                {
                    "id": each.consent.id,
                    "specificity": {
                        "holder": each.specificity.holder, "user": each.specificity.user, "category": each.specificity.category
                    },
                    "effect": each.effect,
                }
                for each in self.evaluated
            ],
            "valid_until": self.valid_until,
        }  # fmt: skip


def decide(question: Question, category: str, consents: list[Consent], now: str) -> Decision:
    """Decide on one category from all consents of the client, withdrawn and expired ones too; `now` is a UTC instant.

    TREAT needs a permit that the client gave; COC (care coordination within the treatment) is presumed, until the client objects.
    """
    undecided = _not_for_consent(question)
    if undecided is not None:
        return Decision(category, NO_DECISION, undecided)
    aimed = [consent for consent in consents if _aimed(consent, question)]
    decision = _judge(question, category, aimed, now)
    return replace(decision, valid_until=_until(question, category, aimed, now)) if decision.outcome == PERMIT else decision


def _judge(question: Question, category: str, aimed: list[Consent], now: str) -> Decision:
    evaluated = tuple(_weighed(aimed, category, now))
    live = [each for each in evaluated if each.effect in (PERMIT, DENY)]
    permits = [each for each in live if each.effect == PERMIT]
    objections = [each for each in live if each.effect == DENY]
    standing = [each for each in objections if not any(permit.specificity.exceeds(each.specificity) for permit in permits)]
    if standing:
        return Decision(category, DENY, CONSENT_OBJECTION, EXPLICIT, _ids(standing), evaluated)
    partial = [consent for part in sorted(parts(category)) for consent in _objections_to(part, aimed, now)]
    if partial and (permits or question.purpose == CARE_COORDINATION):
        return Decision(category, DENY, CONSENT_OBJECTION_PART, EXPLICIT, tuple(sorted(set(partial))), evaluated)
    if permits:
        foremost = [each for each in permits if not any(other.specificity.exceeds(each.specificity) for other in permits)]
        return Decision(category, PERMIT, None, EXPLICIT, _ids(foremost), evaluated)
    if question.purpose == CARE_COORDINATION:
        return Decision(category, PERMIT, None, IMPLICIT, (), evaluated)
    return Decision(category, DENY, _why_none(aimed, evaluated, now), NONE, (), evaluated)


def _not_for_consent(question: Question) -> Reason | None:
    """Why the register decides nothing: another ground holds, or another decides."""
    if question.legal_basis is not None:
        return LEGAL_BASIS_APPLIES
    if question.purpose in EMERGENCY:
        return EMERGENCY_AT_HOLDER
    return None if question.purpose in (TREATMENT, CARE_COORDINATION) else PURPOSE_NOT_ALLOWED


def _aimed(consent: Consent, question: Question) -> bool:
    return consent.holder.covers(question.holder_ura, question.holder_kind) and consent.user.covers(
        question.user_ura, question.user_kind
    )


def _weighed(aimed: list[Consent], category: str, now: str) -> list[Weighed]:
    """The consents on the category or on what covers it, with the place in the hierarchy of the nearest that they name."""
    line = lineage(category)
    found = []
    for consent in aimed:
        named = [depth for depth, each in enumerate(line) if each in consent.categories]
        if named:
            specificity = Specificity(consent.holder.specificity, consent.user.specificity, named[-1])
            found.append(Weighed(consent, specificity, _effect(consent, now)))
    return found


def _effect(consent: Consent, now: str) -> str:
    if consent.withdrawn or consent.proposed:
        return "withdrawn" if consent.withdrawn else "proposed"
    return (PERMIT if consent.permit else DENY) if consent.valid_at(now) else "expired"


def _objections_to(part: str, aimed: list[Consent], now: str) -> list[str]:
    """The ids of the objections that stand against a part of what is asked: who asks the whole would get the part with it."""
    weighed = _weighed(aimed, part, now)
    permits = [each for each in weighed if each.effect == PERMIT]
    return [
        each.consent.id
        for each in weighed
        if each.effect == DENY and not any(permit.specificity.exceeds(each.specificity) for permit in permits)
    ]


def _until(question: Question, category: str, aimed: list[Consent], now: str) -> str | None:
    """The first moment at which the permit ends by itself: a consent's period is over, or that of an objection begins."""
    moments = sorted({moment for consent in aimed for moment in (consent.start, consent.end) if moment and moment > now})
    return next((moment for moment in moments if _judge(question, category, aimed, moment).outcome != PERMIT), None)


def _ids(weighed: list[Weighed]) -> tuple[str, ...]:
    return tuple(sorted(each.consent.id for each in weighed))


def _why_none(aimed: list[Consent], evaluated: tuple[Weighed, ...], now: str) -> Reason:
    """Say why nothing permits: what once did, or would have for another category."""
    once = [each for each in evaluated if each.consent.permit and each.effect != "proposed"]
    if any(each.effect == "withdrawn" for each in once):
        return CONSENT_WITHDRAWN
    if once:
        return CONSENT_EXPIRED
    live = any(consent.permit and not (consent.withdrawn or consent.proposed) and consent.valid_at(now) for consent in aimed)
    return CONSENT_CATEGORY if live else NO_CONSENT
