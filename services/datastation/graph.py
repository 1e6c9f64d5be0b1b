"""The party's records as RDF in the shape that KIK-V questions ask for (Zorgkantoren 1.3.5), made from the same FHIR resources."""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyoxigraph as ox
import sqlalchemy as sa

from proeftuin.fhir import repository
from proeftuin.fhir.search import parse

ONZ_G = "http://purl.org/ozo/onz-g#"
ONZ_ZORG = "http://purl.org/ozo/onz-zorg#"
ZORGPROFIEL = "https://proeftuin.example/CodeSystem/zorgprofiel"
_DATE = ox.NamedNode("http://www.w3.org/2001/XMLSchema#date")
_TYPE = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")


@dataclass(slots=True)
class Graph:
    """The graph of one party, made anew when its care plans have changed."""

    store: ox.Store = field(default_factory=ox.Store)
    stamp: tuple[int, str] = (-1, "")

    def refresh(self, connection: sa.Connection) -> None:
        """Bring the graph up to the records of `connection`."""
        stamp = repository.stamp(connection, "CarePlan")
        if stamp != self.stamp:
            store = ox.Store()
            for plan in _all(connection, "CarePlan"):
                store.extend(ox.Quad(*triple) for triple in nursing_process(plan))
            self.store, self.stamp = store, stamp


def nursing_process(plan: dict[str, Any]) -> Iterable[tuple[Any, Any, Any]]:
    """Yield the triples of a care plan under a Wlz zorgprofiel: NursingProcess, its WlzIndicatie, and the person."""
    profiles = [
        code
        for concept in plan.get("category", [])
        for coding in concept.get("coding", [])
        if coding.get("system") == ZORGPROFIEL and re.fullmatch("[A-Za-z0-9]+", code := coding.get("code", ""))
    ]
    if not profiles or plan.get("status") in ("entered-in-error", "draft"):
        return
    process, indication = _own("process", plan["id"]), _own("indicatie", plan["id"])
    person = _own("person", plan["subject"]["reference"])
    yield process, _TYPE, ox.NamedNode(ONZ_ZORG + "NursingProcess")
    yield process, ox.NamedNode(ONZ_G + "definedBy"), indication
    yield indication, _TYPE, ox.NamedNode(ONZ_ZORG + "WlzIndicatie")
    yield indication, ox.NamedNode(ONZ_G + "isAbout"), person
    yield person, _TYPE, ox.NamedNode(ONZ_G + "Human")
    for profile in profiles:
        yield indication, ox.NamedNode(ONZ_G + "hasPart"), ox.NamedNode(ONZ_ZORG + profile)
    period = plan.get("period", {})
    for name, property_name in (("start", "startDatum"), ("end", "eindDatum")):
        if name in period:
            date = ox.Literal(_day(period[name], last=name == "end"), datatype=_DATE)
            for subject in (process, indication):
                yield subject, ox.NamedNode(ONZ_G + property_name), date


def _day(moment: str, *, last: bool) -> str:
    """Return the day of a FHIR dateTime; of a year or month alone the first or last day."""
    if len(moment) >= len("2026-01-01"):
        return moment[:10]
    year, month = moment[:4], moment[5:7] or ("12" if last else "01")
    return f"{year}-{month}-{monthrange(int(year), int(month))[1] if last else 1:02}"


def _own(kind: str, key: str) -> ox.NamedNode:
    return ox.NamedNode(f"urn:proeftuin:{kind}:{key.replace('/', ':')}")


def _all(connection: sa.Connection, resource_type: str) -> Iterable[dict[str, Any]]:
    cursor: str | None = None
    while True:
        pairs = [("_count", "100")] + ([("_cursor", cursor)] if cursor else [])
        page = repository.search(connection, resource_type, parse(resource_type, pairs))
        yield from page.resources
        cursor = page.next_cursor
        if cursor is None:
            return
