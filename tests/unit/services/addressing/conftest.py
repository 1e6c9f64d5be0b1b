"""A running directory, empty or with a hospital, a vendor and their endpoints."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.services.addressing.directory import HOSPITAL, OTHER_VENDOR, VENDOR, Directory


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[Directory]:
    made = Directory(tmp_path)
    async with made.running(made.app):
        yield made


@pytest.fixture
async def filled(directory: Directory) -> Directory:
    await directory.feed(
        directory.organization(VENDOR),
        directory.organization(OTHER_VENDOR),
        directory.organization(HOSPITAL, endpoint=[{"reference": "Endpoint/linde-fhir"}]),
        directory.endpoint("linde-fhir", VENDOR),
        directory.endpoint("linde-oud", VENDOR, status="off"),
    )
    return directory
