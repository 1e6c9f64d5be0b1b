"""The page on reasons is the catalogue."""

from pathlib import Path

from proeftuin.reasons import CATALOGUE, page


def test_the_page_is_made_from_the_catalogue() -> None:
    assert (Path(__file__).parent.parent.parent / "docs" / "reasons.md").read_text() == page() + "\n"


def test_every_reason_says_what_to_change() -> None:
    assert [reason.code for reason in CATALOGUE.values() if len(reason.remedy) < 20 or not reason.remedy.endswith(".")] == []
