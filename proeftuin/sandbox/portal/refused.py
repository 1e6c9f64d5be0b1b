"""Who was refused for want of consent: from the log's overview, with what would have allowed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proeftuin.overview.table import records
from proeftuin.parties import Party, Seed
from proeftuin.sandbox.portal.choices import ANYONE, OFFERED, Choice, Held
from proeftuin.sandbox.portal.effects import objections, permitted
from proeftuin.sandbox.portal.words import CONSENT

_DECISION = "AuthZ-Consent"  # what the register was asked on account of a request: it tells the categories
_OF_TYPE = {"CarePlan": "Episode", "MedicationStatement": "MedicationUse"}  # FHIR types that a category has another name for


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal, in words, and what would allow it: `yes` is the decision to give.

    `against` are the client's own decisions that a yes does not go before; `allowed`: by now it may be seen.
    """

    when: str
    organisation: str
    who: str
    asked_of: str
    categories: tuple[str, ...]
    why: str
    yes: Choice
    against: tuple[Held, ...] = ()
    allowed: bool = False


def refused(overview: dict[str, Any], seed: Seed, holding: Sequence[Held] | None) -> list[Refused]:
    """Return the refusals of an overview (newest first) whose reason is consent; `holding` is what holds now, None: not known.

    Raises KeyError or TypeError when it is no overview.
    """
    rows = overview["rows"]
    found = []
    for line, record in zip(overview["lines"], records(overview), strict=True):
        told = [rows[place] for place in line["rows"]]
        row = next((each for each in told if each["what"] == "refused" and each["reason"] in CONSENT["reason"]), None)
        if row is None or line["step"]:
            continue
        holder, user = _party(row["asked_of"], seed), _party(row["organisation"], seed)
        categories = tuple(dict.fromkeys(_OF_TYPE.get(each, each) for each in _categories(row, told, rows)))
        offered = tuple(each for each in categories if each in OFFERED)
        yes = Choice(True, holder.id if holder else ANYONE, user.id if user else ANYONE, offered)
        against: tuple[Held, ...] = ()
        allowed = False
        if holding is not None and holder and user and offered:
            against, allowed = _now(yes, holding, holder, user, seed)
        found.append(
            Refused(
                record.when, row["organisation"]["name"] or record.organisation, record.who,
                row["asked_of"]["name"] or record.asked_of, categories, CONSENT["reason"][row["reason"]], yes, against, allowed,
            )
        )  # fmt: skip
    return found


def _now(
    yes: Choice, holding: Sequence[Held], holder: Party, user: Party, seed: Seed
) -> tuple[tuple[Held, ...], bool]:  # fmt: skip
    """What stands against `yes` if it were given, and whether all that it asks may be seen already."""
    choices = [held.choice for held in holding]
    allowed = all(permitted(choices, holder, user, each, seed) for each in yes.categories)
    places = {place for each in yes.categories for place in objections([*choices, yes], holder, user, each, seed)}
    return tuple(holding[place] for place in sorted(places)), allowed


def _categories(row: dict[str, Any], told: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[str]:
    """What was asked: as either end tells it, else as the holder asked the register about it in the same exchange."""
    own = [each for end in told for each in end["categories"]]
    if own:
        return own
    asked = (
        each for each in rows
        if each["event"] == _DECISION and each["trace_id"] == row["trace_id"] and each["organisation"] == row["asked_of"]
        and each["what"] == "refused"
    )  # fmt: skip
    return [category for each in asked for category in each["categories"]]


def _party(told: dict[str, Any], seed: Seed) -> Party | None:
    """The care provider that is meant; None for its vendor, which the asking end may know alone."""
    return next((party for party in seed.parties if party.ura is not None and party.ura == told["identifier"]), None)
