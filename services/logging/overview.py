"""The client's overview (Wabvpz art. 15e): who made available, viewed or requested what, when, on what ground, with its proof."""

import base64
from typing import Any

import sqlalchemy as sa

from proeftuin.audit.record import CLIENT_ID_SYSTEM
from proeftuin.identifiers import BSN_SYSTEM, UZI_ROLE_SYSTEM
from proeftuin.transparency import merkle
from proeftuin.transparency.tiles import hash_at
from services.logging import store

_MADE_AVAILABLE = {"create", "update", "transaction"}
_VIEWED = {"read", "search-type", "vread"}


def overview(connection: sa.Connection, token: str, since: str | None, until: str | None, limit: int = 500) -> dict[str, Any]:
    """Return the rows on one client, newest first, each with a proof of inclusion in the newest checkpoint."""
    last = store.last_checkpoint(connection)
    if last is None:
        raise LookupError("the log has no checkpoint")
    size, _, note = last
    rows, more = store.search(connection, store.Query({}, token, since, until, before=size, count=limit))
    read = hash_at(lambda level, position: store.tile(connection, level, position))
    return {
        "checkpoint": note,
        "witnessed": _witnessed(connection, size, read),
        "complete": more is None,
        "rows": [_row(row, merkle.inclusion_proof(row.seq, size, read)) for row in rows],
    }


def _witnessed(connection: sa.Connection, size: int, read: merkle.HashAt) -> dict[str, Any] | None:
    """The newest checkpoint with the witness's cosignature, and the proof that the one of `size` extends it."""
    found = store.cosigned(connection)
    if found is None or not 0 < found[0] <= size:
        return None
    path = merkle.consistency_proof(found[0], size, read)
    return {"checkpoint": found[1], "consistency": [base64.b64encode(each).decode() for each in path]}


def _row(row: store.Row, path: list[bytes]) -> dict[str, Any]:
    event = row.resource
    entities = event.get("entity", [])
    details = {detail["type"]: detail.get("valueString") for entity in entities for detail in entity.get("detail", [])}
    codings = [coding for concept in event.get("purposeOfEvent", []) for coding in concept.get("coding", [])]
    purposes = [coding["code"] for coding in codings if "code" in coding]
    shared = len(_clients(event)) > 1  # the document would show another client's data
    return {
        "when": event["recorded"],
        "organisation": _requester(event),
        "logged_by": event["source"]["observer"].get("display") or event["source"].get("site"),
        "delivered_by": row.source,
        "role": _role(event),
        "what": _what(event, details),
        "category": details.get("category") or details.get("scope"),
        "purpose": purposes[0] if purposes else None,
        "outcome": "refused" if event.get("outcome", "0") != "0" else "given",
        "reason": details.get("reason"),
        "emergency": bool({"ETREAT", "BTG"} & set(purposes)),
        "trace_id": row.trace_id,
        "proof": {
            "index": row.seq,
            "entry": base64.b64encode(row.entry).decode(),
            "nonce": None if shared else base64.b64encode(row.nonce).decode(),
            "document": None if shared else base64.b64encode(row.document).decode(),
            "path": [base64.b64encode(each).decode() for each in path],
        },
    }


def _clients(event: dict[str, Any]) -> set[str]:
    """The BSNs in an event: of those it is about, and of who acted for them."""
    who = [agent.get("who", {}).get("identifier", {}) for agent in event["agent"]]
    return set(store.patients(event)) | {str(each.get("value")) for each in who if each.get("system") == BSN_SYSTEM}


def _requester(event: dict[str, Any]) -> dict[str, Any]:
    """The organisation that asked: the technical client, which stands first."""
    who = event["agent"][0].get("who", {})
    identifier = who.get("identifier", {})
    return {
        "name": who.get("display"),
        "identifier": None if identifier.get("system") == BSN_SYSTEM else _organisation_in(identifier),
    }


def _organisation_in(identifier: dict[str, Any]) -> str | None:
    """The number of an organisation, also where it stands in its client_id (`ura:90000101`)."""
    value: str | None = identifier.get("value")
    return value.rpartition(":")[2] if value and identifier.get("system") == CLIENT_ID_SYSTEM else value


def _role(event: dict[str, Any]) -> str | None:
    for agent in event["agent"]:
        for role in agent.get("role", []):
            for coding in role.get("coding", []):
                if coding.get("system") == UZI_ROLE_SYSTEM:
                    return str(coding.get("code"))
    return None


def _what(event: dict[str, Any], details: dict[str, str | None]) -> str:
    subtype = next((subtype.get("code") for subtype in event.get("subtype", [])), None)
    if event.get("outcome", "0") != "0" or details.get("reason"):
        return "refused"
    if subtype in _MADE_AVAILABLE:
        return "made available"
    return "viewed" if subtype in _VIEWED else "requested"
