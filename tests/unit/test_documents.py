"""What the documents promise each other: decisions by one number each, and no reference to what is not in a clone."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))


def written(*suffixes: str) -> list[Path]:
    """Return the files of the project with these suffixes."""
    folders = [each for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")]
    files = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    return [path for path in files if path.is_file() and path.name.endswith(suffixes)]


def test_a_decision_has_a_number_of_its_own_and_says_it() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert [number for number, count in Counter(numbers).items() if count > 1] == []
    assert [path.read_text().split()[1].rstrip(".").zfill(4) for path in DECISIONS] == numbers


def test_a_document_refers_to_decisions_and_documents_that_are_there() -> None:
    missing = []
    for path in written(".md"):
        text = path.read_text()
        missing += [(path, number) for number in re.findall(r"docs/decisions/(\d{4})", text) if number not in str(DECISIONS)]
        linked = re.findall(r"\]\((?!https?:)([^)#\s]+)", text)
        missing += [(path, link) for link in linked if not (path.parent / link).exists()]
    assert missing == []


def test_a_source_is_cited_by_its_public_name() -> None:
    notes = re.compile(r"\b(?:nuts|iwlz|kikv|trajecten|logging-consent|addressing-localization)\.md|shared/contracts")
    texts = written(".md", ".py", ".toml", ".rego", ".json")
    assert [path for path in texts if path != Path(__file__) and notes.search(path.read_text())] == []
