"""What the log has on an exchange: asked by ITI-81 as each party of which the sandbox has the certificate, and joined."""

import asyncio
from typing import Any

import structlog

from proeftuin.parties import Party
from proeftuin.sandbox.care_system import CareSystem, Stopped
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from proeftuin.tokens.client import TokenClient
from proeftuin.transport.client import Unreachable

log = structlog.get_logger(__name__)
SINCE = "2020-01-01"  # ITI-81 wants a period; the trace decides


class LogReader:
    """Reads as the parties of `home`; their connections stay open until `close`. Each reading is logged as any party's is."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._readers: dict[str, tuple[CareSystem, TokenClient]] = {}

    async def of_trace(self, trace_id: str, identifiers: set[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return the AuditEvents of a trace that the parties with these identifiers logged (all parties, where there are none)."""
        mine = [party for party in self._home.seed.parties if (self._home.party_folder(party.id) / "certificate.pem").exists()]
        asked = [party for party in mine if not identifiers or identifiers & set(party.identifiers)]
        found = await asyncio.gather(*(self._of_party(party, trace_id) for party in asked))
        return [event for events in found for event in events]

    async def close(self) -> None:
        """Close the connections."""
        for system, _ in self._readers.values():
            await system.close()

    async def _of_party(self, party: Party, trace_id: str) -> list[dict[str, Any]]:
        logging = self._home.topology.network.logging
        events: list[dict[str, Any]] = []
        try:
            system, tokens = self._reader(party)
            token = await tokens.token(logging, "system/AuditEvent.rs")
            url = f"{logging}/fhir/AuditEvent?date=ge{SINCE}&trace={trace_id}&_count=500"
            while url:
                answer = await system.client.request("GET", url, token=token)
                if answer.status == 401:
                    tokens.forget()
                page = answer.json()
                events += [entry["resource"] for entry in page.get("entry", [])]
                url = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), "")
        except (Unreachable, Stopped, ValueError, RuntimeError, OSError) as error:  # the page shows what it has
            log.warning("the log was not read", party=party.id, error=type(error).__name__)
        return events

    def _reader(self, party: Party) -> tuple[CareSystem, TokenClient]:
        if party.id not in self._readers:
            system = care_system(self._home, party.id)
            network = self._home.topology.network
            system.know({"authorization": network.issuer, "logging": network.logging})
            self._readers[party.id] = system, TokenClient(network.issuer, party.client_id, system.client)
        return self._readers[party.id]
