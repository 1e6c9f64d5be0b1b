"""The care system's own choices."""

from datetime import UTC, datetime

import pytest

from proeftuin.sandbox.care_system import in_period, told
from proeftuin.transport.client import Answer

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "serves"),
    [
        ({}, True),
        ({"start": "2026-06-01T12:00:00Z"}, True),
        ({"start": "2026-06-01T12:00:01Z"}, False),
        ({"end": "2026-06-01T12:00:00Z"}, False),
        ({"end": "2026-06-01T14:00:01+02:00"}, True),
        ({"start": "2026", "end": "2027"}, True),
        ({"start": "2025", "end": "2026-06-01"}, False),
    ],
)
def test_at_a_cutover_one_endpoint_serves(period: dict[str, str], serves: bool) -> None:
    assert in_period(period, NOW) is serves


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{"issue": [{"diagnostics": "no date"}, {"diagnostics": "missing"}]}', ["no date", "missing"]),
        (b'{"issue": [{"diagnostics": "one BSN", "expression": ["Patient.identifier"]}]}', ["Patient.identifier: one BSN"]),
        (b'{"issue": [{"diagnostics": "Patient.id: missing", "expression": ["Patient.id"]}]}', ["Patient.id: missing"]),
        (b'{"detail": "what", "remedy": "do"}', ["what", "do"]),
        (b'{"error": "x", "error_description": "what", "remedy": "do"}', ["what", "do"]),
        (b"<html>", []),
        (b"[1]", []),
    ],
)  # fmt: skip
def test_a_refusal_is_told_line_by_line(body: bytes, lines: list[str]) -> None:
    assert told(Answer(400, {}, body)) == "".join(f"\n  {line}" for line in lines)
