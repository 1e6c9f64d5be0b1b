"""The report on one event: what it claims, what it conforms to, what deviates, and what it has of NEN 7513."""

import re
from dataclasses import dataclass
from typing import Any

from proeftuin.fhir.outcome import Issue
from proeftuin.reasons import NOT_CONFORMING
from services.logging.conformance.evaluation import Deviation, conforms, deviations
from services.logging.conformance.nen7513 import Finding, findings
from services.logging.conformance.profiles import CANONICAL, of_url, profiles

LARGEST = 200  # agents and entities of an event: who sends more is not to keep the log busy with it


@dataclass(frozen=True, slots=True)
class Report:
    """`judged` are the ids of the BALP profiles that were claimed or asked for, `unknown` the claims that are of no BALP profile.

    `conforming` are the ids of all BALP profiles that the event conforms to, claimed or not.
    """

    judged: list[str]
    unknown: list[str]
    deviations: list[Deviation]
    conforming: list[str]
    elements: list[Finding]
    too_large: bool = False

    @property
    def missing(self) -> list[Finding]:
        """The elements that NEN 7513 asks for here and that are not there."""
        return [each for each in self.elements if each.state == "missing" and each.requirement.need != "O"]

    @property
    def holds(self) -> bool:
        """Whether the event is what it claims to be, and complete."""
        return not (self.deviations or self.missing or self.too_large)


def judge(event: dict[str, Any], asked: str | None = None) -> Report:
    """Return the report on a valid R4 AuditEvent; `asked` is the canonical of a profile to hold it against beside its claims."""
    if len(event["agent"]) + len(event.get("entity", [])) > LARGEST:
        return Report([], [], [], [], [], too_large=True)
    claims = list(dict.fromkeys([*event.get("meta", {}).get("profile", []), *([asked] if asked else [])]))
    judged = [profile for url in claims if (profile := of_url(url))]
    return Report(
        judged=[profile.id for profile in judged],
        unknown=[url for url in claims if of_url(url) is None],
        deviations=[each for profile in judged for each in deviations(event, profile)],
        conforming=[name for name, profile in profiles().items() if conforms(event, profile)],
        elements=findings(event),
    )


def issues(report: Report) -> list[Issue]:
    """Return the report as issues: error for a violated profile, warning for a missing element, information for the rest."""
    if report.too_large:
        text = f"more than {LARGEST} agents and entities: not judged"
        return [Issue("warning", "too-costly", text, "AuditEvent", NOT_CONFORMING.code)]
    found = [_deviation(each) for each in report.deviations]
    found += [_element("warning", each, "is missing") for each in report.missing]
    for name in report.judged:
        if name in report.conforming:
            found.append(_information(f"conforms to {CANONICAL}{name}, as claimed", "AuditEvent.meta.profile"))
    others = [name for name in report.conforming if name not in report.judged]
    found.append(_information(f"conforms, without a claim, to: {', '.join(others) or 'no profile of BALP'}"))
    if report.unknown:
        found.append(_information(f"{len(report.unknown)} claims are of no BALP profile: not judged", "AuditEvent.meta.profile"))
    told = {id(each) for each in report.missing}
    found += [_element("information", each, f"is {each.state}") for each in report.elements if id(each) not in told]
    return found


def _deviation(each: Deviation) -> Issue:
    text = (
        f"{each.profile}, {each.element} ({each.rule}): expected {each.expected}, found {each.found} "
        f"(IHE BALP 1.1.5, {each.profile.removeprefix('IHE.').removeprefix('BasicAudit.')})"
    )
    return Issue("error", "invariant", text, each.path, NOT_CONFORMING.code)


def _element(severity: str, each: Finding, state: str) -> Issue:
    row = each.requirement
    text = f"NEN 7513 {row.name}, {row.need}{f' when {row.when}' if row.when else ''}: {state} (chapter 7)"
    code = "required" if severity == "warning" else "informational"
    path = re.sub(r"\[\w+]", "", row.paths[0])
    return Issue(severity, code, text, f"AuditEvent.{path}", NOT_CONFORMING.code if severity == "warning" else None)


def _information(text: str, expression: str | None = None) -> Issue:
    return Issue("information", "informational", text, expression)
