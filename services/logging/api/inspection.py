"""The client's own overview (Wabvpz art. 15e), with the proof of every row: to read, to print, to keep and to check."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.acting import standing_of
from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.enforcement import is_client_self
from proeftuin.access.negotiation import choose
from proeftuin.access.rendering import problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import AUDIT_LOG_USED
from proeftuin.clock import instant
from proeftuin.fhir.search import read_cursor, write_cursor
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.overview import csv, html, pdf
from proeftuin.overview.table import DUTCH_TIME
from proeftuin.parties import Seed
from proeftuin.reasons import NOT_ACCEPTABLE, PARAMETER_INVALID, SUBJECT_MISMATCH, Refused
from services.logging.indexing import indexable, patient_token
from services.logging.overview import PAGE, Asked, overview

_JSON = "application/json"
_PARAMETERS = {
    "from": "a day (Dutch time), such as 2026-01-31", "to": "a day, inclusive", "organisation": "system|value",
    "_count": f"1 to {PAGE} events", "_cursor": "from `here` or `next`, unchanged", "_format": "json, csv, pdf or html",
}  # fmt: skip
_CLOSED = f"{html.POLICY}; frame-ancestors 'none'"


def _json(found: dict[str, Any]) -> bytes:
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


_FORMS: dict[str, tuple[str, Callable[[dict[str, Any]], bytes], str]] = {  # media type -> short name, renderer, more of the type
    _JSON: ("json", _json, ""),
    csv.MEDIA_TYPE: ("csv", csv.render, "; charset=utf-8; header=present"),
    pdf.MEDIA_TYPE: ("pdf", pdf.render, ""),
    html.MEDIA_TYPE: ("html", html.render, "; charset=utf-8"),
}


def router(index_key: bytes, seed: Seed) -> APIRouter:
    """Return the route of the overview; `seed` knows which organisations show the names of their professionals."""
    routes = guarded(problem)

    def name(system: str, number: str) -> str | None:
        person = seed.professional(number) if system == UZI_SYSTEM else None
        return person.name if person and seed.party(person.employer).shows_names else None

    @routes.post("/inzage/logging")
    @require("patient/AuditEvent.rs", patient=True, event=AUDIT_LOG_USED, form=_PARAMETERS)
    async def inspect(admission: Admitted) -> Response:
        """Who did what with the client's data."""
        _check_reader(admission, seed)
        form = await admission.form(strict=True)
        media_type = _form(admission, form)
        short, render, more = _FORMS[media_type]
        admission.record.details["format"] = short
        admission.record.query = f"inzage/logging?{urlencode(form)}".encode()
        asked = _asked(form, patient_token(index_key, admission.patient))
        try:
            found = await admission.tenant.database.read(overview, asked, name)
        except LookupError:
            raise Refused(PARAMETER_INVALID, "_cursor: take it from `here` or `next`, unchanged") from None
        here, following = (found[name] and write_cursor("{}.{}".format(*found[name])) for name in ("here", "next"))
        found |= {
            "made": instant(admission.tenant.clock.now()),
            "asked": {key: form.get(key) for key in ("from", "to", "organisation")},
            "here": here,
            "next": following,
        }
        body = await asyncio.to_thread(render, found)  # a PDF takes its time
        return Response(body, headers=_headers(short, here, following), media_type=media_type + more)

    return routes


def _check_reader(admission: Admission, seed: Seed) -> None:
    """Raise Refused unless this is the client, or who may decide for the client today, alone or together with the client."""
    if is_client_self(admission.token):
        return
    person = admission.token.grant.person
    if person is None or person.system != BSN_SYSTEM:
        raise Refused(SUBJECT_MISMATCH, "the overview is for the client, or a representative")
    standing_of(seed, admission.tenant, admission.patient, person.identifier)


def _form(admission: Admission, form: dict[str, str]) -> str:
    """The media type of the answer: the field `_format` (for a browser's form) before the header Accept."""
    wanted = form.get("_format")
    if wanted is not None:
        found = next((media_type for media_type, (short, _, _) in _FORMS.items() if wanted in (short, media_type)), None)
    else:
        found = choose(admission.request.headers.get("accept"), list(_FORMS))
    if found is None:
        raise Refused(NOT_ACCEPTABLE, f"the overview is given as {', '.join(_FORMS)}")
    return found


def _local(day: str, *, end: bool = False) -> str:
    """The begin of a day in the Netherlands, or its end, as an instant: the client reads Dutch time. Raises ValueError."""
    first = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=DUTCH_TIME)
    return instant(first + timedelta(days=1) if end else first)


def _asked(form: dict[str, str], token: str) -> Asked:
    try:
        since = _local(form["from"]) if "from" in form else None
        until = _local(form["to"], end=True) if "to" in form else None
    except (ValueError, OverflowError):
        raise Refused(PARAMETER_INVALID, "from and to are dates, such as 2026-01-31") from None
    organisation = form.get("organisation")
    if organisation is not None and "|" not in organisation:
        raise Refused(PARAMETER_INVALID, "organisation: system|value")
    count = form.get("_count", str(PAGE))
    if not re.fullmatch("[0-9]{1,4}", count) or not 0 < int(count) <= PAGE:
        raise Refused(PARAMETER_INVALID, f"_count: 1 to {PAGE} events")
    size = before = None
    if "_cursor" in form:
        place = re.fullmatch(r"([0-9]{1,18})\.([0-9]{1,18})", read_cursor(form["_cursor"]) or "")
        if place is None:
            raise Refused(PARAMETER_INVALID, "_cursor: take it from `here` or `next`, unchanged")
        size, before = int(place[1]), int(place[2])
    return Asked(token, since, until, organisation and indexable(organisation), before, size, int(count))


def _headers(short: str, here: str, following: str | None) -> dict[str, str]:
    kept = "inline" if short in ("json", "html") else "attachment"
    return {
        "Cache-Control": "no-store",
        "Vary": "Accept",
        "Cursor": here,
        "Content-Disposition": f'{kept}; filename="overzicht.{short}"',
        "Content-Security-Policy": _CLOSED,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    } | ({"Next-Cursor": following} if following else {})
