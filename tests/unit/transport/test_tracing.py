"""W3C Trace Context and B3: accepted when valid, never refused, passed on."""

import pytest
from starlette.datastructures import Headers

from proeftuin.transport.tracing import from_headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("headers", [
    {"traceparent": f"00-{TRACE}-{SPAN}-01"}, {"traceparent": f"cc-{TRACE}-{SPAN}-01-later"},
    {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN},
])  # fmt: skip
def test_a_valid_trace_is_continued(headers: dict[str, str]) -> None:
    trace = from_headers(Headers(headers))
    assert (trace.trace_id, trace.parent_id) == (TRACE, SPAN)
    assert trace.span_id not in (SPAN, trace.child().span_id)


@pytest.mark.parametrize("headers", [
    {}, {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
    {"traceparent": f"00-{TRACE}-{SPAN}-01-more"}, {"traceparent": "x"}, {"X-B3-TraceId": "0" * 32}, {"X-B3-TraceId": TRACE[:16]},
])  # fmt: skip
def test_an_invalid_trace_begins_a_new_one(headers: dict[str, str]) -> None:
    trace = from_headers(Headers(headers))
    assert trace.trace_id not in (TRACE, "0" * 32)
    assert len(trace.trace_id) == 32


@pytest.mark.parametrize(("given", "taken"), [
    ("cc6d168e-5871-11ec-bf63-0242ac130002", True), ("a.b-C9", True), ("x" * 64, True),
    ("", False), ("x" * 65, False), ("a b", False), ("a/b", False), ("é", False), ("999910000", False),
])  # fmt: skip
def test_both_ends_call_a_request_by_the_id_that_came_with_it(given: str, taken: bool) -> None:
    for more in ({}, {"traceparent": f"00-{TRACE}-{SPAN}-01"}, {"X-B3-TraceId": TRACE}):
        trace = from_headers(Headers({"X-Request-Id": given} | more))
        assert trace.request_id == (given if taken else trace.span_id)
        assert trace.child().request_id not in (given, trace.span_id)  # a call of its own is another request
