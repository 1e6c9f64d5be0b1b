"""The live tail: each request as it is answered, by server-sent events; without JavaScript a page that renews itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from proeftuin.reasons import CATALOGUE
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.web.exchanges import read_wanted
from proeftuin.sandbox.web.rendering import page
from proeftuin.tape.store import Wanted

PAUSE, SIGN_OF_LIFE = 0.5, 15.0  # seconds
SHOWN, MOST_TAILS = 50, 20


def router(home: Home) -> APIRouter:
    """Return the page and its stream."""
    routes = APIRouter()
    tails: set[object] = set()

    @routes.get("/live")
    async def live(request: Request) -> Response:
        """The newest entries; the page's script adds what comes."""
        asked = dict(request.query_params)
        try:
            wanted = read_wanted(asked)
        except ValueError as error:
            return page("message.html", 400, title="That cannot be searched for", text=str(error))
        last = await asyncio.to_thread(home.tape.last)
        found = await asyncio.to_thread(home.tape.after, last - 20 * SHOWN, wanted, 20 * SHOWN)
        rows = [row(entry) for entry in reversed(found[-SHOWN:])]
        return page("live.html", rows=rows, last=last, asked=asked, reasons=sorted(CATALOGUE))

    @routes.get("/live/events")
    async def events(request: Request) -> Response:
        """The entries after `after` (or Last-Event-ID) as server-sent events; 503 when too many listen."""
        try:
            wanted = read_wanted(dict(request.query_params))
            after = int(request.headers.get("last-event-id") or request.query_params.get("after") or home.tape.last())
        except ValueError as error:
            return page("message.html", 400, title="That cannot be listened to", text=str(error))
        if len(tails) >= MOST_TAILS:
            return page("message.html", 503, title="Too many listen", text=f"At most {MOST_TAILS} pages show the live tail.")

        async def listen() -> AsyncIterator[str]:
            tail = object()
            tails.add(tail)
            try:
                async for block in _stream(home, wanted, after):
                    yield block
            finally:
                tails.discard(tail)

        return StreamingResponse(listen(), media_type="text/event-stream")

    return routes


async def _stream(home: Home, wanted: Wanted, after: int) -> AsyncIterator[str]:
    quiet = 0.0
    yield "retry: 1000\n\n"
    while True:
        found = await asyncio.to_thread(home.tape.after, after, wanted)
        for entry in found:
            after = entry["id"]
            yield f"id: {after}\ndata: {json.dumps(row(entry))}\n\n"
        quiet = 0.0 if found else quiet + PAUSE
        if quiet >= SIGN_OF_LIFE:  # so that a connection that nobody reads is found out
            quiet = 0.0
            yield ": nothing happened\n\n"
        await asyncio.sleep(PAUSE)


def row(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what the tail shows of an entry."""
    request = entry["request"]
    return {
        "trace": entry["trace_id"], "started": entry["started"], "from": entry["caller"]["name"], "to": entry["server"]["name"],
        "service": entry["service"], "what": f"{request['method']} {request['path']}" if request else "TLS handshake",
        "status": entry["status"], "reason": entry["reason"], "milliseconds": entry["milliseconds"],
    }  # fmt: skip
