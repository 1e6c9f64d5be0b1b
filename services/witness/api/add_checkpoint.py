"""C2SP tlog-witness: a log shows its newest checkpoint and gets a cosignature, if it extends what it showed before."""

from typing import Any

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.reasons import (
    CHECKPOINT_STALE,
    CHECKPOINT_UNSIGNED,
    MALFORMED,
    NOT_FOUND,
    PARTY_MISMATCH,
    SPLIT_VIEW,
    UPSTREAM,
    Refused,
)
from proeftuin.transparency import cosignature, merkle
from proeftuin.transparency.checkpoint import Checkpoint, CheckpointError, parse_verifier, verify
from proeftuin.transport.client import Client, Unreachable
from proeftuin.transport.tracing import Trace
from services.witness import store
from services.witness.request import Request, read

log = structlog.get_logger(__name__)


class Stale(Refused):
    """The log starts from another size than the one that was seen last, which is `size`."""

    def __init__(self, size: int) -> None:
        super().__init__(CHECKPOINT_STALE, f"the last checkpoint that was seen has size {size}")
        self.size = size


def tlog(refused: Refused, trace: Trace) -> Response:
    """Render a refusal as the protocol has it: 409 with the size that was seen, all others as problem+json."""
    if isinstance(refused, Stale):
        return Response(f"{refused.size}\n", 409, {"X-Reason": refused.reason.code}, "text/x.tlog.size")
    return problem(refused, trace)


def router(name: str, key: Ed25519PrivateKey, logging: str, operator: str) -> APIRouter:
    """Return the routes of the witness `name`; the log at `logging` belongs to the party `operator` (client_id)."""
    routes = guarded(tlog)
    verifier = cosignature.verifier_line(name, key.public_key())

    @routes.post("/add-checkpoint")
    @require(media_types=("text/plain", "application/octet-stream"), max_body=65536)
    async def add_checkpoint(admission: Admitted) -> Response:
        """Cosign a checkpoint; what was seen is stored before the cosignature leaves."""
        if admission.peer.client_id != operator:
            raise Refused(PARTY_MISMATCH, "only the log shows its checkpoints")
        asked = read(await admission.body())
        database = admission.tenant.database
        if await database.read(store.seen, asked.origin) is None:
            line = await _key_of(admission.tenant.client, logging, asked.origin)
            await database.write(store.pin, asked.origin, line)
        await database.write(extend, asked)
        moment = int(admission.tenant.clock.now().timestamp())
        return Response(cosignature.sign(asked.note, name, key, moment), media_type="text/plain")

    @routes.get("/key")
    @require()
    async def own_key(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """The key with which cosignatures are verified."""
        return Response(verifier, media_type="text/plain")

    @routes.get("/checkpoint")
    @require()
    async def checkpoint(admission: Admitted, origin: str = "") -> Response:
        """The newest checkpoint that was cosigned of the log `origin`: compare it with the one that the log shows you."""
        found = await admission.tenant.database.read(store.seen, origin) if origin.isprintable() else None
        if found is None or not found.note:
            raise Refused(NOT_FOUND, "no checkpoint of a log with this origin was seen")
        return Response(found.note, media_type="text/plain", headers={"Cache-Control": "no-cache"})

    return routes


def extend(connection: sa.Connection, asked: Request) -> Checkpoint:
    """Keep the checkpoint that was asked for when its log signed it and it extends the one that was seen; raises Refused."""
    seen = store.seen(connection, asked.origin, lock=True)
    if seen is None:
        raise Refused(NOT_FOUND, "the log is not known here")
    try:
        checkpoint = verify(asked.note, seen.verifier)
    except CheckpointError as error:
        raise Refused(CHECKPOINT_UNSIGNED, f"the checkpoint: {error}") from error
    if asked.old > checkpoint.size:
        raise Refused(MALFORMED, f"old {asked.old} is larger than the checkpoint, {checkpoint.size}")
    if asked.old != seen.checkpoint.size:
        raise Stale(seen.checkpoint.size)
    if checkpoint.size == seen.checkpoint.size and checkpoint.root != seen.checkpoint.root:
        log.error("split view", origin=asked.origin, seen=seen.checkpoint.size, shown=checkpoint.size)
        raise Stale(seen.checkpoint.size)
    try:
        _prove(seen.checkpoint, checkpoint, asked.proof)
    except merkle.ProofError as error:
        log.error("split view", origin=asked.origin, seen=seen.checkpoint.size, shown=checkpoint.size)
        raise Refused(
            SPLIT_VIEW, f"the log of {checkpoint.size} does not extend the one of {seen.checkpoint.size}: {error}"
        ) from error
    store.keep(connection, checkpoint, asked.note)
    return checkpoint


def _prove(old: Checkpoint, new: Checkpoint, proof: list[bytes]) -> None:
    if old.size > 0:
        merkle.verify_consistency(old.size, new.size, proof, old.root, new.root)
    elif proof or (new.size == 0 and new.root != merkle.EMPTY_ROOT):
        raise merkle.ProofError("an empty log is extended without a proof")


async def _key_of(client: Client, logging: str, origin: str) -> str:
    """Ask the log for its key line, once: from then on it is pinned."""
    try:
        answer: Any = await client.request("GET", f"{logging}/key")
        line: str = answer.body.decode() if answer.status == 200 else ""
        name, _ = parse_verifier(line)
    except (Unreachable, UnicodeDecodeError, CheckpointError) as error:
        raise Refused(UPSTREAM, f"the log did not give its key: {error}") from error
    if name != origin:
        raise Refused(NOT_FOUND, "the network's log has another origin")
    return line
