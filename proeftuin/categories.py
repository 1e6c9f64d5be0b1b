"""The hierarchy of data categories (categories.toml): what a consent on one of them covers."""

import tomllib
from pathlib import Path

from proeftuin.parties import CATEGORIES

GROUP_SYSTEM = "http://fhir.nl/otv/CodeSystem/gegevenscategorie"
_GROUPS = tomllib.loads((Path(__file__).parent / "categories.toml").read_text())
GROUPS = frozenset(_GROUPS)
KNOWN = GROUPS | CATEGORIES
NAMES: dict[str, str] = {code: group["name"] for code, group in _GROUPS.items()}
_WHOLE: dict[str, str] = {part: code for code, group in _GROUPS.items() for part in group["parts"]}


def lineage(category: str) -> list[str]:
    """Return the category and every category that covers it, the widest first."""
    found = [category]
    while (whole := _WHOLE.get(found[0])) is not None:
        found.insert(0, whole)
    return found


def parts(category: str) -> frozenset[str]:
    """Return every category that `category` covers, itself left out."""
    return frozenset(each for each in KNOWN if each != category and category in lineage(each))
