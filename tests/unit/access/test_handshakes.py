"""Refused handshakes: each an event, a flood of them a few."""

from pathlib import Path

import pytest

from proeftuin.access.handshakes import LARGEST
from proeftuin.reasons import CERTIFICATE_EXPIRED, CERTIFICATE_MISSING
from proeftuin.transport.trust import HandshakeRefusal
from services.pseudonymisation.app import create_app
from tests.harness import Harness

pytestmark = pytest.mark.anyio


async def test_a_flood_is_counted_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "pseudonymisation", ["pseudoniemendienst"])
    app = create_app(harness.settings, harness.wiring)
    async with harness.running(app):
        service = app.state.service
        for number in range(1000):
            reason = CERTIFICATE_EXPIRED if number % 10 == 0 else CERTIFICATE_MISSING
            service._refused_by_tls(HandshakeRefusal(reason, "as OpenSSL says it"))
        await service._handshakes.close()
        events = await harness.logged()
    told = [event["outcomeDesc"] for event in events]
    assert told.count("certificate_missing: as OpenSSL says it") + told.count("certificate_expired: as OpenSSL says it") == LARGEST
    counts = {detail["valueString"] for event in events for entity in event["entity"] for detail in entity.get("detail", [])
              if detail["type"] == "count"}  # fmt: skip
    assert sum(map(int, counts)) + LARGEST == 1000
    assert len(events) == LARGEST + 2
