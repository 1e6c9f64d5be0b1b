"""JSON as a protocol wants it."""

from typing import Any

import pytest

from proeftuin.strict_json import deeper, encode, parse_object


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e400}', '{"a": [-1e400]}', "[]", "1", "{"]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - that is what it says it raises
        parse_object(text)


def test_large_and_small_numbers_are_kept() -> None:
    assert parse_object('{"a": 1e308, "b": 1e-400, "c": 123456789012345678901234567890}') == {
        "a": 1e308,
        "b": 0.0,
        "c": int("1234567890" * 3),
    }


@pytest.mark.parametrize("levels", [0, 1, 2, 5, 100_000])
def test_depth_counts_objects_and_lists(levels: int) -> None:
    value: Any = "x"
    for level in range(levels):
        value = {"a": "x", "b": value} if level % 2 else ["x", value]
    assert not deeper(value, levels)
    assert levels == 0 or deeper(value, levels - 1)


@pytest.mark.parametrize(("value", "text"), [({"a": "é"}, '{"a":"é"}'), ({"a": "\ud800 and é"}, '{"a":"? and é"}')])
def test_what_is_written_is_utf_8_whatever_it_holds(value: object, text: str) -> None:
    assert encode(value).decode() == text
