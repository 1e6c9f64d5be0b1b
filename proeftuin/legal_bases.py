"""The legal duties and tasks on which data is used without consent (legal_bases.toml): which law, and who may call on it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from proeftuin.parties import CARE_KINDS
from proeftuin.reasons import LEGAL_BASIS_UNKNOWN, Refused


@dataclass(frozen=True, slots=True)
class LegalBasis:
    """A ground beside consent: `law` names the article, `about` the use, `programme` where it is called on, `kinds` by whom."""

    id: str
    law: str
    about: str
    programme: str
    kinds: frozenset[str]

    def open_to(self, kind: str) -> bool:
        """Tell whether an organisation of this kind may call on it."""
        return kind in self.kinds or ("care_provider" in self.kinds and kind in CARE_KINDS)


def _load() -> dict[str, LegalBasis]:
    rows = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["legal_basis"]
    return {row["id"]: LegalBasis(**row | {"kinds": frozenset(row["kinds"])}) for row in rows}


LEGAL_BASES = _load()


def called_on(name: str, kind: str) -> LegalBasis:
    """Return the legal basis `name` for an organisation of `kind`; raises Refused(LEGAL_BASIS_UNKNOWN)."""
    found = LEGAL_BASES.get(name)
    if found is None or not found.open_to(kind):
        known = ", ".join(sorted(each.id for each in LEGAL_BASES.values() if each.open_to(kind))) or "none"
        raise Refused(LEGAL_BASIS_UNKNOWN, f"a {kind} may call on: {known}")
    return found
