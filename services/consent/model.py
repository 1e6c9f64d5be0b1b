"""A consent as decisions need it, read from FHIR R4 Consent (logging-consent.md §7)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource, check
from proeftuin.fhir.search import date_range
from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM
from proeftuin.parties import CATEGORIES, KINDS
from proeftuin.reasons import PROFILE

CATEGORY_SYSTEM = "http://minvws.github.io/generiekefuncties-docs/CodeSystem/nl-gf-data-categories-cs"
KIND_SYSTEM = "https://proeftuin.example/CodeSystem/kind"
HOLDER_ROLE, USER_ROLE = "CST", "IRCP"
ACTIVE = "active"


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

    def valid_at(self, now: str) -> bool:
        """Tell whether `now` (a UTC instant) is in the period."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)


def read_consent(resource: dict[str, Any], patient: str) -> Consent:
    """Return the consent in a FHIR resource of the client `patient` (BSN); raises InvalidResource with every fault."""
    check(resource)
    issues = list(_faults(resource, patient))
    if issues:
        raise InvalidResource(issues)
    provision = resource["provision"]
    start = end = None
    period = provision.get("period", {})
    if "start" in period:
        start = date_range(period["start"])[0]
    if "end" in period:
        end = date_range(period["end"])[1]
    return Consent(
        id=resource.get("id", ""),
        permit=provision["type"] == "permit",
        holder=_whom(provision, HOLDER_ROLE),
        user=_whom(provision, USER_ROLE),
        categories=frozenset(coding["code"] for coding in provision["class"]),
        withdrawn=resource["status"] != ACTIVE,
        start=start,
        end=end,
    )


def patient_of(resource: dict[str, Any]) -> str | None:
    """Return the BSN that a Consent names, if it does."""
    identifier = resource.get("patient", {}).get("identifier", {}) if isinstance(resource.get("patient"), dict) else {}
    return identifier.get("value") if identifier.get("system") == BSN_SYSTEM else None


def _faults(resource: dict[str, Any], patient: str) -> Iterator[Issue]:
    if patient_of(resource) != patient:
        yield _issue("Consent.patient.identifier", "the client of the token")
    if resource["status"] not in (ACTIVE, "inactive"):
        yield _issue("Consent.status", "active, or inactive to withdraw it")
    provision = resource.get("provision", {})
    if provision.get("type") not in ("permit", "deny"):
        yield _issue("Consent.provision.type", "permit or deny")
    classes = provision.get("class", [])
    if not classes:
        yield _issue("Consent.provision.class", "the categories of data that it is about, at least one")
    for place, coding in enumerate(classes):
        if coding.get("system") != CATEGORY_SYSTEM or coding.get("code") not in CATEGORIES:
            yield _issue(f"Consent.provision.class[{place}]", f"a code of {CATEGORY_SYSTEM}")
    if provision.get("provision"):
        yield _issue("Consent.provision.provision", "absent: one consent says one thing")
    for place, actor in enumerate(provision.get("actor", [])):
        identifier = actor.get("reference", {}).get("identifier", {})
        known = identifier.get("system") == URA_SYSTEM or (
            identifier.get("system") == KIND_SYSTEM and identifier.get("value") in KINDS
        )
        if _role(actor) not in (HOLDER_ROLE, USER_ROLE) or not known or not identifier.get("value"):
            yield _issue(f"Consent.provision.actor[{place}]", f"role CST or IRCP, identifier a URA or a {KIND_SYSTEM}")
    roles = [_role(actor) for actor in provision.get("actor", [])]
    if any(roles.count(role) > 1 for role in (HOLDER_ROLE, USER_ROLE)):
        yield _issue("Consent.provision.actor", "at most one holder and one user")


def _issue(expression: str, wanted: str) -> Issue:
    return Issue("error", "business-rule", f"wanted: {wanted}", expression, PROFILE.code)


def _role(actor: dict[str, Any]) -> str | None:
    return next((coding.get("code") for coding in actor.get("role", {}).get("coding", [])), None)


def _whom(provision: dict[str, Any], role: str) -> Whom:
    for actor in provision.get("actor", []):
        if _role(actor) == role:
            identifier = actor["reference"]["identifier"]
            if identifier["system"] == URA_SYSTEM:
                return Whom(ura=identifier["value"])
            return Whom(kind=identifier["value"])
    return Whom()
