"""The export of a party's own events in the form of Logius' Logboek Dataverwerkingen: NDJSON, or OTLP/JSON for a collector."""

import base64
import hmac
import json
from functools import partial
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import EXPORT
from proeftuin.fhir.search import carries_bsn, write_cursor
from proeftuin.reasons import IDENTIFIER_IN_URL, Refused
from proeftuin.transparency.merkle import leaf_hash
from services.logging import ldv, store
from services.logging.api.retrieval import PARAMETERS, parse
from services.logging.indexing import indexable

SCOPE = "system/AuditEvent.rs"
NDJSON, OTLP = "application/x-ndjson", "application/json"


def router(index_key: bytes) -> APIRouter:
    """Return the routes of the export; a pseudonym stands for a BSN, another one for each party."""
    routes = guarded(problem)

    @routes.get("/ldv")
    @require(SCOPE, event=EXPORT, query=PARAMETERS, required=("date",))
    async def export(admission: Admitted) -> Response:
        """The events that a search by the parameters of ITI-81 finds (`date` is required), as Logius has them."""
        pairs = parse_qsl(admission.request.url.query, keep_blank_values=True)
        if any(carries_bsn(name) or carries_bsn(value) for name, value in pairs):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        return await _answer(admission, pairs, [], index_key)

    @routes.post("/ldv")
    @require(SCOPE, event=EXPORT, query=PARAMETERS, form=PARAMETERS)
    async def export_by_form(admission: Admitted) -> Response:
        """The same, with the parameters in a form: the way to export what is about one client."""
        place = parse_qsl(admission.request.url.query, keep_blank_values=True)
        if any(carries_bsn(name) or carries_bsn(value) for name, value in place):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        form = (await admission.body()).decode("utf-8", "replace")
        return await _answer(admission, place, parse_qsl(form, keep_blank_values=True), index_key)

    return routes


async def _answer(admission: Admission, pairs: list[tuple[str, str]], form: list[tuple[str, str]], index_key: bytes) -> Response:
    peer, database = admission.peer, admission.tenant.database
    admission.record.query = f"ldv?{urlencode([*pairs, *form])}".encode()
    own = {"source": [peer.client_id], "observer": [indexable("|".join(peer.identifier))]}
    query, patient = parse([*pairs, *form], index_key, own)
    admission.record.patients = [patient] if patient else []
    rows, more = await database.read(store.search, query)
    last = await database.read(store.last_checkpoint)
    key = hmac.digest(index_key, f"ldv {peer.client_id}".encode(), "sha256")
    size = last[0] if last else 0
    records = [ldv.record(row.resource, _controls(row, size), partial(_pseudonym, key)) for row in rows]
    headers = {}
    if more is not None:
        rest = [pair for pair in pairs if pair[0] != "_cursor"]
        url = f"{admission.tenant.audience}/ldv?{urlencode([*rest, ('_cursor', write_cursor(str(more)))])}"
        headers["Link"] = f'<{url}>; rel="next"'
    if OTLP in admission.request.headers.get("accept", ""):
        return json_response(ldv.otlp(records), media_type=OTLP, headers=headers)
    lines = "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records)
    return Response(lines.encode(errors="replace"), headers=headers, media_type=NDJSON)


def _controls(row: store.Row, size: int) -> dict[str, object]:
    return {"seq": row.seq, "leaf": base64.b64encode(leaf_hash(row.entry)).decode(), "size": size}


def _pseudonym(key: bytes, bsn: str) -> str:
    return hmac.digest(key, bsn.encode(errors="replace"), "sha256").hex()
