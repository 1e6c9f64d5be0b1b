"""The exchanges that the sandbox saw: a list, each of them in full, and as JSON, HAR and Mermaid."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, FastAPI
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from proeftuin.pki.identity import thumbprint
from proeftuin.reasons import CATALOGUE
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.web import diagram, explain
from proeftuin.sandbox.web.exchange import Exchange, put_together
from proeftuin.sandbox.web.har import archive, body_text
from proeftuin.sandbox.web.log_reader import LogReader
from proeftuin.sandbox.web.rendering import ENVIRONMENT, page
from proeftuin.tape.store import Wanted

_TRACE = re.compile(r"[0-9a-f]{32}")
PAGE = 50
ENVIRONMENT.globals |= {
    "body_text": body_text, "moment": explain.moment, "token_rows": explain.token_rows, "token_headline": explain.token_headline,
}  # fmt: skip


def router(home: Home) -> APIRouter:
    """Return the pages on exchanges."""
    reader = LogReader(home)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await reader.close()

    routes = APIRouter(lifespan=lifespan)

    @routes.get("/")
    async def exchanges(request: Request) -> Response:
        """The list, the newest first, narrowed by the query: trace, party, reason, status, since, until, refused, all, before."""
        asked = dict(request.query_params)
        try:
            wanted, before = read_wanted(asked), int(asked["before"]) if asked.get("before") else None
        except ValueError as error:
            return page("message.html", 400, title="That cannot be searched for", text=str(error))
        found = await asyncio.to_thread(home.tape.exchanges, wanted, PAGE + 1, before)
        more = found[PAGE - 1]["last"] if len(found) > PAGE else None
        if wanted.trace and not found:  # the log may know what is no longer on the tape
            return RedirectResponse(f"/exchanges/{wanted.trace}", 303)
        if wants_json(request):
            return JSONResponse({"exchanges": found[:PAGE], "next_before": more})
        recorded = home.tape.path.exists()
        return page("list.html", found=found[:PAGE], asked=asked, more=more, reasons=sorted(CATALOGUE), recorded=recorded)

    @routes.get("/open")
    async def open_(trace: str = "") -> Response:
        """Go to one exchange by its trace id, also one that is not on the tape."""
        wanted = trace.strip().lower()
        return RedirectResponse(f"/exchanges/{wanted}", 303) if _TRACE.fullmatch(wanted) else _unknown(wanted)

    @routes.get("/exchanges/{trace}.har")
    async def as_har(trace: str) -> Response:
        """One exchange as HAR 1.2."""
        found = await exchange_of(home, reader, trace)
        if found is None:
            return _unknown(trace)
        return JSONResponse(archive(found), headers={"Content-Disposition": f'attachment; filename="{trace}.har"'})

    @routes.get("/exchanges/{trace}.mmd")
    async def as_mermaid(trace: str) -> Response:
        """One exchange as a Mermaid sequence diagram."""
        found = await exchange_of(home, reader, trace)
        return _unknown(trace) if found is None else PlainTextResponse(diagram.mermaid(found))

    @routes.get("/exchanges/{trace}")
    async def one(request: Request, trace: str) -> Response:
        """One exchange: its diagram, and each hop with token, certificate, request, answer, decision and audit events."""
        found = await exchange_of(home, reader, trace)
        if found is None:
            return _unknown(trace)
        if wants_json(request):
            return JSONResponse(as_json(found))
        return page(
            "exchange.html", exchange=found, diagram=Markup(diagram.svg(found)), explained=explain.explain,  # noqa: S704 - svg escapes
            revoked=revoked_serials(home),
        )  # fmt: skip

    return routes


async def exchange_of(home: Home, reader: LogReader, trace: str) -> Exchange | None:
    """Return the exchange with this trace id, from tape and log; None when neither knows it."""
    if not _TRACE.fullmatch(trace):
        return None
    entries = home.tape.exchange(trace)
    ends = [entry[name]["identifier"] for entry in entries for name in ("caller", "server")]
    resources = await reader.of_trace(trace, {(end[0], end[1]) for end in ends if end})
    return put_together(trace, entries, resources, home.topology, roles_of(home)) if entries or resources else None


def roles_of(home: Home) -> dict[str, str]:
    """Return of each certificate of the sandbox, by thumbprint, which service of its party calls with it, or `system`."""
    places = [(home.instance_folder(each.name) / "tenants" / tenant, each.service)
              for each in home.topology.instances for tenant in each.tenants]  # fmt: skip
    places += [(home.party_folder(party.id), "system") for party in home.seed.parties]
    found = {_thumbprint(path): role for folder, role in places for path in folder.glob("*.pem")}
    return {name: role for name, role in found.items() if name is not None}


def _thumbprint(path: Path) -> str | None:
    try:
        return thumbprint(x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER))
    except (ValueError, OSError):  # a party's folder may hold other files
        return None


def as_json(exchange: Exchange) -> dict[str, Any]:
    """Return an exchange as the console's own JSON: as HAR's entries, with the hops that had no answer in their place."""
    hops = [
        {
            "number": hop.number, "depth": hop.depth, "from": asdict(hop.source), "to": asdict(hop.target), "what": hop.what,
            "status": hop.status, "reason": hop.reason, "detail": hop.detail, "remedy": hop.remedy, "tls": hop.tls,
            "started": hop.started, "milliseconds": hop.milliseconds, "explanation": explain.explain(hop), "tape": hop.entry,
            "audit_events": {name: [each.resource for each in getattr(hop, name)] for name in ("calling", "serving")},
        }
        for hop in exchange.hops
    ]  # fmt: skip
    return {"trace_id": exchange.trace_id, "refused": len(exchange.refusals), "hops": hops}


def read_wanted(asked: dict[str, str]) -> Wanted:
    """Return what the query parameters ask for; raises ValueError with what to write instead."""
    trace = asked.get("trace", "").strip().lower()
    if trace and not _TRACE.fullmatch(trace):
        raise ValueError("A trace id is 32 hexadecimal digits, as in traceparent and in each refusal.")
    status = asked.get("status", "").strip()
    if status and not re.fullmatch(r"[0-9]{1,3}", status):
        raise ValueError("A status is a number such as 403; 0 for what TLS refused.")
    since, until = (_time(asked.get(name, "").strip()) for name in ("since", "until"))
    return Wanted(
        trace=trace, party=asked.get("party", "").strip()[:100], reason=asked.get("reason", "").strip()[:60],
        status=int(status) if status else None, since=since, until=until, aside="all" in asked, refused="refused" in asked,
    )  # fmt: skip


def wants_json(request: Request) -> bool:
    """Tell whether the caller asks for JSON rather than for a page."""
    return "application/json" in request.headers.get("accept", "")


def revoked_serials(home: Home) -> set[str] | None:
    """Return the serials (hexadecimal) that are revoked now; None where the sandbox folder has no revocation list."""
    lists = [x509.load_pem_x509_crl(path.read_bytes()) for path in home.trust.glob("*.crl.pem")]
    return {f"{entry.serial_number:x}" for crl in lists for entry in crl} if lists else None


def _time(text: str) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("A time is written as 2026-11-25T14:30 (UTC).") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _unknown(trace: str) -> Response:
    text = f"Neither tape nor log has an exchange {trace[:64]}; the tape keeps the newest, and `proeftuin up` records."
    return page("message.html", 404, title="No such exchange", text=text)
