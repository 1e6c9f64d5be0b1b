"""Who decides for a client of care: the client, or a representative who is known, by age (WGBO, art. 7:447, 7:450 and 7:465 BW)."""

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Literal

CHILD, YOUTH, ADULT = 12, 16, 18  # years: from then on a say of one's own, a decision of one's own, an adult

Kind = Literal["parent", "guardian", "curator", "mentor", "mandate"]
KINDS: dict[str, str] = {
    "parent": "parent with authority, or guardian appointed by the other parent",
    "guardian": "guardian (voogd)",
    "curator": "curator: an adult who is placed under curatele decides nothing alone",
    "mentor": "mentor: decides on care beside the client",
    "mandate": "someone whom the client authorised in writing",
}


@dataclass(frozen=True, slots=True)
class Representative:
    """Someone (BSN) who may decide for a client, as what, and until which day (None: until it is taken back)."""

    bsn: str
    kind: Kind
    until: date | None = None


class Standing(Enum):
    """How someone may decide: alone, or with the other side (from 12 to 16 the client and a parent decide together)."""

    ALONE = "alone"
    TOGETHER = "together"


def age(born: date, today: date) -> int:
    """Return the age in years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def standing(
    client: str, born: date, representatives: tuple[Representative, ...], acting: str, today: date
) -> Standing | None:  # fmt: skip
    """Return how `acting` (BSN) may decide for `client` (BSN) today; None: not at all."""
    years = age(born, today)
    now = [each for each in representatives if each.until is None or today <= each.until]
    if acting == client:
        if years < CHILD or any(each.kind == "curator" for each in now):
            return None
        return Standing.TOGETHER if years < YOUTH else Standing.ALONE
    found = [_of_representative(each, years) for each in now if each.bsn == acting]
    return Standing.ALONE if Standing.ALONE in found else Standing.TOGETHER if Standing.TOGETHER in found else None


def _of_representative(representative: Representative, years: int) -> Standing | None:
    if representative.kind in ("parent", "guardian"):
        return Standing.ALONE if years < CHILD else Standing.TOGETHER if years < YOUTH else None
    youngest = YOUTH if representative.kind == "mandate" else ADULT
    return Standing.ALONE if years >= youngest else None
