"""Dutch identifiers: their naming systems and the form of their values. No message shows the value: it may be a BSN.

Sources: MinVWS generiekefuncties IG 0.10.0 (URA, UZI, BSN, KvK), Logius OIN-stelsel, nl-core (AGB, BIG, UZOVI).
No specification gives a FHIR naming system for the OIN; ours follows the pattern of the others.
"""

import re
from collections.abc import Callable
from functools import partial

_NAMING_SYSTEM = "http://fhir.nl/fhir/NamingSystem/"
URA_SYSTEM = _NAMING_SYSTEM + "ura"
AGB_SYSTEM = _NAMING_SYSTEM + "agb-z"
KVK_SYSTEM = _NAMING_SYSTEM + "kvk"
BRANCH_SYSTEM = _NAMING_SYSTEM + "kvk-vestigingsnummer"
OIN_SYSTEM = _NAMING_SYSTEM + "oin"
UZOVI_SYSTEM = _NAMING_SYSTEM + "uzovi"
BSN_SYSTEM = _NAMING_SYSTEM + "bsn"
UZI_SYSTEM = _NAMING_SYSTEM + "uzi-nr-pers"
UZI_ROLE_SYSTEM = _NAMING_SYSTEM + "uzi-rolcode"
BIG_SYSTEM = _NAMING_SYSTEM + "big"

_BSN_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)


class InvalidIdentifier(ValueError):  # noqa: N818 - reads as what it is; ValueError tells that it is an error
    """A value that cannot be an identifier of `kind`; `why` says what its form should be."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"not a valid {kind}: {why}")
        self.kind, self.why = kind, why


def bsn_of(patient: object) -> str:
    """Return the BSN in `{"system": BSN_SYSTEM, "value": ...}`; raises InvalidIdentifier, which does not show the value."""
    if not isinstance(patient, dict) or patient.get("system") != BSN_SYSTEM:
        raise InvalidIdentifier("BSN", f"the system is {BSN_SYSTEM}")
    return validate("BSN", str(patient.get("value")))


_FORMS: dict[str, tuple[str, str]] = {
    "URA": ("[0-9]{8}", "a URA has 8 digits, with zeros on the left"),
    "AGB": ("[0-9]{8}", "an AGB code has 8 digits"),
    "KvK": ("[0-9]{8}", "a KvK number has 8 digits"),
    "vestigingsnummer": ("[0-9]{12}", "a vestigingsnummer has 12 digits"),
    "OIN": (
        "[0-9]{8}(?:[0-9A-Z]{8}0000|[0-9A-Z]{9}000)",
        "an OIN has 20 characters: 8 digits, then 8 of 0-9A-Z and 0000, or 9 of 0-9A-Z and 000",
    ),
    "UZOVI": ("[0-9]{4}", "a UZOVI code has 4 digits"),
    "BSN": ("[0-9]{9}", "a BSN has 9 digits and passes the 11-proef"),
    "UZI": ("[0-9]{9}", "a UZI number has 9 digits"),
    "BIG": ("[0-9]{11}", "a BIG number has 11 digits"),
    "UZI role": (r"[0-9]{2}\.[0-9]{3}", "a UZI role code is written 00.000"),
}
_PATTERNS = {kind: re.compile(pattern) for kind, (pattern, _) in _FORMS.items()}


def validate(kind: str, value: str) -> str:
    """Return `value` when it has the form of `kind`; raises InvalidIdentifier.

    Kinds: URA, AGB, KvK, vestigingsnummer, OIN, UZOVI, BSN, UZI, BIG, UZI role.
    """
    if not _PATTERNS[kind].fullmatch(value) or (kind == "BSN" and not _passes_eleven_test(value)):
        raise InvalidIdentifier(kind, _FORMS[kind][1])
    return value


validate_ura: Callable[[str], str] = partial(validate, "URA")
validate_agb: Callable[[str], str] = partial(validate, "AGB")
validate_kvk: Callable[[str], str] = partial(validate, "KvK")
validate_branch: Callable[[str], str] = partial(validate, "vestigingsnummer")
validate_oin: Callable[[str], str] = partial(validate, "OIN")
validate_uzovi: Callable[[str], str] = partial(validate, "UZOVI")
validate_bsn: Callable[[str], str] = partial(validate, "BSN")
validate_uzi: Callable[[str], str] = partial(validate, "UZI")
validate_big: Callable[[str], str] = partial(validate, "BIG")
validate_uzi_role: Callable[[str], str] = partial(validate, "UZI role")


def is_bsn(value: str) -> bool:
    """Tell whether `value` has 9 digits and passes the 11-proef."""
    return bool(_PATTERNS["BSN"].fullmatch(value)) and _passes_eleven_test(value)


def is_fictitious_bsn(value: str) -> bool:
    """Tell whether `value` is a BSN in the range 9999xxxxx, which is never given to a person."""
    return value.startswith("9999") and is_bsn(value)


def _passes_eleven_test(digits: str) -> bool:
    total = sum(weight * int(digit) for weight, digit in zip(_BSN_WEIGHTS, digits, strict=True))
    return total % 11 == 0 and digits != "000000000"
