"""The exchanges that the sandbox saw: a list of them."""

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.sandbox.home import Home
from proeftuin.sandbox.web.rendering import page


def router(home: Home) -> APIRouter:  # noqa: ARG001 - the pages on exchanges read it
    """Return the pages on exchanges."""
    routes = APIRouter()

    @routes.get("/")
    async def exchanges() -> Response:
        """The list."""
        return page("message.html", title="Exchanges", text="Nothing was recorded yet.")

    return routes
