"""Having the newest checkpoint cosigned by the witness, again and again: what it has seen cannot be rewritten unseen."""

import asyncio
import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from proeftuin.storage.database import Database
from proeftuin.storage.secrets import secret
from proeftuin.transparency import cosignature, merkle
from proeftuin.transparency.checkpoint import CheckpointError
from proeftuin.transparency.tiles import hash_at
from proeftuin.transport.client import Client, Unreachable
from services.logging import store
from services.logging.leadership import Leadership

log = structlog.get_logger(__name__)
PAUSE = 0.5  # seconds between two cosignatures
LONGEST_PAUSE = 10.0


class WitnessRefusedError(RuntimeError):
    """The witness saw another log than this one: it was rewritten, cut off or restored from an older copy."""


@dataclass(slots=True)
class Witnessing:
    """Shows the checkpoints in `database` to the `witness` (address); its key line, once seen, is kept in the file `pinned`.

    `alarm` says what the witness refused, None when all is well.
    """

    database: Database
    client: Client
    witness: str
    pinned: Path
    lead: Leadership | None = None  # only who writes the log shows it
    alarm: str | None = None
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Begin, also with what was appended while nobody showed it."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End; what was not shown is shown at the next start."""
        if self._task is not None:
            self._task.cancel()

    def health(self) -> dict[str, Any]:
        """Return the state for /health."""
        return {"status": "down", "detail": self.alarm} if self.alarm else {"status": "up"}

    async def _run(self) -> None:
        pause = PAUSE
        while True:
            try:
                await self.show()
                pause = PAUSE
            except WitnessRefusedError as error:
                self.alarm = str(error)
                log.error("the witness refuses the log", detail=self.alarm)
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, the checkpoint is shown again
                log.info("no cosignature yet", error=str(error)[:200], pause=pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def show(self) -> None:
        """Have the newest checkpoint cosigned if it is not; raises WitnessRefusedError, and Unreachable or OSError to try again."""
        if self.lead is not None and not self.lead.leading:
            return
        last = await self.database.read(store.last_checkpoint)
        known = await self.database.read(store.cosigned)
        if last is None or (known is not None and known[0] == last[0]):
            return
        size, _, note = last
        old = known[0] if known else 0
        for _ in range(2):  # the second time from the size that the witness names
            if old > size:
                raise WitnessRefusedError(f"the witness saw a log of {old} events, this one has {size}: its end was cut off")
            proof = await self.database.read(_proof, old, size)
            lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof)]
            body = "\n".join(lines) + f"\n\n{note}"
            answer = await self.client.request(
                "POST", f"{self.witness}/add-checkpoint", body=body.encode(), content_type="text/plain"
            )  # fmt: skip
            if answer.status == 409 and (seen := answer.body.decode().strip()).isdigit() and int(seen) != old:
                old = int(seen)
                continue
            break
        if answer.status in (403, 409, 422):
            raise WitnessRefusedError(
                f"the witness answered {answer.status} {answer.headers.get('X-Reason', '')} to a log of {size}"
            )
        if answer.status != 200:
            raise Unreachable(f"the witness answered {answer.status} {answer.headers.get('X-Reason', '')}")
        line = answer.body.decode()
        cosignature.verify(note + line, await self._key())
        await (self.lead or self.database).write(store.cosign, size, line)

    async def _key(self) -> str:
        if not self.pinned.exists():
            answer = await self.client.request("GET", f"{self.witness}/key")
            if answer.status != 200:
                raise CheckpointError(f"the witness answered {answer.status} to the question for its key")
            secret(self.pinned, lambda: answer.body)
        return self.pinned.read_text()


def _proof(connection: sa.Connection, old: int, size: int) -> list[bytes]:
    if old == 0:
        return []
    return merkle.consistency_proof(old, size, hash_at(lambda level, position: store.tile(connection, level, position)))
