"""Handshakes that TLS refused, as audit events: each one its own, but a flood of them is counted."""

import asyncio
from collections import Counter

from proeftuin.audit import outbox
from proeftuin.audit.events import NODE_AUTHENTICATION
from proeftuin.audit.record import Record, System
from proeftuin.reasons import Reason
from proeftuin.tenant import Tenant
from proeftuin.transport.tracing import Trace
from proeftuin.transport.trust import HandshakeRefusal

GATHER = 0.2  # seconds
LARGEST = 20  # events for the refusals of that time; the others are told together, one event for each reason


class RefusedHandshakes:
    """Gathers what a listener refused and puts it in the outbox of the `tenant` in whose name the listener logs.

    The caller's address is not known: asyncio tells it only after a handshake.
    """

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._waiting: list[tuple[HandshakeRefusal, Trace]] = []
        self._more: Counter[Reason] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._storing = asyncio.Lock()

    def add(self, refusal: HandshakeRefusal, trace: Trace) -> None:
        """Take a refusal and the trace that it begins; to be called inside the event loop of the listener."""
        if len(self._waiting) < LARGEST:
            self._waiting.append((refusal, trace))
        else:
            self._more[refusal.reason] += 1
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._store_later())

    async def close(self) -> None:
        """Store what waits, and wait for what is being stored."""
        if self._task is not None:
            self._task.cancel()
        await self._store()

    async def _store_later(self) -> None:
        await asyncio.sleep(GATHER)
        self._task = None
        await self._store()

    async def _store(self) -> None:
        async with self._storing:
            await self._store_all()

    async def _store_all(self) -> None:
        waiting, more = self._waiting, self._more
        self._waiting, self._more = [], Counter()
        records = [self._record(refusal.reason, refusal.detail, trace) for refusal, trace in waiting]
        for reason, count in more.items():
            record = self._record(reason, f"{count} more in {GATHER:g} seconds", Trace.new())
            record.details["count"] = str(count)
            records.append(record)
        now = self._tenant.clock.now()
        events = [event for record in records for event in record.to_events(now)]
        if events:
            await self._tenant.database.write(outbox.store, events, now)
            self._tenant.courier.wake()

    def _record(self, reason: Reason, detail: str, trace: Trace) -> Record:
        unknown = System(None, "unknown", "unknown")
        record = Record(NODE_AUTHENTICATION, trace, unknown, self._tenant.system, self._tenant.system)
        record.refuse(reason, detail)
        return record
