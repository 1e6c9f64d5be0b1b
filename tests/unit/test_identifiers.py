"""Identifiers: exactly the values of the right form pass, and no message shows one."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proeftuin import identifiers
from proeftuin.identifiers import InvalidIdentifier, is_bsn, is_fictitious_bsn, validate

FORMS = {
    "URA": r"[0-9]{8}",
    "AGB": r"[0-9]{8}",
    "KvK": r"[0-9]{8}",
    "vestigingsnummer": r"[0-9]{12}",
    "OIN": r"[0-9]{8}([0-9A-Z]{8}0|[0-9A-Z]{9})000",
    "UZOVI": r"[0-9]{4}",
    "UZI": r"[0-9]{9}",
    "BIG": r"[0-9]{11}",
    "UZI role": r"[0-9]{2}[.][0-9]{3}",
}
DIGITS = st.text("0123456789", min_size=9, max_size=9)


@pytest.mark.parametrize("kind", FORMS)
@given(data=st.data())
def test_every_value_of_the_form_passes(kind: str, data: st.DataObject) -> None:
    value = data.draw(st.from_regex(FORMS[kind], fullmatch=True))
    assert validate(kind, value) == value


@pytest.mark.parametrize("kind", [*FORMS, "BSN"])
@given(value=st.text(st.sampled_from("0123456789.ABz٣ \n-"), max_size=21) | st.text(max_size=21))
def test_another_value_is_refused_with_the_kind_and_the_form_but_without_the_value(kind: str, value: str) -> None:
    if re.fullmatch(FORMS.get(kind, "[0-9]{9}"), value):
        return
    with pytest.raises(InvalidIdentifier) as caught:
        validate(kind, value)
    assert caught.value.kind == kind
    assert str(caught.value) == f"not a valid {kind}: {caught.value.why}"
    assert len(value) < 4 or value not in str(caught.value)


@pytest.mark.parametrize("tail", ["\n", " ", "0"])
@pytest.mark.parametrize(
    ("check", "value"),
    [
        (identifiers.validate_ura, "90000101"),
        (identifiers.validate_agb, "01990106"),
        (identifiers.validate_kvk, "90990401"),
        (identifiers.validate_branch, "990064773193"),
        (identifiers.validate_oin, "00000009990002020000"),
        (identifiers.validate_uzovi, "9901"),
        (identifiers.validate_bsn, "999910000"),
        (identifiers.validate_uzi, "900010001"),
        (identifiers.validate_big, "99000000130"),
        (identifiers.validate_uzi_role, "30.000"),
    ],
)
def test_each_validator_checks_its_own_kind_to_the_last_character(check: Callable[[str], str], value: str, tail: str) -> None:
    assert check(value) == value
    with pytest.raises(InvalidIdentifier):
        check(value + tail)


@pytest.mark.parametrize("bsn", ["999910000", "999990019", "123456782", "111222333"])
def test_known_bsns_pass_the_eleven_test(bsn: str) -> None:
    assert is_bsn(bsn)


@given(DIGITS)
def test_the_eleven_test_weighs_nine_to_two_and_minus_one(digits: str) -> None:
    total = sum((9 - place) * int(digit) for place, digit in enumerate(digits[:8])) - int(digits[8])
    assert is_bsn(digits) == (total % 11 == 0 and int(digits) > 0)


@given(DIGITS.filter(is_bsn), st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(bsn: str, place: int, shift: int) -> None:
    wrong = bsn[:place] + str((int(bsn[place]) + shift) % 10) + bsn[place + 1 :]
    assert not is_bsn(wrong)


def test_zeros_are_no_bsn() -> None:
    assert not is_bsn("000000000")


def test_only_the_9999_range_is_fictitious() -> None:
    assert is_fictitious_bsn("999910000")
    assert not is_fictitious_bsn("123456782")
    assert not is_fictitious_bsn("999910001")
