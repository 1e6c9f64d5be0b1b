"""Entries of the tape for tests: a request and its answer as the recorder hands them over."""

import json
from typing import Any

from proeftuin.audit.events import SEARCH
from proeftuin.audit.record import Record, System
from proeftuin.reasons import CATALOGUE
from proeftuin.tape.entry import Body, Taken, make
from proeftuin.transport.tracing import Trace

CALLER = System(("http://fhir.nl/fhir/NamingSystem/ura", "90000101"), "Ziekenhuis De Linde", "127.0.0.1")
SERVER = System(("http://fhir.nl/fhir/NamingSystem/ura", "90000103"), "Verpleeghuis Avondrood", "https://localhost:8471")


def body(content: bytes, most: int = 64 * 1024) -> Body:
    """What passed of `content`."""
    passed = Body()
    passed.add(content, most)
    return passed


def entry(
    *, trace: Trace | None = None, method: str = "POST", path: str = "/fhir/Condition/_search", query: str = "",
    headers: dict[str, str] | None = None, asked: bytes = b"", answered: bytes = b"{}", status: int = 200,
    reason: str | None = None, detail: str = "", started: float = 1_800_000_000.0, milliseconds: float = 12.0,
    service: str = "datastation", caller: System = CALLER, server: System = SERVER, content_type: str = "application/json",
    details: dict[str, str] | None = None, most: int = 64 * 1024,
) -> dict[str, Any]:  # fmt: skip
    """Return one entry, made as the recorder makes it."""
    trace = trace or Trace.new()
    record = Record(SEARCH, trace, caller, server, server, details=details or {})
    if reason is not None:
        record.refuse(CATALOGUE[reason], detail)
    sent = {"content-type": content_type} | (headers or {})
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(), "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }  # fmt: skip
    answer_headers = [(b"content-type", b"application/json")]
    taken = Taken(f"{service}-test", service, scope, trace, record, started, milliseconds, status, answer_headers,
                  body(asked, most), body(answered, most))  # fmt: skip
    return make(taken)


def text(value: Any) -> str:
    """Return everything that an entry says."""
    return json.dumps(value, ensure_ascii=False)
