"""Retention: the keeper of the log erases what is past its term, or what a court orders; every erasure is an event itself."""

from collections.abc import Callable

import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import ERASURE
from proeftuin.clock import instant
from proeftuin.fhir.search import date_range
from proeftuin.reasons import INVALID_REQUEST, PARAMETER_INVALID, Refused
from services.logging import erasure, store
from services.logging.sequencer import Sequencer

MOST_PLACES = 500


def router(sequencer: Sequencer) -> APIRouter:
    """Return the route of the erasure."""
    routes = guarded(problem)

    @routes.post("/retention/erase")
    @require(own_party=True, event=ERASURE, media_types=("application/json",), max_body=65536)
    async def erase(admission: Admitted) -> Response:
        """Erase `{"before": "2021-01-01"}`, or `{"order": "<the court's reference>", "index": [12, 15]}` (Audit-Index)."""
        places = await _places(admission)

        def told_and_done(connection: sa.Connection) -> dict[str, object]:
            """The event that tells of it and the erasure itself, in one transaction: the log never tells of what was not done."""
            wanted = places(connection)
            found = erasure.ranges(wanted)
            held = store.archives_of(connection, found)
            admission.record.details["erased"] = erasure.written(found) or "none"
            if held:
                admission.record.details["archives"] = ",".join(held)
            place = tell(connection, admission, sequencer)
            erasure.erase(connection, found, place)
            return {"erased": len(wanted), "event": place, "archives": held}

        done = await sequencer.transact(told_and_done)
        admission.recorded = True  # in the log itself
        return json_response(done)

    return routes


def tell(connection: sa.Connection, admission: Admission, sequencer: Sequencer) -> int:
    """Append the event of this request in the transaction of `connection`; returns its place."""
    now = admission.tenant.clock.now()
    (event,) = admission.record.to_events(now)
    (appended,) = sequencer.write(connection, [sequencer.prepare(admission.peer.client_id, event["id"], event)], now)
    return appended.index


async def _places(admission: Admission) -> Callable[[sa.Connection], list[int]]:
    """Return what finds the places to erase; raises Refused."""
    body = await admission.json_object()
    if body.keys() == {"before"}:
        latest = erasure.latest(admission.tenant.clock.now())
        try:
            moment = date_range(body["before"])[0]
        except (TypeError, ValueError) as error:
            raise Refused(PARAMETER_INVALID, "before: a date, such as 2021-01-01") from error
        if moment > instant(latest):
            raise Refused(PARAMETER_INVALID, f"before: events are kept for {erasure.YEARS} years, so at most {latest:%Y-%m-%d}")
        admission.record.details["before"] = moment
        return lambda connection: erasure.kept_before(connection, moment)
    if body.keys() == {"order", "index"}:
        order, index = body["order"], body["index"]
        if not (isinstance(order, str) and 0 < len(order.strip()) <= 200):
            raise Refused(INVALID_REQUEST, "order: the reference of the court's order, at most 200 characters")
        if not (isinstance(index, list) and 0 < len(index) <= MOST_PLACES and all(type(each) is int for each in index)):
            raise Refused(INVALID_REQUEST, f"index: 1 to {MOST_PLACES} places (Audit-Index)")
        admission.record.details["order"] = order
        return lambda connection: erasure.kept_among(connection, [each for each in index if 0 <= each < 1 << 62])
    raise Refused(INVALID_REQUEST, "either before, or order and index")
