"""What stands before every page of the console: only this machine's browser, only its own pages, nothing kept, nothing run."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proeftuin.reasons import FOREIGN_ORIGIN, UNKNOWN_HOST, Reason

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send Origin: null
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Answers 421 to a Host that is not this machine's (DNS rebinding), 403 to a change that another site's page asks for.

    `port` is where the console listens. What changes state needs an Origin of the console itself: a browser always sends one
    with POST, and a program can.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = frozenset(f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and put the protecting headers on the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        reason = self._refusal(scope["method"], Headers(scope=scope))
        answer = self._app if reason is None else _answer(reason)
        await answer(scope, receive, protected)

    def _refusal(self, method: str, headers: Headers) -> Reason | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return UNKNOWN_HOST
        if method in SAFE:
            return None
        origins = headers.getlist("origin")
        if origins != [f"http://{hosts[0]}"]:
            return FOREIGN_ORIGIN
        return None


def _answer(reason: Reason) -> JSONResponse:
    content = {"title": reason.code.replace("_", " "), "status": reason.status, "reason": reason.code, "remedy": reason.remedy}
    return JSONResponse(content, reason.status, media_type="application/problem+json")
