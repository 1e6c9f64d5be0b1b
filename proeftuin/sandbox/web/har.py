"""An exchange as HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/); what HAR has no field for begins with `_`."""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from proeftuin.sandbox.web.exchange import Exchange, Hop
from proeftuin.sandbox.web.explain import explain


def archive(exchange: Exchange) -> dict[str, Any]:
    """Return the archive: an entry for each hop that is on the tape, `_without_answer` for those that TLS or nobody answered."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "Proeftuin console", "version": "0.1.0"},
            "pages": [],
            "entries": [_entry(hop) for hop in exchange.hops if hop.entry and hop.entry["request"]],
            "comment": f"exchange {exchange.trace_id} of a sandbox: fictitious data, tokens without signature, secrets redacted",
            "_without_answer": [_told(hop) for hop in exchange.hops if not (hop.entry and hop.entry["request"])],
        }
    }


def _entry(hop: Hop) -> dict[str, Any]:
    entry: dict[str, Any] = hop.entry or {}
    request, response = entry["request"], entry["response"]
    host = next((value for name, value in request["headers"] if name.lower() == "host"), "localhost")
    query = f"?{request['query']}" if request["query"] else ""
    version = f"HTTP/{request['http']}"
    url = f"https://{_one_line(host)}{request['path']}{query}"
    sent: dict[str, Any] = {
        "method": request["method"], "url": url, "httpVersion": version,
        "cookies": [], "headers": _headers(request["headers"]),
        "headersSize": -1, "bodySize": (request["body"] or {}).get("size", 0),
        "queryString": [{"name": name, "value": value} for name, value in parse_qsl(request["query"], keep_blank_values=True)],
    }  # fmt: skip
    if request["body"]:
        sent["postData"] = {"mimeType": request["body"]["type"], "params": [], "text": body_text(request["body"])}
    size = (response["body"] or {}).get("size", 0)
    content: dict[str, Any] = {"size": size, "mimeType": (response["body"] or {}).get("type") or "application/octet-stream"}
    if response["body"]:
        content["text"] = body_text(response["body"])
    return {
        "startedDateTime": datetime.fromtimestamp(hop.started, UTC).isoformat(timespec="milliseconds"),
        "time": hop.milliseconds,
        "request": sent,
        "response": {
            "status": hop.status, "statusText": _phrase(hop.status), "httpVersion": version, "cookies": [],
            "headers": _headers(response["headers"]), "content": content, "redirectURL": "", "headersSize": -1, "bodySize": size,
        },
        "cache": {},
        "timings": {"send": 0, "wait": hop.milliseconds, "receive": 0},
        **_told(hop),
    }  # fmt: skip


def _told(hop: Hop) -> dict[str, Any]:
    entry = hop.entry or {}
    return {
        "_hop": hop.number, "_from": f"{hop.source.party} ({hop.source.role})", "_to": f"{hop.target.party} ({hop.target.role})",
        "_what": hop.what, "_outcome": hop.outcome, "_reason": hop.reason, "_detail": hop.detail, "_remedy": hop.remedy,
        "_explanation": explain(hop), "_span_id": entry.get("span_id"), "_request_id": entry.get("request_id"),
        "_token": entry.get("bearer"), "_certificate": entry.get("certificate"), "_decision": entry.get("decision"),
        "_audit_events": {
            "calling": [event.resource for event in hop.calling], "serving": [event.resource for event in hop.serving]
        },
    }  # fmt: skip


def body_text(body: dict[str, Any]) -> str:
    """Return a body of the tape as text: as JSON where it was decoded."""
    if "content" in body:
        return json.dumps(body["content"], ensure_ascii=False, indent=1)
    return str(body.get("text", f"({body['size']} bytes that are no text)"))


def _headers(headers: list[list[Any]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value if isinstance(value, str) else json.dumps(value)} for name, value in headers]


def _one_line(value: Any) -> str:  # noqa: ANN401 - a header, or a token in its place
    return str(value).split(maxsplit=1)[0] if str(value).split() else "localhost"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
