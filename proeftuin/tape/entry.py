"""One entry of the tape: a request and its answer as the serving end saw them, decoded and redacted."""

import contextlib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from starlette.datastructures import Headers

from proeftuin.audit.record import Record
from proeftuin.pki.identity import Peer
from proeftuin.reasons import Reason
from proeftuin.tape.redaction import decode, is_secret, parse, redact
from proeftuin.transport.tracing import Trace

_ASIDE = re.compile(
    r"^/(health|metrics|key|checkpoint|add-checkpoint|tile/.*|openapi\.json|fhir/AuditEvent(/.*)?)$|/jwks(\.json)?$"
)


@dataclass(slots=True)
class Body:
    """What the application read, or gave, of a body: at most the first `kept` bytes of `size`."""

    size: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def add(self, chunk: bytes, most: int) -> None:
        """Count a chunk, and keep what there is room for."""
        self.size += len(chunk)
        if len(self.kept) < most:
            self.kept += chunk[: most - len(self.kept)]


@dataclass(slots=True)
class Taken:
    """A request and its answer, raw, as the recorder hands them over; times in seconds since 1970 and milliseconds."""

    instance: str
    service: str
    scope: Mapping[str, Any]
    trace: Trace
    record: Record | None
    started: float
    milliseconds: float
    status: int
    headers: list[tuple[bytes, bytes]]
    asked: Body
    answered: Body


def make(taken: Taken) -> dict[str, Any]:
    """Return the entry: JSON-able, redacted; of what the network does for itself without its bodies."""
    scope, record = taken.scope, taken.record
    tls = scope.get("extensions", {}).get("tls", {})
    sent, response = _headers(scope["headers"]), _headers(taken.headers)
    aside = not (record and record.reason) and taken.status < 400 and _aside(taken)
    asked, answered = (
        _size(passed) if aside else body(passed, _value(headers, "content-type"))
        for passed, headers in ((taken.asked, sent), (taken.answered, response))
    )
    request = {
        "method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode("latin-1"),
        "http": scope["http_version"], "headers": sent, "body": asked,
    }  # fmt: skip
    entry: dict[str, Any] = {
        "trace_id": taken.trace.trace_id, "span_id": taken.trace.span_id, "parent_id": taken.trace.parent_id,
        "request_id": taken.trace.request_id,
        "started": taken.started, "milliseconds": round(taken.milliseconds, 3),
        "instance": taken.instance, "service": taken.service,
        "caller": _end(record.client if record else None), "server": _end(record.server if record else None, taken.instance),
        "status": taken.status, "reason": record.reason.code if record and record.reason else None,
        "detail": record.outcome_detail if record else None, "tls": False,
        "certificate": certificate(tls.get("der"), tls.get("peer")),
        "bearer": bearer(Headers(raw=list(scope["headers"])).get("authorization", "")),
        "request": request,
        "response": {"headers": response, "body": answered},
        "decision": decision(record),
    }  # fmt: skip
    kept: dict[str, Any] = redact(entry)
    return kept | {"aside": aside}


def refused_handshake(
    instance: str, service: str, server: str, reason: Reason, detail: str, trace: Trace, now: float
) -> dict[str, Any]:  # fmt: skip
    """Return the entry of a connection that TLS refused: who called is not known, as the handshake never said."""
    return {
        "trace_id": trace.trace_id, "span_id": trace.span_id, "parent_id": None, "request_id": trace.request_id,
        "started": now, "milliseconds": 0.0, "instance": instance, "service": service,
        "caller": _end(None), "server": {"name": server, "identifier": None, "address": ""},
        "status": 0, "reason": reason.code, "detail": detail, "tls": True,
        "certificate": None, "bearer": None, "request": None, "response": None, "decision": {}, "aside": False,
    }  # fmt: skip


def body(passed: Body, content_type: str) -> dict[str, Any] | None:
    """Return a body by its media type: `content` of JSON and forms, `text` of other text, or its size alone."""
    if not passed.size:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    whole = passed.size == len(passed.kept)
    found: dict[str, Any] = {"type": media_type, "size": passed.size, "whole": whole}
    try:
        text = bytes(passed.kept).decode("utf-8", "strict" if whole else "replace")
    except UnicodeDecodeError:
        return found
    if whole and (media_type.endswith("json") or not media_type):
        try:
            return found | {"content": parse(text)}
        except (ValueError, RecursionError):
            pass
    if whole and media_type == "application/x-www-form-urlencoded":
        return found | {"content": _form(text)}
    return found | {"text": text}


def _form(text: str) -> dict[str, Any]:
    """A form by its names; a value that is a JSON object or list (authorization_details) is shown as such."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        shown: Any = value
        if value[:1] in ("{", "["):
            with contextlib.suppress(ValueError, RecursionError):
                shown = parse(value)
        if name in found:  # as a list of lists it would not tell one value from several
            found[name] = {"several": [*found[name]["several"], shown] if _several(found[name]) else [found[name], shown]}
        else:
            found[name] = shown
    return found


def _several(value: Any) -> bool:  # noqa: ANN401 - JSON is any
    return isinstance(value, dict) and value.keys() == {"several"}


def bearer(authorization: str) -> dict[str, Any] | None:
    """Return the scheme of an Authorization header, and header and claims of a token that can be read."""
    if not authorization:
        return None
    scheme, _, raw = authorization.partition(" ")
    found = decode(raw.strip())
    return {"scheme": scheme if found or scheme.lower() in ("bearer", "dpop", "saml", "basic") else "?", **(found or {})}


@functools.lru_cache(maxsize=256)
def certificate(der: bytes | None, peer: Peer | None) -> dict[str, Any] | None:
    """Return what an engineer asks of a client certificate; None when there was none."""
    if peer is None and der is None:
        return None
    found: dict[str, Any] = {"identifiers": {}}
    if peer is not None:
        identifiers = {name: getattr(peer, name) for name in ("ura", "oin", "uzovi", "kvk") if getattr(peer, name)}
        found |= {
            "subject": peer.common_name, "issuer": peer.issuer, "serial": f"{peer.serial:x}", "kind": peer.kind,
            "not_after": peer.not_after.isoformat(), "thumbprint": peer.thumbprint, "client_id": peer.client_id,
            "identifiers": identifiers,
        }  # fmt: skip
    if der is not None:
        leaf = x509.load_der_x509_certificate(der)
        found |= {
            "subject": leaf.subject.rfc4514_string(), "issuer": leaf.issuer.rfc4514_string(), "serial": f"{leaf.serial_number:x}",
            "not_before": leaf.not_valid_before_utc.isoformat(), "not_after": leaf.not_valid_after_utc.isoformat(),
        }  # fmt: skip
    return found


def decision(record: Record | None) -> dict[str, Any]:
    """Return what was decided by which rules, for whom and why, on which consents, and what the handler noted."""
    if record is None:
        return {}
    person = record.person
    found = {
        "policies": record.policies, "token id": record.token, "purpose": record.purpose, "consents": record.consents,
        "clients": len(record.patients),
        "person": f"{person.system}|{person.identifier} role {person.role or 'none'}" if person else None, **record.details,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _end(system: Any, name: str = "unknown") -> dict[str, Any]:  # noqa: ANN401 - a System or None
    if system is None:
        return {"name": name, "identifier": None, "address": ""}
    return {"name": system.name, "identifier": list(system.identifier) if system.identifier else None, "address": system.address}


def _headers(raw: Any) -> list[list[str]]:  # noqa: ANN401 - pairs of bytes, as ASGI has them
    found = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    return [[name, f"(redacted, {len(value)} characters)" if is_secret(name) else value] for name, value in found]


def _value(headers: list[list[str]], name: str) -> str:
    return next((value for each, value in headers if each.lower() == name), "")


def _aside(taken: Taken) -> bool:
    """Tell whether this is what the network does for itself beside exchanges: health, keys, and the way of events to the log."""
    method, path = taken.scope["method"], taken.scope["path"]
    if _ASIDE.search(path) or (taken.service, method, path) == ("logging", "POST", "/fhir"):
        return True
    return path.endswith("/token") and b"scope=system%2FAuditEvent" in taken.asked.kept


def _size(passed: Body) -> dict[str, Any] | None:
    return {"type": "", "size": passed.size, "whole": False, "text": "(not kept)"} if passed.size else None
