"""`authorization_details` (RFC 9396) of type client_data: one client of care, a purpose, a time."""

import json
import re
from dataclasses import dataclass
from typing import Any

from proeftuin.access.admission import json_object
from proeftuin.fhir.search import carries_bsn
from proeftuin.identifiers import BSN_SYSTEM, InvalidIdentifier, bsn_of
from proeftuin.reasons import INVALID_REQUEST, MALFORMED, Refused

TYPE = "client_data"
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
    "not_before": 1790000000, "reason": "in words"}]`.
    Raises Refused(INVALID_REQUEST or MALFORMED) without showing the value.
    """
    if raw is None:
        return Details()
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(MALFORMED, "authorization_details is not JSON") from error
    if not isinstance(parsed, list) or len(parsed) != 1 or not isinstance(parsed[0], dict):
        raise Refused(INVALID_REQUEST, "authorization_details is a list with one object")
    details = json_object(json.dumps(parsed[0]).encode())
    patient = details.get("patient")
    if details.get("type") != TYPE or not isinstance(patient, dict):
        raise Refused(INVALID_REQUEST, f'authorization_details needs "type": "{TYPE}" and "patient"')
    try:
        bsn = bsn_of(patient)
    except InvalidIdentifier as error:
        raise Refused(INVALID_REQUEST, f"patient: {error.why}") from error
    lifetime, purpose, start = (details.get(name) for name in ("expires_in", "purpose_of_use", "not_before"))
    if lifetime is not None and (type(lifetime) is not int or not 0 < lifetime <= LONGEST):
        raise Refused(INVALID_REQUEST, f"expires_in is a number of seconds from 1 to {LONGEST}")
    if start is not None and (type(start) is not int or not 0 <= start < 1 << 40):
        raise Refused(INVALID_REQUEST, "not_before is a whole number of seconds since 1970")
    if purpose is not None and not (isinstance(purpose, str) and re.fullmatch(r"[A-Za-z0-9.-]{1,64}", purpose)):
        raise Refused(INVALID_REQUEST, "purpose_of_use is a code of v3-ActReason")
    reason = details.get("reason")
    if reason is not None and not (isinstance(reason, str) and reason.isprintable() and len(reason) <= LONGEST_REASON):
        raise Refused(INVALID_REQUEST, f"reason is text of at most {LONGEST_REASON} characters")
    if reason is not None and carries_bsn(reason):
        raise Refused(INVALID_REQUEST, "reason carries a BSN")
    return Details(bsn, purpose, lifetime, start, reason)
