"""A CA made once, copied for each test."""

import shutil
from pathlib import Path

import pytest

from proeftuin import parties
from proeftuin.parties import Seed
from proeftuin.pki.authority import Authority


@pytest.fixture(scope="session")
def seed() -> Seed:
    return parties.load(Path(__file__).parents[3] / "parties.toml")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "pki"
    Authority(folder).create()
    return folder


@pytest.fixture
def authority(made: Path, tmp_path: Path) -> Authority:
    folder = tmp_path / "pki"
    shutil.copytree(made, folder)
    return Authority(folder)
