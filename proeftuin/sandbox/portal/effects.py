"""What a new decision does to earlier ones, by the register's rules of precedence (services/consent README)."""

from collections.abc import Sequence
from dataclasses import dataclass

from proeftuin.categories import lineage, parts
from proeftuin.parties import Party, Seed
from proeftuin.sandbox.portal.choices import ANYONE, Choice, Held


@dataclass(frozen=True, slots=True)
class Effect:
    """`held` says the opposite of a new decision on `categories`; `wins` is whether the new one goes before it there."""

    held: Held
    categories: tuple[str, ...]
    wins: bool


def effects(new: Choice, holding: Sequence[Held], seed: Seed) -> list[Effect]:
    """Return what `new` does to each decision of `holding` that says the opposite about some of the same."""
    found = []
    for held in holding:
        old = held.choice
        if old.permit == new.permit or not _meet(old.holder, new.holder, seed) or not _meet(old.user, new.user, seed):
            continue
        for wins in (True, False):
            categories = tuple(each for each in _shared(old, new) if _goes_before(new, old, each, seed) is wins)
            if categories:
                found.append(Effect(held, categories, wins))
    return found


def objections(choices: Sequence[Choice], holder: Party, user: Party, category: str, seed: Seed) -> list[int]:
    """Return the places of the objections that keep `user` from `category` of `holder`, or from a part of it; empty: none does."""
    aimed = [(place, each) for place, each in enumerate(choices) if _covers(each.holder, holder) and _covers(each.user, user)]
    found = set()
    for each in (category, *parts(category)):
        about = [(place, choice) for place, choice in aimed if _depth(choice, each) is not None]
        permits = [choice for _, choice in about if choice.permit]
        found |= {
            place
            for place, choice in about
            if not choice.permit and not any(_goes_before(permit, choice, each, seed) for permit in permits)
        }
    return sorted(found)


def permitted(choices: Sequence[Choice], holder: Party, user: Party, category: str, seed: Seed) -> bool:
    """Tell whether `user` may see `category` of `holder` for treatment, as the register decides."""
    permits = (each for each in choices if each.permit and _covers(each.holder, holder) and _covers(each.user, user))
    given = any(_depth(each, category) is not None for each in permits)
    return given and not objections(choices, holder, user, category, seed)


def _goes_before(one: Choice, other: Choice, category: str, seed: Seed) -> bool:
    """Tell whether `one` wins from `other`, which says the opposite: a yes only where it is more specific."""
    permit, objection = (one, other) if one.permit else (other, one)
    pairs = [
        (_level(permit.holder, seed), _level(objection.holder, seed)),
        (_level(permit.user, seed), _level(objection.user, seed)),
        (_depth(permit, category) or 0, _depth(objection, category) or 0),
    ]
    permit_wins = all(own >= theirs for own, theirs in pairs) and any(own > theirs for own, theirs in pairs)
    return permit_wins is one.permit


def _shared(one: Choice, other: Choice) -> list[str]:
    """The categories that both are about, the parts of another left out unless they stand in one of the two."""
    named = dict.fromkeys((*one.categories, *other.categories))
    return [each for each in named if _depth(one, each) is not None and _depth(other, each) is not None]


def _depth(choice: Choice, category: str) -> int | None:
    """How near the category the choice names it: its own place in the hierarchy, or that of what covers it."""
    named = [depth for depth, each in enumerate(lineage(category)) if each in choice.categories]
    return named[-1] if named else None


def _level(whom: str, seed: Seed) -> int:
    return 0 if whom == ANYONE else 2 if whom.startswith("ura:") or any(party.id == whom for party in seed.parties) else 1


def _covers(whom: str, party: Party) -> bool:
    return whom in (ANYONE, party.kind, party.id)


def _meet(one: str, other: str, seed: Seed) -> bool:
    """Tell whether an organisation can be meant by both."""
    if ANYONE in (one, other) or one == other:
        return True
    kinds = {party.id: party.kind for party in seed.parties}
    return kinds.get(one) == other or kinds.get(other) == one
