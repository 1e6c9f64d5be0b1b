"""Telling holders: what a change makes to be told is stored with the change, and told until it is taken, in order by client."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from proeftuin.audit import events
from proeftuin.audit.calling import About
from proeftuin.audit.interactions import Interaction
from proeftuin.clock import instant
from proeftuin.tenant import Tenant
from proeftuin.transport.client import Unreachable
from services.consent import levers, store, subscriptions
from services.consent.endpoints import authorization_server
from services.consent.mitz import notification
from services.consent.mitz.fhir_xml import to_xml
from services.consent.model import ACTIVE, stored_consent
from services.consent.subscriptions import Notice

log = structlog.get_logger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0  # seconds between two tries, doubling
LOOK = 1.0  # seconds between two looks when nobody woke the courier
_XML = "application/fhir+xml"
_HOLDER = "ura:"  # in the place of an address: the authorization server of this holder
_TOLD = Interaction(events.NOTIFICATION, "Consent")


def notify(connection: sa.Connection, token: str, patient: str, now: str, late: str) -> None:
    """Store a notice for each subscription on the client, as its consents stand in this transaction; `late`: for whom wants so."""
    found = subscriptions.of_client(connection, token)
    if not found:
        return
    consents = [stored_consent(text, patient) for text in store.current(connection, token)]
    for each in found:
        pulled = levers.use(connection, each.owner, {"late_notification", "duplicate_notification"})
        channel = each.resource["channel"]
        content = notification.bundle(each, patient, consents, now)
        as_xml = "xml" in channel.get("payload", _XML)
        body = to_xml(content) if as_xml else json.dumps(content, ensure_ascii=False).encode()
        media_type = _XML if as_xml else "application/fhir+json"
        times = 2 if "duplicate_notification" in pulled else 1
        told = [Notice(subscriptions.new_id(), each.id, patient, channel["endpoint"], media_type, body) for _ in range(times)]
        subscriptions.put(connection, told, late if "late_notification" in pulled else now)


def tell_end(connection: sa.Connection, stored: dict[str, Any], token: str, patient: str, now: str) -> None:
    """Store a notice for each holder that relied on what this change ends: the consent itself, or by an objection any permit."""
    ended = [stored["id"]] if stored["meta"]["versionId"] != "1" else []
    if stored["provision"]["type"] == "deny" and stored["status"] == ACTIVE:
        known = store.of_patient(connection, token)
        ended += [each["id"] for each in known if each["status"] == ACTIVE and each["provision"]["type"] == "permit"]
    for consent in sorted(set(ended)):
        body = json.dumps({"kind": "consent", "id": f"Consent/{consent}"}).encode()
        told = [
            Notice(subscriptions.new_id(), f"{_HOLDER}{ura}", patient, f"{_HOLDER}{ura}", "application/json", body)
            for ura in store.holders(connection, consent)
        ]
        subscriptions.put(connection, told, now)


@dataclass(slots=True)
class Notifying:
    """The courier of the notices of one register (`tenant`); a receiver that does not answer holds up nobody but itself.

    `addressing` is where the authorization servers of holders are found.
    """

    tenant: Tenant
    addressing: str
    wake_: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def after(self, change: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Return `change(connection, resource, token, ...)` that also stores, in its own transaction, what is to be told of it."""

        def both(connection: sa.Connection, resource: dict[str, Any], token: str, *rest: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
            stored = change(connection, resource, token, *rest)
            now = self.tenant.clock.now()
            patient = stored["patient"]["identifier"]["value"]
            tell_end(connection, stored, token, patient, instant(now))
            notify(connection, token, patient, instant(now), instant(now + timedelta(seconds=levers.LATE)))
            return stored

        return both

    async def start(self) -> None:
        """Begin, first of all with what an earlier process left."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End; what was not told waits in the database."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Tell that something was stored."""
        self.wake_.set()

    async def round(self) -> int:
        """Try the first notice of each subscription that is due; returns how many were taken."""
        due = await self.tenant.database.read(subscriptions.heads, instant(self.tenant.clock.now()))
        return sum(await asyncio.gather(*map(self._tell, due)))

    async def _tell(self, notice: Notice) -> bool:
        try:
            of_holder = notice.url.startswith(_HOLDER)
            url = await self._ended(notice.url.removeprefix(_HOLDER)) if of_holder else notice.url
            about = About((notice.patient,), interaction=None if of_holder else _TOLD)
            answer = await self.tenant.client.request(
                "POST", url, body=notice.body, content_type=notice.content_type, headers={"Idempotency-Key": notice.id}, about=about
            )
            taken, why = 200 <= answer.status < 300, f"status {answer.status}"
        except Unreachable as error:
            taken, why = False, str(error)
        if taken:
            await self.tenant.database.write(subscriptions.told, notice.id)
            return True
        pause = min(FIRST_PAUSE * 2**notice.attempts, LONGEST_PAUSE)
        log.warning("a notification waits", notice=notice.id, why=why[:200], pause=pause)
        due = instant(self.tenant.clock.now() + timedelta(seconds=pause))
        await self.tenant.database.write(subscriptions.postpone, notice.id, due)
        return False

    async def _ended(self, ura: str) -> str:
        return f"{await authorization_server(self.tenant, self.addressing, ura)}/ended"

    async def _run(self) -> None:
        while True:
            try:
                while await self.round():
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it was, what waits is safe and tried again
                log.warning("notifications wait", error=str(error)[:200])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self.wake_.wait()
            self.wake_.clear()
