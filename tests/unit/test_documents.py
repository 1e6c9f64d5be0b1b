"""What the documents promise each other: decisions by one number each, and no reference to what is not in a clone."""

import re
from collections import Counter
from pathlib import Path

from proeftuin import parties
from services.authorization import details
from tests.harness import PARTIES

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


def blocks(document: str, begin: str) -> list[str]:
    """Return the indented blocks of a document that begin so."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", (ROOT / document).read_text(), re.MULTILINE)
    return [block for block in found if block.strip().startswith(begin)]


def test_the_organisation_of_readme_and_its_professional_line_up(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "parties.toml", blocks("README.md", "[[")
    ours.write_text(PARTIES.read_text() + "\n" + "\n".join(theirs))
    seed = parties.load(ours)
    assert parties.check(seed) == []
    party = seed.party("verpleeghuis-van-ons")
    assert f"`{party.client_id}`" in (ROOT / "README.md").read_text()
    assert [each.employer for each in seed.professionals][-1] == party.id
    assert len(theirs) == 2


def test_the_authorization_details_of_the_readme_are_taken() -> None:
    (shown,) = blocks("services/authorization/README.md", '[{"type"')
    read = details.read(shown.replace("<BSN>", "999910000"))
    assert (read.patient, read.lifetime, read.not_before) == ("999910000", 60, 1790000000)
