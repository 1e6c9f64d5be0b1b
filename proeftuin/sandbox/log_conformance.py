"""The events of one party as its log has them, read by that party (ITI-81) and judged: BALP and NEN 7513, by kind of event."""

import importlib
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from proeftuin.sandbox.care_system import CareSystem

PAGE = 200


@dataclass(slots=True)
class Kind:
    """What was found of one kind of event: how many, how many are what they claim and complete, and which rules they break."""

    events: int = 0
    holding: int = 0
    faults: Counter[str] = field(default_factory=Counter)  # each rule once for each event that breaks it


async def summary(events: AsyncIterable[dict[str, Any]]) -> dict[str, Kind]:
    """Return what the events are and say, by kind, the most frequent kind first; it keeps none of them."""
    judge = importlib.import_module("services.logging.conformance.report").judge  # the ground knows services by name only
    kinds: dict[str, Kind] = {}
    async for event in events:
        report = judge(event)
        kind = kinds.setdefault(_kind(event), Kind())
        kind.events += 1
        kind.holding += report.holds
        kind.faults.update({f"{each.profile} {each.element} {each.rule}" for each in report.deviations})
        kind.faults.update({f"NEN 7513 {each.requirement.name}" for each in report.missing})
        kind.faults.update(["too large to judge"] if report.too_large else ())
    return dict(sorted(kinds.items(), key=lambda item: (-item[1].events, item[0])))


async def own_events(system: CareSystem, since: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the party's own events since a date or instant, newest first; raises Stopped when the log does not give them."""
    await system.discover()
    token = await system.national_token("logging", "system/AuditEvent.rs")
    url = f"{system.services['logging']}/fhir/AuditEvent?date=ge{since}&_count={PAGE}"
    while url:
        page = await system.get("read the log", "logging", "GET", url, token=token)
        for entry in page.get("entry", []):
            yield entry["resource"]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")


def _kind(event: dict[str, Any]) -> str:
    refused = "" if event.get("outcome") == "0" else " (refused)"
    subtype = event.get("subtype", [{}])[0]
    return f"{event['type'].get('code', '?')} {subtype.get('code', '')}{refused}"
