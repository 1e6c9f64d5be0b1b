"""Archiving: the keeper of the log tells of a file that it made of a year; that it was made is an event of the log itself."""

import re

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import ARCHIVE
from proeftuin.reasons import CONFLICT, INVALID_REQUEST, Refused
from services.logging import store
from services.logging.api.retention import tell
from services.logging.sequencer import Sequencer

_NUMBERS = ("year", "first", "last", "size")


def router(sequencer: Sequencer) -> APIRouter:
    """Return the route of the archive."""
    routes = guarded(problem)

    @routes.post("/retention/archive")
    @require(own_party=True, event=ARCHIVE, media_types=("application/json",), max_body=65536)
    async def archive(admission: Admitted) -> Response:
        """Record `{"file", "sha256", "year", "first", "last", "size"}` of an archive, before it gets its final name."""
        body = await admission.json_object()
        if body.keys() != {"file", "sha256", *_NUMBERS} or not all(type(body[name]) is int for name in _NUMBERS):
            raise Refused(INVALID_REQUEST, "file, sha256, and the whole numbers year, first, last and size")
        file, digest = body["file"], body["sha256"]
        if not (isinstance(file, str) and re.fullmatch(r"[\w.\-]{1,120}", file)):
            raise Refused(INVALID_REQUEST, "file: a name of at most 120 letters, digits, '.', '-' and '_'")
        if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)):
            raise Refused(INVALID_REQUEST, "sha256: 64 hexadecimal digits")
        last = await admission.tenant.database.read(store.last_checkpoint)
        if not (1 <= body["year"] <= 9999 and 0 <= body["first"] <= body["last"] < body["size"] <= (last[0] if last else 0)):
            raise Refused(INVALID_REQUEST, "first, last, size: in this order, and within the log")
        admission.record.details |= {name: str(value) for name, value in body.items()}

        def told_and_kept(connection: sa.Connection) -> int:
            if store.erased_since(connection, body["first"], body["last"], body["size"]):
                raise Refused(CONFLICT, "events of that year were erased after the archive was filled: fill it again")
            place = tell(connection, admission, sequencer)
            store.archived(connection, file, body["year"], body["first"], body["last"], place)
            return place

        place = await sequencer.transact(told_and_kept)
        admission.recorded = True  # in the log itself
        return json_response({"event": place})

    return routes
