"""What a notification of Mitz must be: a transaction Bundle of Consents, the client and the holder (VZVZ's wiki: Mitz)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, is_bsn
from proeftuin.reasons import Finding
from services.consent.consent_rules import MITZ_38, MITZ_40, categories_of, holders_of, profiles_of, receivers_of
from services.consent.mitz.catalogue import KIND_OF_TYPE, TYPE_SYSTEM
from services.consent.mitz.notification import NOTIFY_38, NOTIFY_40
from services.consent.mitz.rules import WARNING, Rules

Resource = dict[str, Any]
NOTIFICATION: Rules[Resource] = Rules()


def _of(bundle: Resource, kind: str) -> list[tuple[int, Resource]]:
    """The resources of a kind, each with its place in the Bundle."""
    entries = bundle.get("entry", [])
    found = [each.get("resource") if isinstance(each, dict) else None for each in (entries if isinstance(entries, list) else [])]
    return [(place, each) for place, each in enumerate(found) if isinstance(each, dict) and each.get("resourceType") == kind]


def _profiles(bundle: Resource) -> list[set[str]]:
    return [set(each["meta"]["profile"]) for _, each in _of(bundle, "Consent")]


def _bsn(bundle: Resource) -> str:
    ((_, patient),) = _of(bundle, "Patient")
    return next(str(each["value"]) for each in patient["identifier"] if each["system"] == BSN_SYSTEM)


def _ura(bundle: Resource) -> str:
    ((_, organization),) = _of(bundle, "Organization")
    return next(str(each["value"]) for each in organization["identifier"] if each["system"] == URA_SYSTEM)


def _is_typed(bundle: Resource) -> bool:
    ((_, organization),) = _of(bundle, "Organization")
    codings = [coding for concept in organization["type"] for coding in concept["coding"]]
    return any(each["system"] == TYPE_SYSTEM and each["code"] in KIND_OF_TYPE for each in codings)


def _said_twice(bundle: Resource) -> bool:
    """Whether a receiver is named twice for one data category: what holds for it then?"""
    told = [(data, to) for _, each in _of(bundle, "Consent") for data in categories_of(each) for to in receivers_of(each)]
    return len(set(told)) < len(told)


_wants = NOTIFICATION.wants
_wants(
    "NT-01", "Mitz: transaction Bundle", "Bundle.type", "a Bundle of type transaction",
    lambda it: (it["resourceType"], it["type"]) == ("Bundle", "transaction"),
)  # fmt: skip
_wants(
    "NT-02", "FHIR R4 §2.36.4: bdl-3", "Bundle.entry.request", "a request with method POST in each entry",
    lambda it: it["entry"] and all(each["request"]["method"] == "POST" and each["request"]["url"] for each in it["entry"]),
)  # fmt: skip
_wants(
    "NT-03",
    "Mitz: Consent[]",
    "Bundle.entry",
    "a Consent for each outcome, at least one",
    lambda it: _of(it, "Consent"),
)
_wants("NT-04", "Mitz: Patient", "Bundle.entry", "one Patient with its BSN", lambda it: is_bsn(_bsn(it)))
_wants(
    "NT-05",
    "Mitz: Organization",
    "Bundle.entry",
    "one Organization with its URA",
    lambda it: re.fullmatch("[0-9]{8}", _ura(it)),
)
_wants(
    "NT-06",
    "Mitz: Organization",
    "Bundle.entry",
    f"the Organization with its type of {TYPE_SYSTEM}",
    _is_typed,
    WARNING,
)
_wants(
    "NT-07", "Mitz: 3.8 and 4.0.0-beta.1", "Bundle.entry", f"each Consent of {NOTIFY_38}, or each of {NOTIFY_40}",
    lambda it: all(NOTIFY_38 in each for each in _profiles(it)) or all(NOTIFY_40 in each for each in _profiles(it)),
)  # fmt: skip
_wants(
    "NT-08", "Mitz: Patient", "Bundle.entry", "each Consent about the Patient of the Bundle",
    lambda it: all(each["patient"]["identifier"]["value"] == _bsn(it) for _, each in _of(it, "Consent")),
)  # fmt: skip
_wants(
    "NT-09", "Mitz: holder", "Bundle.entry", "each Consent about the Organization of the Bundle",
    lambda it: all(holders_of(each) == [_ura(it)] for _, each in _of(it, "Consent")),
)  # fmt: skip
_wants(
    "NT-10", "Mitz: one Consent per outcome", "Bundle.entry", "each receiver once for a data category",
    lambda it: not _said_twice(it),
)  # fmt: skip


def _consents(bundle: Resource) -> Iterator[Finding]:
    """What each Consent breaks of its own form."""
    for place, consent in _of(bundle, "Consent"):
        for found in (MITZ_40 if NOTIFY_40 in profiles_of(consent) else MITZ_38).findings(consent):
            at = (found.at or "Consent").removeprefix("Consent")
            yield replace(found, at=f"Bundle.entry[{place}].resource{at}")


NOTIFICATION.enter(_consents)
