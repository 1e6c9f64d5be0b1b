"""Refusing a resource for what is wrong in it, element by element."""

from collections.abc import Sequence
from typing import Any

from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.validation import validate
from proeftuin.reasons import PROFILE, Reason, Refused


class InvalidResource(Refused):
    """A resource is refused; `issues` name every fault by its FHIRPath."""

    def __init__(self, issues: Sequence[Issue], reason: Reason = PROFILE) -> None:
        first = issues[0]
        faults = sum(issue.severity != "information" for issue in issues)
        super().__init__(reason, f"{faults} faults, the first: {first.diagnostics}")
        self.issues = list(issues)


def check(resource: Any, profile: str | None = None) -> dict[str, Any]:  # noqa: ANN401 - what a caller sent may be any JSON
    """Return the resource when it conforms to R4 or `profile`; raises InvalidResource."""
    issues = [issue for issue in validate(resource, profile) if issue.severity in ("error", "fatal")]
    if issues:
        raise InvalidResource(issues)
    checked: dict[str, Any] = resource
    return checked
