"""The world of the credential tests."""

from pathlib import Path

import pytest

from tests.unit.credentials.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Parties, keys, DID documents, a CA and a verifier."""
    return World(tmp_path)
