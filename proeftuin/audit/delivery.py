"""The ordinary way of audit events to the log: a FHIR batch over mTLS with a token of the party (IHE ITI-20)."""

from typing import Any

from proeftuin.audit.calling import Caller
from proeftuin.audit.outbox import Deliver, LaterError
from proeftuin.tokens.client import TokenClient
from proeftuin.transport.tracing import CURRENT

SCOPE = "system/AuditEvent.c"


def deliver_to(logging: str, client: Caller, tokens: TokenClient) -> Deliver:
    """Return the delivery to the logging service at `logging`; `fullUrl` carries the id by which it recognises repeats."""

    async def deliver(events: list[dict[str, Any]]) -> set[str]:
        CURRENT.set(None)  # the delivery is no part of the exchange that it tells of
        token = await tokens.token(logging, SCOPE)
        entries = [
            {"fullUrl": f"urn:uuid:{event['id']}", "resource": event, "request": {"method": "POST", "url": "AuditEvent"}}
            for event in events
        ]
        batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        answer = await client.request("POST", f"{logging}/fhir", content=batch, token=token, content_type="application/fhir+json")
        if answer.status == 401:
            tokens.forget()
        if answer.status != 200:
            asked = answer.headers.get("Retry-After", "")  # seconds; a date (RFC 9110 §10.2.3) counts for nothing
            seconds = float(asked) if asked.isascii() and asked.isdigit() else 0.0
            raise LaterError(f"the log answered {answer.status} {answer.headers.get('X-Reason', '')}", seconds)
        answers = answer.json()["entry"]
        return {
            event["id"] for event, entry in zip(events, answers, strict=True) if entry["response"]["status"][:3] in ("200", "201")
        }

    return deliver
