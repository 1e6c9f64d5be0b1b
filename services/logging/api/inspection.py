"""The client's own overview (Wabvpz art. 15e), with the proof of every row."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.enforcement import is_client_self
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import AUDIT_LOG_USED
from proeftuin.fhir.search import date_range
from proeftuin.reasons import PARAMETER_INVALID, SUBJECT_MISMATCH, Refused
from services.logging.indexing import patient_token
from services.logging.overview import overview


def router(index_key: bytes) -> APIRouter:
    """Return the route of the overview."""
    routes = guarded(problem)

    @routes.post("/inzage/logging")
    @require("patient/AuditEvent.rs", patient=True, event=AUDIT_LOG_USED, media_types=("application/x-www-form-urlencoded",))
    async def inspect(admission: Admitted) -> Response:
        """Who did what with the client's data; form `from` and `to` (dates) are optional."""
        if not is_client_self(admission.token):
            raise Refused(SUBJECT_MISMATCH, "the overview is for the client alone")
        form = await admission.form()
        try:
            since = date_range(form["from"])[0] if form.get("from") else None
            until = date_range(form["to"])[1] if form.get("to") else None
        except ValueError:
            raise Refused(PARAMETER_INVALID, "from and to are dates, such as 2026-01-31") from None
        token = patient_token(index_key, admission.patient)
        found = await admission.tenant.database.read(overview, token, since, until)
        return json_response(found, headers={"Cache-Control": "no-store"})

    return routes
