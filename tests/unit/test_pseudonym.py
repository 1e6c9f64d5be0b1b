"""The oblivious evaluation against the vectors of RFC 9497 and the golden values of the contract."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proeftuin import pseudonym
from proeftuin.parties import load
from proeftuin.sandbox.topology import NATIONAL, only
from services.pseudonymisation import evaluation

SECRET = bytes.fromhex("5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e")
BLIND = bytes.fromhex("64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706")
BLINDED = bytes.fromhex("609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c")
EVALUATED = bytes.fromhex("7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e")


def test_rfc_9497_vector_1() -> None:
    assert pseudonym.blind(b"\x00", BLIND).blinded_input == BLINDED
    assert evaluation.evaluate(SECRET, BLINDED) == EVALUATED


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("oin:00000099000000001000", "bde50e7df60b66cc453a6680cef7cdb2e9bc8cf21f7a6fa5c263b8391c2c7d45"),
        ("ura:90000901", "e96ce9a92e6b5fdf3ba6810b25c152c49c2969f6194e3e43fb050365a7104d9f"),
    ],
)
def test_the_golden_values_of_the_derivation(recipient: str, expected: str) -> None:
    assert pseudonym.derive("999940003", recipient, "nationale-verwijsindex").hex() == expected


def test_the_vector_that_the_readme_gives_to_callers() -> None:
    text = (Path(__file__).parents[2] / "services" / "pseudonymisation" / "README.md").read_text(encoding="utf-8")
    told = dict(re.split("  +", line.strip(), maxsplit=1) for line in text.splitlines() if line.startswith("    "))
    seed = load(Path(__file__).parents[2] / "parties.toml")
    recipient, scope, version = told["info"].split("|")
    assert (recipient, version) == (seed.party(only(seed, NATIONAL["localization"])).client_id, "v1")
    bsn = json.loads(told["personal identifier"])["value"]
    assert pseudonym.personal_identifier(bsn).decode() == told["personal identifier"]
    derived = pseudonym.derive(bsn, recipient, scope)
    assert derived.hex() == told["derived (hex)"]
    blinded = pseudonym.blind(derived, bytes.fromhex(told["blind factor (hex)"]))
    assert pseudonym.encode(blinded.blinded_input) == told["blinded_input"]


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_the_pseudonym_depends_on_the_value_and_not_on_the_blind_factor(one: bytes, other: bytes) -> None:
    def evaluated(value: bytes) -> bytes:
        blinded = pseudonym.blind(value)
        return pseudonym.unblind(evaluation.evaluate(SECRET, blinded.blinded_input), blinded.blind_factor)

    assert evaluated(one) == evaluated(one)
    assert (evaluated(one) == evaluated(other)) == (one == other)


@pytest.mark.parametrize("point", [bytes(32), b"\xff" * 32, b"", b"\x01" * 31])
def test_what_is_no_element_is_refused(point: bytes) -> None:
    with pytest.raises(ValueError, match="element"):
        evaluation.evaluate(SECRET, point)
    with pytest.raises(ValueError, match="element"):
        pseudonym.unblind(point, BLIND)


@given(st.text(max_size=60))
def test_garbage_is_no_token(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        pseudonym.decode_token(text)
