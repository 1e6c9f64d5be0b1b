"""One exchange put together: what the tape saw of each hop, joined with what both ends of it logged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from proeftuin.reasons import CATALOGUE
from proeftuin.sandbox.topology import Topology

_KOPPELTAAL = "http://koppeltaal.nl/fhir/StructureDefinition/"
_TRACEPARENT = "https://proeftuin.example/StructureDefinition/traceparent"
_SLACK = 0.003  # seconds between the end of an answer at one end and at the other


@dataclass(frozen=True, slots=True)
class Lifeline:
    """A vertical line of the diagram: a party's own system, or a service of that party."""

    party: str
    role: str


@dataclass(frozen=True, slots=True)
class Event:
    """An AuditEvent as one end logged it."""

    observer: str
    span_id: str
    request_id: str
    client: str
    server: str
    address: str
    what: str
    outcome: str
    told: str
    recorded: float
    resource: dict[str, Any] = field(repr=False, hash=False)

    @property
    def reason(self) -> str | None:
        """The reason code that a refusal names."""
        code = self.told.partition(":")[0]
        return code if code in CATALOGUE else None


@dataclass(slots=True)
class Hop:
    """One request; `entry` is what the tape has of it, None where only the log knows it. Times as in the tape.

    `nested` says that it made calls of its own, `cause` that the hop within which it was made was refused for the same reason.
    """

    number: int
    depth: int
    source: Lifeline
    target: Lifeline
    what: str
    status: int
    reason: str | None
    detail: str | None
    started: float
    milliseconds: float
    entry: dict[str, Any] | None
    calling: list[Event]
    serving: list[Event]
    tls: bool = False
    nested: bool = False
    cause: bool = False

    @property
    def ended(self) -> float:
        """When the answer was complete."""
        return self.started + self.milliseconds / 1000

    @property
    def refused(self) -> bool:
        """Whether it was refused, or a decision that was given said no."""
        return self.reason is not None or self.status >= 400

    @property
    def outcome(self) -> str:
        """Status and reason in words; a hop without an answer has no status."""
        status = "TLS" if self.tls else str(self.status) if self.status else "no answer"
        return f"{status} {self.reason or ('ok' if self.status and self.status < 400 else '')}".strip()

    @property
    def remedy(self) -> str | None:
        """What to change, from the catalogue."""
        return CATALOGUE[self.reason].remedy if self.reason in CATALOGUE else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Every hop of one trace in the order in which they began, and who took part in the order in which they did."""

    trace_id: str
    hops: list[Hop]

    @property
    def lifelines(self) -> list[Lifeline]:
        """Who took part."""
        return list(dict.fromkeys(end for hop in self.hops for end in (hop.source, hop.target)))

    @property
    def refusals(self) -> list[Hop]:
        """The hops that were refused."""
        return [hop for hop in self.hops if hop.refused]


def put_together(
    trace_id: str, entries: list[dict[str, Any]], resources: list[dict[str, Any]], topology: Topology, roles: Mapping[str, str]
) -> Exchange:
    """Return the exchange of these tape entries and AuditEvents; an event belongs to the hop with its span or its request id.

    `roles` tells of a certificate's thumbprint which service, or `system`, of its party calls with it. A call that only its calling
    end logged (TLS refused it, or nobody answered) is a hop of its own.
    """
    events = sorted({each["id"]: read_event(each) for each in resources}.values(), key=lambda event: event.recorded)
    spans = {entry["span_id"]: entry for entry in entries}
    served: dict[str, list[Event]] = {}
    called: dict[str, list[Event]] = {}
    requests = {entry["request_id"] for entry in entries}
    alone: dict[str, list[Event]] = {}
    for event in events:
        place = (
            served.setdefault(event.span_id, []) if event.span_id in spans
            else called.setdefault(event.request_id, []) if event.request_id in requests
            else alone.setdefault(event.request_id, [])
        )  # fmt: skip
        place.append(event)
    hops = [_of_tape(entry, called.get(entry["request_id"], []), served.get(entry["span_id"], [])) for entry in entries]
    hops += [_of_log(found, topology) for found in alone.values()]
    hops.sort(key=lambda hop: (hop.started, -hop.milliseconds))
    _nest(hops, roles)
    return Exchange(trace_id, hops)


def read_event(resource: dict[str, Any]) -> Event:
    """Return what the console shows of an AuditEvent."""
    extensions = {each["url"]: each for each in resource.get("extension", [])}
    traceparent = extensions.get(_TRACEPARENT, {}).get("valueString", "").split("-")
    client, server = (_name(resource, place) for place in (0, 1))
    subtype = (resource.get("subtype") or [{}])[0]
    address = resource["agent"][1].get("network", {}).get("address", "") if len(resource["agent"]) > 1 else ""
    return Event(
        observer=resource["source"].get("observer", {}).get("display", "unknown"),
        span_id=traceparent[2] if len(traceparent) == 4 else "",
        request_id=extensions.get(f"{_KOPPELTAAL}request-id", {}).get("valueId", ""),
        client=client, server=server, address=address, what=subtype.get("display") or subtype.get("code", ""),
        outcome=resource.get("outcome", ""), told=resource.get("outcomeDesc", ""),
        recorded=datetime.fromisoformat(resource["recorded"]).timestamp(), resource=resource,
    )  # fmt: skip


def _name(resource: dict[str, Any], place: int) -> str:
    agents = resource.get("agent", [])
    return str(agents[place].get("who", {}).get("display", "unknown")) if len(agents) > place else "unknown"


def _of_tape(entry: dict[str, Any], calling: list[Event], serving: list[Event]) -> Hop:
    request = entry["request"]
    what = f"{request['method']} {request['path']}" if request else "TLS handshake"
    own = [each for each in calling if each.observer == entry["caller"]["name"]]
    return Hop(
        0, 0, Lifeline(entry["caller"]["name"], "system"), Lifeline(entry["server"]["name"], entry["service"]), what,
        entry["status"], entry["reason"], entry["detail"], entry["started"], entry["milliseconds"], entry, own, serving,
        entry["tls"],
    )  # fmt: skip


def _of_log(events: list[Event], topology: Topology) -> Hop:
    """A hop from the log alone: the first event tells its ends; nothing was answered unless the serving end logged it too."""
    first = events[0]
    instance = next((each for each in topology.instances if first.address.startswith(each.base_url)), None)
    party = topology.seed.party(instance.tenants[0]).name if instance else first.server
    target = Lifeline(party if first.server.startswith("localhost") else first.server, instance.service if instance else "service")
    reason = next((each.reason for each in events if each.reason), None)
    at_tls = any(each.resource.get("subtype", [{}])[0].get("code") == "110126" for each in events)
    serving = [each for each in events if each.observer == first.server]
    calling = [each for each in events if each not in serving]
    return Hop(
        0, 0, Lifeline(first.client, "system"), target, "TLS handshake" if at_tls else first.what,
        200 if serving and reason is None else 0, reason,
        next((each.told.partition(": ")[2] for each in events if each.told), None), first.recorded, 0.0, None, calling, serving,
        at_tls,
    )  # fmt: skip


def _nest(hops: list[Hop], roles: Mapping[str, str]) -> None:
    """Number the hops, and find within which each was made: one that was going on where this call comes from."""
    open_: list[Hop] = []
    for number, hop in enumerate(hops, 1):
        hop.number = number
        open_ = [each for each in open_ if each.ended + _SLACK >= hop.ended]
        role = roles.get(((hop.entry or {}).get("certificate") or {}).get("thumbprint", ""), "")
        makers = (each for each in reversed(open_) if each.target.party == hop.source.party and role in ("", each.target.role))
        around = next(makers, None)
        if around is not None:
            hop.depth, hop.source, around.nested = around.depth + 1, around.target, True
            hop.cause = around.refused and hop.reason == around.reason
            open_ = open_[: open_.index(around) + 1]
        open_.append(hop)
