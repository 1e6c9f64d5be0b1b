"""What a sender prefers of the intake: header Prefer (RFC 7240 §4.4 for handling, FHIR R4 §3.1.0.1.7 for return)."""

from dataclasses import dataclass

from starlette.datastructures import Headers

_REPORT = ("return", "OperationOutcome")
_STRICT = ("handling", "strict")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`report`: the answer is the conformance report; `strict`: what does not conform is refused. Others are passed over."""

    report: bool = False
    strict: bool = False

    @classmethod
    def of(cls, headers: Headers) -> "Preferences":
        """Read them; of a preference that stands there twice, the first counts (RFC 7240 §2)."""
        found: dict[str, str] = {}
        for each in ",".join(headers.getlist("prefer")).split(","):
            name, _, value = each.partition(";")[0].partition("=")
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
        return cls(found.get(_REPORT[0]) == _REPORT[1], found.get(_STRICT[0]) == _STRICT[1])

    @property
    def any(self) -> bool:
        """Whether there is a report to make."""
        return self.report or self.strict

    @property
    def applied(self) -> dict[str, str]:
        """The header that says which were honoured (RFC 7240 §3)."""
        honoured = [f"{name}={value}" for (name, value), held in ((_REPORT, self.report), (_STRICT, self.strict)) if held]
        return {"Preference-Applied": ", ".join(honoured)} if honoured else {}
