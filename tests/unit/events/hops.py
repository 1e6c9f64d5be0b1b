"""Hops as a test expects them, and audit events as it compares them with those."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proeftuin.fhir.validation import validate
from proeftuin.parties import Seed
from tests.unit.events.expected import NODE

_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
CLOSED = {f"{_BALP}IHE.BasicAudit.AuthZconsent", f"{_BALP}IHE.IUA.71"}  # no other entities may stand in them
Patients = tuple[str, ...]


class Told(NamedTuple):
    """What is compared of an event: who observed it at which end, what it is, how it ended, whom it is about."""

    observer: str
    end: str
    kind: str
    outcome: str
    reason: str | None
    patient: str | None


@dataclass(frozen=True)
class Hop:
    """One call: its kind (None: not logged unless refused), both ends, the clients that each knows of, and its entries.

    `entries` are kind and clients of each entry of a Bundle that was carried out, as each end knows them.
    """

    kind: str | None
    caller: str
    server: str
    known: Patients = ()
    served: Patients | None = None
    reason: str | None = None
    entries: tuple[tuple[str, Patients, Patients], ...] = ()
    refused_as: str = ""
    major: bool = False

    def told(self) -> list[Told]:
        """Every event that both ends must leave."""
        kind = self.kind or (self.refused_as if self.reason else None)
        if kind is None:
            return []
        outcome = "0" if self.reason is None else "12" if self.major else "8"
        found: list[Told] = []
        for end, observer, patients, place in (
            ("calling", self.caller, self.known, 1),
            ("serving", self.server, self.known if self.served is None else self.served, 2),
        ):
            parts: list[tuple[str, Patients]] = [(kind, () if self.entries else patients)]
            parts += [(entry[0], entry[place]) for entry in self.entries]  # type: ignore[misc] # place is 1 or 2
            found += [
                Told(observer, end, its_kind, outcome, self.reason, patient)
                for its_kind, people in parts
                for patient in people or (None,)
            ]
        return found


@dataclass
class Reader:
    """Reads events of the network of `seed`."""

    seed: Seed
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = {party.identifiers[0][1]: party.id for party in self.seed.parties}

    def told(self, event: dict[str, Any]) -> Told:
        """Return what is compared of an event; it is one that the log takes."""
        assert [issue.diagnostics for issue in validate(event) if issue.severity in ("error", "fatal")] == []
        patients = [entity["what"]["identifier"]["value"] for entity in event["entity"]
                    if entity.get("what", {}).get("type") == "Patient"]  # fmt: skip
        assert len(patients) <= 1
        kind = f"{event['type']['code']} {event['subtype'][0]['code']} {event['action']}"
        return Told(
            self.names[event["source"]["observer"]["identifier"]["value"]], end(event), kind, event["outcome"],
            event["outcomeDesc"].partition(":")[0] if "outcomeDesc" in event else None, patients[0] if patients else None,
        )  # fmt: skip


def end(event: dict[str, Any]) -> str:
    """Which end an event is of: a caller's span is what its request is called, a server has a span of its own.

    A server does not know who was refused by TLS.
    """
    if "identifier" not in event["agent"][0]["who"]:
        return "serving"
    return "calling" if span(event) == request_id(event) else "serving"


def span(event: dict[str, Any]) -> str:
    return extension(event, "traceparent").split("-")[2]


def request_id(event: dict[str, Any]) -> str:
    """The request id: Koppeltaal's extension and BALP's entity say the same, unless the profile is closed."""
    found = extension(event, "request-id")
    named = [each["what"]["identifier"]["value"] for each in event["entity"] if each["type"]["code"] == "XrequestId"]
    closed = any(profile.endswith(("AuthZconsent", "IUA.71")) for profile in event.get("meta", {}).get("profile", []))
    assert named == ([] if closed else [found])
    return found


def extension(event: dict[str, Any], name: str) -> str:
    (found,) = [each for each in event["extension"] if each["url"].endswith(f"/{name}")]
    return str(found.get("valueId") or found["valueString"])


def check(reader: Reader, events: list[dict[str, Any]], hops: Iterable[Hop], where: str) -> None:
    """Demand exactly the events of `hops`, and of each request both ends, which agree on kind and outcome of every part."""
    expected = Counter(told for hop in hops for told in hop.told())
    found = Counter(map(reader.told, events))
    assert found == expected, f"{where}\nmissing: {expected - found}\ntoo many: {found - expected}"
    ends: dict[str, dict[str, Counter[tuple[str, str, str | None]]]] = {}
    for event in events:
        told = reader.told(event)
        if told.kind != NODE:  # there was no request
            by_end = ends.setdefault(request_id(event), {"calling": Counter(), "serving": Counter()})
            by_end[told.end][told.kind, told.outcome, told.reason] += 1
    for both in ends.values():
        assert both["calling"].keys() == both["serving"].keys(), f"{where}: {both}"
