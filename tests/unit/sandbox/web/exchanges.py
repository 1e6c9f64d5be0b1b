"""Exchanges for tests, put together from tape entries and AuditEvents as the console does."""

from pathlib import Path
from typing import Any

from proeftuin import parties
from proeftuin.sandbox import topology
from proeftuin.sandbox.web.exchange import Exchange, put_together

TOPOLOGY = topology.of(parties.load(Path(__file__).parents[4] / "parties.toml"))


def exchange(entries: list[dict[str, Any]], events: list[dict[str, Any]] | None = None) -> Exchange:
    """Return the exchange of these entries and events, in the network of parties.toml."""
    return put_together("a" * 32, entries, events or [], TOPOLOGY, {})
