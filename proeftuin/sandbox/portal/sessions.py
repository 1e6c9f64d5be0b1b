"""Who is logged in at the portal: a random cookie that the browser sends to the portal's own pages alone, for 15 minutes."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from proeftuin.parties import Client

COOKIE = "portaal"
PATH = "/portaal"
LIFETIME = 15 * 60  # seconds without a request
MOST = 1000


@dataclass(slots=True)
class Session:
    """A client who is logged in, and `about` whom: the client, or someone whom the client represents.

    `tokens`: (scope, BSN) -> (token, when it ends). `notice`: what the next page tells of the last change, once.
    """

    client: Client
    seen: float
    about: Client
    tokens: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    notice: str = ""


class Sessions:
    """The sessions of this process; a restart ends them all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Session] = {}

    def begin(self, client: Client, response: Response) -> None:
        """Log `client` in: always under a new number, so that nobody can choose it beforehand."""
        now = self._clock()
        self._known = {key: each for key, each in self._known.items() if now - each.seen < LIFETIME}
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        number = secrets.token_urlsafe(32)
        self._known[number] = Session(client, now, client)
        response.set_cookie(COOKIE, number, path=PATH, httponly=True, samesite="strict")

    def of(self, request: Request) -> Session | None:
        """Return the session of a request, None when there is none or nothing was asked for too long."""
        session = self._known.get(request.cookies.get(COOKIE, ""))
        now = self._clock()
        if session is None or now - session.seen >= LIFETIME:
            return None
        session.seen = now
        return session

    def end(self, request: Request, response: Response) -> None:
        """Log out."""
        self._known.pop(request.cookies.get(COOKIE, ""), None)
        response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
