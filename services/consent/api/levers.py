"""The levers of the sandbox: each party pulls them for itself."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.reasons import INVALID_REQUEST, NOT_FOUND, Refused
from services.consent import levers

MOST = 1000


def router() -> APIRouter:
    """Return the routes of the levers."""
    routes = guarded(problem)

    @routes.get("/sandbox/levers")
    @require()
    async def show(admission: Admitted) -> Response:
        """What there is, and what this party pulled: `{"levers": [{"name", "what", "times"}]}`."""
        pulled = await admission.tenant.database.read(levers.pulled, admission.peer.client_id)
        found = [{"name": name, "what": what, "times": pulled.get(name, 0)} for name, what in levers.NAMES.items()]
        return json_response({"levers": found}, headers={"Cache-Control": "no-store"})

    @routes.put("/sandbox/levers/{name}")
    @require(media_types=("application/json",), max_body=1024)
    async def pull(admission: Admitted, name: str) -> Response:
        """Pull a lever: `{"times": 3}`; 0 takes it back."""
        if name not in levers.NAMES:
            raise Refused(NOT_FOUND, f"there are {', '.join(levers.NAMES)}")
        times = (await admission.json_object()).get("times")
        if type(times) is not int or not 0 <= times <= MOST:
            raise Refused(INVALID_REQUEST, f"times is a whole number from 0 to {MOST}")
        await admission.write(levers.pull, admission.peer.client_id, name, times)
        return json_response({"name": name, "times": times})

    return routes
