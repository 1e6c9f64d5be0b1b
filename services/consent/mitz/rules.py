"""Rules on messages: one table for each kind of message, from which a door refuses and the message check tells."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from proeftuin.fhir.outcome import Issue
from proeftuin.fhir.refusal import InvalidResource
from proeftuin.reasons import PROFILE, Deviating, Finding, Reason

M = TypeVar("M")
ERROR, WARNING = "error", "warning"


class Rules(Generic[M]):
    """The rules on one kind of message (M), in the order in which they are told."""

    def __init__(self) -> None:
        self._table: list[Callable[[M], Iterator[Finding]]] = []

    def rule(
        self, name: str, clause: str, severity: str = ERROR, reason: Reason = PROFILE
    ) -> Callable[[Callable[[M], Iterator[str]]], Callable[[M], Iterator[str]]]:
        """Enter a check that yields a sentence for each deviation."""

        def enter(check: Callable[[M], Iterator[str]]) -> Callable[[M], Iterator[str]]:
            self.enter(lambda message: (Finding(name, clause, severity, text, None, reason) for text in check(message)))
            return check

        return enter

    def wants(
        self,
        name: str,
        clause: str,
        at: str,
        wanted: str,
        holds: Callable[[M], object],
        severity: str = ERROR,
    ) -> None:
        """Enter what must hold, and where; what is not even of the right shape does not hold."""

        def check(message: M) -> Iterator[Finding]:
            try:
                held = holds(message)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                held = False
            if not held:
                yield Finding(name, clause, severity, f"wanted: {wanted}", at)

        self.enter(check)

    def enter(self, check: Callable[[M], Iterator[Finding]]) -> None:
        """Enter a check that finds by more than one rule."""
        self._table.append(check)

    def findings(self, message: M) -> list[Finding]:
        """Return every deviation."""
        return [found for check in self._table for found in check(message)]

    def demand(self, message: M) -> None:
        """Raise Deviating when there is an error; its reason is that of the first."""
        if wrong := errors(self.findings(message)):
            raise Deviating(wrong[0].reason or PROFILE, wrong)

    def demand_fhir(self, message: M) -> None:
        """Raise InvalidResource when there is an error, with an issue for each."""
        if wrong := errors(self.findings(message)):
            raise InvalidResource([Issue("error", "business-rule", str(each), each.at, PROFILE.code) for each in wrong])


def errors(found: list[Finding]) -> list[Finding]:
    """Return what a message is refused for."""
    return [each for each in found if each.severity == ERROR]
