"""A consent as decisions need it, read from FHIR R4 Consent (IHE PCF, nl-generic-functions-ig)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from proeftuin.categories import GROUP_SYSTEM, GROUPS
from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource, check
from proeftuin.fhir.search import date_range
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, InvalidIdentifier, validate_ura
from proeftuin.parties import CATEGORIES, KINDS
from proeftuin.reasons import PROFILE

CATEGORY_SYSTEM = "http://minvws.github.io/generiekefuncties-docs/CodeSystem/nl-gf-data-categories-cs"
KIND_SYSTEM = "https://proeftuin.example/CodeSystem/kind"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
PRIVACY = (_TERMINOLOGY + "consentscope", "patient-privacy")
TREATMENT = (_TERMINOLOGY + "v3-ActReason", "TREAT")
HOLDER_ROLE, USER_ROLE = "CST", "IRCP"
UNREAD = ("action", "securityLabel", "code", "dataPeriod", "data", "provision")  # would narrow what the provision says
ACTIVE, PROPOSED, INACTIVE = "active", "proposed", "inactive"
_CODES = {CATEGORY_SYSTEM: CATEGORIES, GROUP_SYSTEM: GROUPS}


@dataclass(frozen=True, slots=True)
class Whom:
    """An actor in a consent: one organisation by URA, a kind of organisation, or (both None) anyone."""

    ura: str | None = None
    kind: str | None = None

    @property
    def specificity(self) -> int:
        """2 for one organisation, 1 for a kind, 0 for anyone: the more specific wins (§7.1)."""
        return 2 if self.ura else 1 if self.kind else 0

    def covers(self, ura: str | None, kind: str | None) -> bool:
        """Tell whether an organisation is meant."""
        return self.ura == ura if self.ura else self.kind == kind if self.kind else True


@dataclass(frozen=True, slots=True)
class Consent:
    """What a client decided: may `user` see `categories` of `holder`, from `start` until `end` (UTC instants, None: open)?"""

    id: str
    permit: bool
    holder: Whom
    user: Whom
    categories: frozenset[str]
    withdrawn: bool = False
    start: str | None = None
    end: str | None = None
    proposed: bool = False  # one of the two who decide together has yet to say so

    def valid_at(self, now: str) -> bool:
        """Tell whether `now` (a UTC instant) is in the period."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)


def read_consent(resource: dict[str, Any], patient: str) -> Consent:
    """Return the consent in a FHIR resource of the client `patient` (BSN); raises InvalidResource with every fault."""
    check(resource, "Consent")
    issues = list(_faults(resource, patient))
    if issues:
        raise InvalidResource(issues)
    provision = resource["provision"]
    start, end = _period(provision)
    return Consent(
        id=resource.get("id", ""),
        permit=provision["type"] == "permit",
        holder=_whom(provision, HOLDER_ROLE),
        user=_whom(provision, USER_ROLE),
        categories=frozenset(coding["code"] for coding in provision["class"]),
        withdrawn=resource["status"] == INACTIVE,
        proposed=resource["status"] == PROPOSED,
        start=start,
        end=end,
    )


@lru_cache(maxsize=4096)
def stored_consent(text: str, patient: str) -> Consent:
    """Return the consent in one stored version, whose text never changes, so that it is checked once; raises as `read_consent`."""
    return read_consent(json.loads(text), patient)


def patient_of(resource: dict[str, Any]) -> str | None:
    """Return the BSN that a Consent names, if it does."""
    patient = resource.get("patient")
    identifier = patient.get("identifier") if isinstance(patient, dict) else None
    return identifier.get("value") if isinstance(identifier, dict) and identifier.get("system") == BSN_SYSTEM else None


def _faults(resource: dict[str, Any], patient: str) -> Iterator[Issue]:
    if patient_of(resource) != patient:
        yield _issue("Consent.patient.identifier", "the client of the token")
    if resource["status"] not in (ACTIVE, PROPOSED, INACTIVE):
        yield _issue("Consent.status", "active, or inactive to withdraw it")
    if "implicitRules" in resource:
        yield _issue("Consent.implicitRules", "absent: no rules are known here")
    if PRIVACY not in _codes(resource["scope"].get("coding", [])):
        yield _issue("Consent.scope", f"{PRIVACY[1]} of {PRIVACY[0]}")
    yield from _provision_faults(resource.get("provision", {}))


def _provision_faults(provision: dict[str, Any]) -> Iterator[Issue]:
    if provision.get("type") not in ("permit", "deny"):
        yield _issue("Consent.provision.type", "permit or deny")
    classes = provision.get("class", [])
    if not classes:
        yield _issue("Consent.provision.class", "the categories of data that it is about, at least one")
    for place, coding in enumerate(classes):
        if coding.get("code") not in _CODES.get(str(coding.get("system")), ()):
            yield _issue(f"Consent.provision.class[{place}]", f"a code of {' or '.join(_CODES)}")
    for element in UNREAD:
        if element in provision:
            yield _issue(f"Consent.provision.{element}", "absent: a decision does not weigh it")
    if "purpose" in provision and _codes(provision["purpose"]) != {TREATMENT}:
        yield _issue("Consent.provision.purpose", f"{TREATMENT[1]} of {TREATMENT[0]}, or absent")
    yield from _period_faults(provision)
    yield from _actor_faults(provision.get("actor", []))


def _period_faults(provision: dict[str, Any]) -> Iterator[Issue]:
    try:
        start, end = _period(provision)
        reversed_period = start is not None and end is not None and end <= start
    except ValueError:
        yield _issue("Consent.provision.period", "years 0002 to 9998; without an end it stays in force")
    else:
        if reversed_period:
            yield _issue("Consent.provision.period", "an end after the start")


def _actor_faults(actors: list[dict[str, Any]]) -> Iterator[Issue]:
    for place, actor in enumerate(actors):
        identifier = actor.get("reference", {}).get("identifier", {})
        if _role(actor) is None or not _is_known(identifier):
            yield _issue(f"Consent.provision.actor[{place}]", f"role CST or IRCP, identifier a URA or a {KIND_SYSTEM}")
    roles = [_role(actor) for actor in actors]
    if any(roles.count(role) > 1 for role in (HOLDER_ROLE, USER_ROLE)):
        yield _issue("Consent.provision.actor", "at most one holder and one user")


def _issue(expression: str, wanted: str) -> Issue:
    return Issue("error", "business-rule", f"wanted: {wanted}", expression, PROFILE.code)


def _role(actor: dict[str, Any]) -> str | None:
    """Return CST or IRCP; None when the actor has neither or both."""
    found = {code for _, code in _codes(actor["role"].get("coding", []))} & {HOLDER_ROLE, USER_ROLE}
    return found.pop() if len(found) == 1 else None


def _codes(codings: list[dict[str, Any]]) -> set[tuple[str | None, str | None]]:
    return {(coding.get("system"), coding.get("code")) for coding in codings}


def _is_known(identifier: dict[str, Any]) -> bool:
    """Tell whether an actor can match anyone: a mistyped URA would make an objection that protects nobody."""
    system, value = identifier.get("system"), identifier.get("value", "")
    if system != URA_SYSTEM:
        return system == KIND_SYSTEM and value in KINDS
    try:
        return bool(validate_ura(value))
    except InvalidIdentifier:
        return False


def _period(provision: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the period as UTC instants, the end exclusive; raises ValueError in the first and last year that there are."""
    period = provision.get("period", {})
    start, end = (date_range(period[name]) if name in period else None for name in ("start", "end"))
    return start[0] if start else None, end[1] if end else None


def _whom(provision: dict[str, Any], role: str) -> Whom:
    for actor in provision.get("actor", []):
        if _role(actor) == role:
            identifier = actor["reference"]["identifier"]
            if identifier["system"] == URA_SYSTEM:
                return Whom(ura=identifier["value"])
            return Whom(kind=identifier["value"])
    return Whom()
