"""The one place where the log grows: what arrives together is appended in one transaction with tiles and signed checkpoint."""

import asyncio
import binascii
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, TypeVar

import rfc8785
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proeftuin.clock import Clock
from proeftuin.reasons import OVERLOADED, Refused
from proeftuin.storage.database import Database
from proeftuin.transparency import merkle
from proeftuin.transparency.checkpoint import Checkpoint, CheckpointError, verifier_line, verify
from proeftuin.transparency.tiles import Tree
from services.logging import partitions, store
from services.logging.erasure import GONE
from services.logging.indexing import Indexed, indexed
from services.logging.leadership import LOCK, Leadership

P = ParamSpec("P")
T = TypeVar("T")
WAITING, WAITING_BYTES = 5000, 64 << 20  # events and what they take; more than that is answered with 503
LARGEST_BATCH = 500


class LogDamagedError(RuntimeError):
    """What is stored is not what the last checkpoint signed: the service does not start."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An AuditEvent as it will be stored, who delivered it, and what it is found by; its id makes a repeat recognisable."""

    source: str
    document: bytes
    index: Indexed

    @property
    def event_id(self) -> str:
        """The id under which the log keeps the event."""
        return str(self.index.columns["event_id"])


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an event stands; `repeated` when it stood there already, `conflicting` when another stands there under its id."""

    index: int
    repeated: bool = False
    conflicting: bool = False


@dataclass(slots=True)
class Sequencer:
    """Appends to the log in `database`; `key` signs checkpoints, `index_key` makes the tokens that stand for BSNs."""

    database: Database
    clock: Clock
    origin: str
    key: Ed25519PrivateKey
    index_key: bytes
    largest: int = LARGEST_BATCH  # events in one transaction
    lead: Leadership | None = None  # None: this process alone has the log
    _pending: list[tuple[Delivery, asyncio.Future[Appended]]] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _tree: Tree | None = field(default=None, repr=False)
    _month: str = ""
    waiting_bytes: int = 0

    @property
    def waiting(self) -> int:
        """How many events wait to be written."""
        return len(self._pending)

    def prepare(self, source: str, event_id: str, event: dict[str, Any]) -> Delivery:
        """Return what will be stored of a valid AuditEvent; raises ValueError here, where it fails no other's event."""
        document = store.encoded(event | {"id": store.event_id(event_id)})
        found = indexed(document, self.index_key)
        return Delivery(source, document, found)

    async def append(self, deliveries: list[Delivery]) -> list[Appended]:
        """Return where each event stands, after they are durable; raises Refused(OVERLOADED, STANDBY) before anything is taken."""
        if self.lead is not None:
            self.lead.check()
        size = sum(len(delivery.document) for delivery in deliveries)
        if len(self._pending) + len(deliveries) > WAITING or self.waiting_bytes + size > WAITING_BYTES:
            raise Refused(OVERLOADED, f"{len(self._pending)} events wait to be written")
        self.waiting_bytes += size
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Appended]] = []
        for delivery in deliveries:
            future: asyncio.Future[Appended] = loop.create_future()
            self._pending.append((delivery, future))
            futures.append(future)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._drain())
        return list(await asyncio.gather(*futures))

    async def transact(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn`, which may `write`, as the one who writes the log; raises Refused(STANDBY)."""
        try:
            return await (self.lead or self.database).write(fn, *args, **kwargs)
        except Exception:
            self._month = ""  # a partition that was made is gone with the transaction
            raise

    async def _drain(self) -> None:
        await asyncio.sleep(0)  # let every request of this turn of the loop join
        while self._pending:
            batch, self._pending = self._pending[: self.largest], self._pending[self.largest :]
            self.waiting_bytes -= sum(len(delivery.document) for delivery, _ in batch)
            try:
                placed = await self.transact(self.write, [delivery for delivery, _ in batch], self.clock.now())
            except Exception as error:  # noqa: BLE001 - it belongs to the requests that wait
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), appended in zip(batch, placed, strict=True):
                if not future.done():
                    future.set_result(appended)

    def write(self, connection: sa.Connection, deliveries: list[Delivery], now: datetime) -> list[Appended]:
        """Append in the transaction of `connection`: rows, tiles and checkpoint, or nothing."""
        _lock(connection)
        last = store.last_checkpoint(connection)
        tree = self._tree_at(connection, last)
        known: dict[tuple[str, str], tuple[int, bytes]] = {}
        for source in {delivery.source for delivery in deliveries}:
            ids = [delivery.event_id for delivery in deliveries if delivery.source == source]
            found = store.delivered(connection, source, ids)
            known |= {(source, event_id): place for event_id, place in found.items()}
        placed: list[Appended] = []
        rows: list[dict[str, Any]] = []
        about: list[dict[str, Any]] = []
        received = store.moment(now)
        for delivery in deliveries:
            identity = (delivery.source, delivery.event_id)
            if identity in known:
                seq, document = known[identity]
                placed.append(Appended(seq, repeated=True, conflicting=document not in (GONE, delivery.document)))
                continue
            seq = tree.size + len(rows)
            known[identity] = seq, delivery.document
            about += [{"patient_token": token, "seq": seq, "received": received} for token in delivery.index.patients]
            nonce = secrets.token_bytes(16)
            rows.append(
                {
                    "seq": seq,
                    "source": delivery.source,
                    "received": received,
                    "document": delivery.document,
                    "nonce": nonce,
                    "entry": entry(received, delivery.source, nonce, delivery.document),
                }
                | delivery.index.columns
            )
            placed.append(Appended(seq))
        if rows:
            if connection.dialect.name == "postgresql" and self._month != received[:7]:
                partitions.ensure_month(connection, received)
                self._month = received[:7]
            store.add(connection, rows, about)
            for (level, position), hashes in tree.append([merkle.leaf_hash(row["entry"]) for row in rows]).items():
                store.put_tile(connection, level, position, hashes)
            checkpoint = Checkpoint(self.origin, tree.size, tree.root())
            store.add_checkpoint(connection, tree.size, checkpoint.root, checkpoint.sign(self.key))
            self._tree = tree
        return placed

    def _tree_at(self, connection: sa.Connection, last: tuple[int, bytes, str] | None) -> Tree:
        """The tree that the last checkpoint signed: kept from the last append, unless that was rolled back or is another's."""
        size, root = last[:2] if last else (0, merkle.EMPTY_ROOT)
        kept, self._tree = self._tree, None
        if kept is not None and (kept.size, kept.root()) == (size, root):
            return kept
        return Tree.load(size, lambda level, position: store.tile(connection, level, position))

    def begin(self, connection: sa.Connection) -> None:
        """Sign the empty log, or check that the stored one is the one last signed; raises LogDamagedError."""
        _lock(connection)
        self._tree, self._month = None, ""
        if store.last_checkpoint(connection) is None:
            empty = Checkpoint(self.origin, 0, merkle.EMPTY_ROOT)
            store.add_checkpoint(connection, 0, empty.root, empty.sign(self.key))
        self.check(connection)

    def check(self, connection: sa.Connection) -> None:
        """Raise LogDamagedError when the log, as the snapshot of `connection` has it, is not the one last signed."""
        last = store.last_checkpoint(connection)
        if last is None:
            return
        size, _, note = last
        try:
            signed = verify(note, verifier_line(self.origin, self.key.public_key()))
        except CheckpointError as error:
            raise LogDamagedError(f"the last checkpoint is not one that this log signed: {error}") from error
        stored = connection.scalar(sa.select(sa.func.count()).select_from(store.events))
        try:
            found = Tree.load(size, lambda level, position: store.tile(connection, level, position)).root()
        except LookupError as error:
            raise LogDamagedError(f"the log's tiles are incomplete: {error}") from error
        if (stored, size, found) != (signed.size, signed.size, signed.root):
            raise LogDamagedError(
                f"the log holds {stored} events and root {found.hex()[:16]}, the last checkpoint signed "
                f"{signed.size} and {signed.root.hex()[:16]}: it was changed outside the service; see `proeftuin log verify`"
            )


def _lock(connection: sa.Connection) -> None:
    """Let one session at a time write the log, until the transaction ends: whoever has the lead has this lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK})"))


def entry(received: str, source: str, nonce: bytes, document: bytes) -> bytes:
    """Return what is hashed into the tree: canonical JSON (RFC 8785) that commits to the document without holding it."""
    commitment = _commitment(nonce, document)
    return b'{"commit":"%b","received":"%b","source":%b,"v":1}' % (commitment, received.encode(), _canonical(source))


def committed_to(entry_: bytes, nonce: bytes, document: bytes) -> bool:
    """Tell whether an entry commits to this document."""
    return bool(json.loads(entry_)["commit"] == _commitment(nonce, document).decode())


def _commitment(nonce: bytes, document: bytes) -> bytes:
    return binascii.b2a_base64(hashlib.sha256(nonce + document).digest(), newline=False)


@lru_cache(maxsize=1024)  # few parties deliver many events
def _canonical(text: str) -> bytes:
    return rfc8785.dumps(text)
