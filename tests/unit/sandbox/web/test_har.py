"""The export is HAR 1.2: checked against a schema written from the specification, not from the exporter."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proeftuin.reasons import CERTIFICATE_REVOKED
from proeftuin.sandbox.web.har import archive
from proeftuin.tape.entry import refused_handshake
from proeftuin.transport.tracing import Trace
from tests.unit.sandbox.web.exchanges import exchange
from tests.unit.tape.taping import entry


def shape(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these members and no others, but those that begin with `_` (HAR 1.2, Custom Fields)."""
    return {
        "type": "object", "required": list(required), "properties": required | (optional or {}) | {"comment": TEXT},
        "patternProperties": {"^_": {}}, "additionalProperties": False,
    }  # fmt: skip


TEXT, SIZE, TIME = {"type": "string"}, {"type": "integer", "minimum": -1}, {"type": "number", "minimum": -1}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
PAIRS = {"type": "array", "items": shape({"name": TEXT, "value": TEXT})}
COOKIES = {"type": "array", "items": shape({"name": TEXT, "value": TEXT}, {"path": TEXT, "domain": TEXT, "expires": TEXT})}
REQUEST = shape(
    {
        "method": TEXT, "url": TEXT | {"format": "uri"}, "httpVersion": TEXT, "cookies": COOKIES, "headers": PAIRS,
        "queryString": PAIRS, "headersSize": SIZE, "bodySize": SIZE,
    },
    {"postData": shape({"mimeType": TEXT, "params": {"type": "array", "maxItems": 0}, "text": TEXT})},
)  # fmt: skip
RESPONSE = shape(
    {
        "status": {"type": "integer"}, "statusText": TEXT, "httpVersion": TEXT, "cookies": COOKIES, "headers": PAIRS,
        "content": shape({"size": SIZE, "mimeType": TEXT}, {"compression": SIZE, "text": TEXT, "encoding": TEXT}),
        "redirectURL": TEXT, "headersSize": SIZE, "bodySize": SIZE,
    }
)  # fmt: skip
ENTRY = shape(
    {
        "startedDateTime": MOMENT, "time": TIME, "request": REQUEST, "response": RESPONSE,
        "cache": {"type": "object"}, "timings": shape({"send": TIME, "wait": TIME, "receive": TIME}, {"ssl": TIME}),
    },
    {"pageref": TEXT, "serverIPAddress": TEXT, "connection": TEXT},
)  # fmt: skip
LOG = shape(
    {"version": {"const": "1.2"}, "creator": shape({"name": TEXT, "version": TEXT}), "entries": {"type": "array", "items": ENTRY}},
    {"pages": {"type": "array"}, "browser": shape({"name": TEXT, "version": TEXT})},
)
HAR = jsonschema.Draft202012Validator(shape({"log": LOG}))

ENTRIES: dict[str, dict[str, Any]] = {
    "json": {"asked": b'{"a": 1}', "answered": b'[1, "two"]'},
    "form": {"asked": b"a=1&a=2&b=", "content_type": "application/x-www-form-urlencoded"},
    "binary": {"asked": b"\xff\xfe\x00", "content_type": "application/octet-stream"},
    "empty": {"asked": b"", "answered": b""},
    "query": {"query": "a=1&b=%3Cscript%3E&c", "method": "GET"},
    "no status": {"status": 0},
    "odd status": {"status": 299},
    "host": {"headers": {"host": "localhost:8471"}},
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_is_har(kind: str) -> None:
    found = archive(exchange([entry(**ENTRIES[kind])]))
    HAR.validate(json.loads(json.dumps(found)))
    assert len(found["log"]["entries"]) == 1


@given(
    asked=st.binary(max_size=80), kind=st.sampled_from(["application/json", "text/xml", ""]), path=st.text(max_size=20),
    query=st.text(st.characters(codec="ascii"), max_size=20), host=st.text(st.characters(codec="latin-1"), max_size=12),
)  # fmt: skip
def test_any_request_is_har(asked: bytes, kind: str, path: str, query: str, host: str) -> None:
    made = entry(asked=asked, content_type=kind, path="/" + path, query=query)
    made["request"]["headers"].append(["host", host])
    HAR.validate(archive(exchange([made])))


def test_the_schema_refuses_what_is_no_har() -> None:
    found = archive(exchange([entry()]))
    del found["log"]["entries"][0]["timings"]
    assert not HAR.is_valid(found)


def test_a_refusal_is_told_in_fields_of_our_own() -> None:
    found = archive(exchange([entry(status=403, reason="no_consent", detail="no permit for Condition")]))
    (told,) = found["log"]["entries"]
    assert (told["_reason"], told["_detail"]) == ("no_consent", "no permit for Condition")
    assert told["_remedy"] in told["_explanation"]["change"]


def test_what_tls_refused_is_told_beside_the_entries() -> None:
    refused = refused_handshake("i", "consent", "B", CERTIFICATE_REVOKED, "23 certificate revoked", Trace.new(), 1_800_000_000.0)
    found = archive(exchange([entry(), refused]))
    HAR.validate(found)
    (told,) = found["log"]["_without_answer"]
    assert told["_reason"] == "certificate_revoked"
