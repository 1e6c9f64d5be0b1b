"""The trace of an exchange: W3C Trace Context and B3 (iWlz RFC0022a) accepted, both emitted, one span for each end of a request.

The two ends of a request are two spans, and share one request id: header X-Request-Id (BALP, Koppeltaal, Mitz).
"""

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass, replace

from starlette.datastructures import Headers

from proeftuin.identifiers import is_bsn

_TRACEPARENT = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")
_HEX = re.compile(r"^[0-9a-f]+$")
_REQUEST_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # what a FHIR id can hold: Koppeltaal's extension is one


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a request stands in its exchange: ids in lowercase hex (32, 16 and 16 characters), and the id of the request.

    `given_id` is the X-Request-Id that came with the request; who sends one uses the id of its own span.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    given_id: str | None = None

    @classmethod
    def new(cls) -> "Trace":
        """Begin an exchange."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    def child(self) -> "Trace":
        """Begin the next span of this exchange."""
        return Trace(self.trace_id, secrets.token_hex(8), self.span_id)

    @property
    def request_id(self) -> str:
        """What both ends of the request call it."""
        return self.given_id or self.span_id

    @property
    def traceparent(self) -> str:
        """The W3C header value (Trace Context §3.2)."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    def headers(self) -> dict[str, str]:
        """Return the headers that carry this span to the next service."""
        return {
            "traceparent": self.traceparent,
            "X-B3-TraceId": self.trace_id,
            "X-B3-SpanId": self.span_id,
            "X-B3-Sampled": "1",
            "X-Request-Id": self.request_id,
        }


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def from_headers(headers: Headers) -> Trace:
    """Return a new span under the caller's trace; a missing or invalid trace or request id is ours, and never refused."""
    given = headers.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) and not is_bsn(given) else None
    match = _TRACEPARENT.match(headers.get("traceparent", ""))
    if match and match[1] != "ff" and not (match[1] == "00" and match[5]) and _nonzero(match[2]) and _nonzero(match[3]):
        return Trace(match[2], secrets.token_hex(8), match[3], request_id)
    trace_id, span_id = headers.get("x-b3-traceid", ""), headers.get("x-b3-spanid", "")
    if len(trace_id) == 32 and _HEX.match(trace_id) and _nonzero(trace_id):
        parent = span_id if len(span_id) == 16 and _HEX.match(span_id) and _nonzero(span_id) else None
        return Trace(trace_id, secrets.token_hex(8), parent, request_id)
    return replace(Trace.new(), given_id=request_id)


def _nonzero(value: str) -> bool:
    return bool(value.strip("0"))
