"""`authorization_details` (RFC 9396) of type client_data: one client of care, a purpose, a time."""

import re
from dataclasses import dataclass
from typing import Any

from proeftuin.fhir.search import carries_bsn
from proeftuin.identifiers import BSN_SYSTEM, InvalidIdentifier, bsn_of
from proeftuin.reasons import AUTHORIZATION_DETAILS, Refused
from proeftuin.strict_json import parse_object

TYPE = "client_data"
FIELDS = ("type", "patient", "purpose_of_use", "expires_in", "not_before", "reason")
LONGEST_REASON = 500  # characters
LONGEST = 3600  # seconds that may be asked; how many are given is up to the policy of the scopes


@dataclass(frozen=True, slots=True)
class Details:
    """What was asked: the BSN of the client, a code of v3-ActReason, seconds, and the moment from which (seconds since 1970).

    `reason`: why an emergency cannot wait, in words.
    """

    patient: str | None = None
    purpose: str | None = None
    lifetime: int | None = None
    not_before: int | None = None
    reason: str | None = None

    def as_json(self) -> list[dict[str, Any]]:
        """Return them as they are asked, and as introspection shows them (RFC 9396 §9.2)."""
        if self.patient is None:
            return []
        found = {"type": TYPE, "patient": {"system": BSN_SYSTEM, "value": self.patient}, "purpose_of_use": self.purpose}
        return [{name: value for name, value in found.items() if value is not None}]


def read(raw: str | None) -> Details:
    """Read the parameter: absent, or a JSON list with one object of type client_data.

    Shape: `[{"type": "client_data", "patient": {"system", "value"}, "purpose_of_use": "TREAT", "expires_in": 300,
    "not_before": 1790000000, "reason": "in words"}]`; what follows `patient` may be left out, and nothing else may stand there.
    Raises Refused(AUTHORIZATION_DETAILS), for each fault that RFC 9396 §5 names, without showing the value.
    """
    if raw is None:
        return Details()
    found = _object(raw)
    kind, patient = found.get("type"), found.get("patient")
    if kind is None:
        raise _wrong(f'type is missing: "{TYPE}"')
    if kind != TYPE:
        raise _wrong(f'type is unknown: there is "{TYPE}"')
    if unknown := found.keys() - FIELDS:
        raise _wrong(f"{len(unknown)} unknown field(s): {TYPE} has {', '.join(FIELDS)}")
    if patient is None:
        raise _wrong(f'patient is missing: {{"system": "{BSN_SYSTEM}", "value": "<BSN>"}}')
    if not isinstance(patient, dict):
        raise _wrong('patient is an object with "system" and "value"')
    try:
        bsn = bsn_of(patient)
    except InvalidIdentifier as error:
        raise _wrong(f"patient: {error.why}") from error
    lifetime, purpose, start, reason = (found.get(name) for name in ("expires_in", "purpose_of_use", "not_before", "reason"))
    if lifetime is not None and (type(lifetime) is not int or not 0 < lifetime <= LONGEST):
        raise _wrong(f"expires_in is a whole number of seconds from 1 to {LONGEST}")
    if start is not None and (type(start) is not int or not 0 <= start < 1 << 40):
        raise _wrong("not_before is a whole number of seconds since 1970")
    if purpose is not None and not (isinstance(purpose, str) and re.fullmatch(r"[A-Za-z0-9.-]{1,64}", purpose)):
        raise _wrong("purpose_of_use is a code of v3-ActReason")
    if reason is not None and not (isinstance(reason, str) and reason.isprintable() and len(reason) <= LONGEST_REASON):
        raise _wrong(f"reason is text of at most {LONGEST_REASON} characters")
    if reason is not None and carries_bsn(reason):
        raise _wrong("reason carries a BSN")
    return Details(bsn, purpose, lifetime, start, reason)


def _object(raw: str) -> dict[str, Any]:
    try:
        listed = parse_object(f'{{"list": {raw}}}')
    except ValueError as error:
        raise _wrong("it is not JSON, or an object has a member twice") from error
    found = listed["list"]
    if len(listed) != 1 or not isinstance(found, list):
        raise _wrong("it is not a list")
    if len(found) != 1 or not isinstance(found[0], dict):
        raise _wrong("the list has not exactly one object")
    return dict(found[0])


def _wrong(what: str) -> Refused:
    return Refused(AUTHORIZATION_DETAILS, f"authorization_details: {what}")
