"""The log as C2SP tlog-tiles: checkpoint, tiles, key, and proofs for who does not compute them from the tiles."""

import base64
import re
from collections.abc import Callable

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.reasons import NOT_FOUND, PARAMETER_INVALID, Refused
from proeftuin.transparency import merkle
from proeftuin.transparency.tiles import SIZE, WIDTH, hash_at
from services.logging import store

_NUMBER = re.compile("[0-9]{1,18}")
_TILE = re.compile(r"([0-9]{1,2})/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def router(verifier: str) -> APIRouter:
    """Return the routes by which anyone in the network checks the log; `verifier` is its key line."""
    routes = guarded(problem)

    @routes.get("/checkpoint")
    @require()
    async def checkpoint(admission: Admitted) -> Response:
        """The newest signed checkpoint."""
        last = await admission.tenant.database.read(store.last_checkpoint)
        if last is None:
            raise Refused(NOT_FOUND, "the log has not begun")
        return Response(last[2], media_type="text/plain", headers={"Cache-Control": "no-cache"})

    @routes.get("/checkpoint/witnessed")
    @require()
    async def witnessed(admission: Admitted) -> Response:
        """The newest checkpoint that the witness cosigned, with its cosignature."""
        found = await admission.tenant.database.read(store.cosigned)
        if found is None:
            raise Refused(NOT_FOUND, "the witness has cosigned nothing yet")
        return Response(found[1], media_type="text/plain", headers={"Cache-Control": "no-cache"})

    @routes.get("/key")
    @require()
    async def key(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """The key with which checkpoints are verified."""
        return Response(verifier, media_type="text/plain")

    @routes.get("/proof/inclusion")
    @require()
    async def inclusion(admission: Admitted, index: str = "", size: str = "") -> Response:
        """The audit path of a leaf in the tree of a size."""
        return await _proof(admission, merkle.inclusion_proof, index, size)

    @routes.get("/proof/consistency")
    @require()
    async def consistency(admission: Admitted, old: str = "", new: str = "") -> Response:
        """The proof that one size of the tree extends another."""
        return await _proof(admission, merkle.consistency_proof, old, new)

    @routes.get("/tile/{level}/{position:path}")
    @require()
    async def tile(admission: Admitted, level: str, position: str) -> Response:
        """A tile of hashes; `position` in groups of three (x001/234), a partial one with `.p/<width>`."""
        path = _TILE.fullmatch(f"{level}/{position}")
        if not path:
            raise Refused(PARAMETER_INVALID, "a tile is /tile/<level>/<position>[.p/<width>], as C2SP tlog-tiles has it")
        place, wanted = int(re.sub("[x/]", "", path[2])), int(path[3] or WIDTH)
        hashes = await admission.tenant.database.read(store.tile, int(path[1]), place)
        if wanted > WIDTH or len(hashes) < wanted * SIZE:
            raise Refused(NOT_FOUND, "the log has no such tile")
        return Response(hashes[: wanted * SIZE], media_type="application/octet-stream")

    async def _proof(
        admission: Admitted, make: Callable[[int, int, merkle.HashAt], list[bytes]], first: str, second: str
    ) -> Response:
        if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(second)):
            raise Refused(PARAMETER_INVALID, "two whole numbers are needed")

        def prove(connection: sa.Connection) -> list[bytes]:
            last = store.last_checkpoint(connection)
            if last is None or int(second) > last[0]:
                raise ValueError("the tree is not that large yet")
            read = hash_at(lambda level, position: store.tile(connection, level, position))
            return make(int(first), int(second), read)

        try:
            path = await admission.tenant.database.read(prove)
        except ValueError as error:
            raise Refused(PARAMETER_INVALID, str(error)) from error
        return json_response({"path": [base64.b64encode(each).decode() for each in path]})

    return routes
