"""Which credentials meet a presentation definition, and for each that does not, why: the explanation that nobody else gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proeftuin.credentials import jsonpath
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.exchange.definition import Field, InputDescriptor, PresentationDefinition, SubmissionRequirement
from proeftuin.credentials.jsonpath import ABSENT

FORMATS = {"jwt_vc": {"jwt_vc", "jwt_vc_json"}, "self_attested": {"ldp_vc", "self_attested"}, "dezi": {"ldp_vc", "dezi"}}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One credential looked at for one descriptor: what it lacks (nothing: it fits), and the values of the fields with an id."""

    credential: int
    type: str
    issuer: str
    lacks: tuple[str, ...]
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Considered:
    """Every candidate for one descriptor, and which was `chosen`; None with `why`."""

    descriptor: str
    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    why: str


@dataclass(frozen=True, slots=True)
class Match:
    """The outcome for a definition; `faults` is empty when it is met."""

    considered: tuple[Considered, ...]
    faults: tuple[str, ...]

    @property
    def chosen(self) -> dict[str, int]:
        """The credential chosen for each descriptor, by index."""
        return {each.descriptor: each.chosen.credential for each in self.considered if each.chosen is not None}

    @property
    def fields(self) -> dict[str, Any]:
        """The captured value of every field with an id."""
        return {name: value for each in self.considered if each.chosen is not None for name, value in each.chosen.fields.items()}

    def explain(self) -> list[dict[str, Any]]:
        """Return the explanation as JSON: for each input descriptor every candidate, and why it did not match.

        It names types, issuers and paths; of what stands in a credential it shows nothing.
        """
        return [
            {
                "input_descriptor": each.descriptor,
                "chosen": each.chosen.credential if each.chosen is not None else None,
                "why": each.why,
                "candidates": [
                    {"credential": one.credential, "type": one.type, "issuer": one.issuer, "lacks": list(one.lacks)}
                    for one in each.candidates
                ],
            }
            for each in self.considered
        ]


def match(
    definition: PresentationDefinition,
    credentials: Sequence[Credential],
    *,
    bound: Mapping[str, Any] | None = None,
    selection: Mapping[str, str] | None = None,
) -> Match:
    """Choose a credential for each descriptor: the first that fits.

    `bound`: values that fields with these ids must have (from another presentation). `selection`: the same by the holder, and then
    exactly one credential may be left for a descriptor that has such a field.
    """
    considered = []
    for descriptor in definition.descriptors:
        candidates = tuple(
            consider(descriptor, credential, number, {**(bound or {}), **(selection or {})})
            for number, credential in enumerate(credentials)
        )
        fitting = [each for each in candidates if not each.lacks]
        chosen, why = (fitting[0] if fitting else None), ""
        if not fitting:
            why = "no credential fits" if candidates else "there is no credential at all"
        elif len(fitting) > 1 and any(field.id in (selection or {}) for field in descriptor.fields):
            chosen, why = None, f"the selection leaves {len(fitting)} credentials: narrow it to one"
        considered.append(Considered(descriptor.id, candidates, chosen, why))
    return Match(tuple(considered), tuple(faults(definition, {each.descriptor for each in considered if each.chosen})))


def consider(descriptor: InputDescriptor, credential: Credential, number: int, bound: Mapping[str, Any]) -> Candidate:
    """Hold one credential against one descriptor."""
    lacks: list[str] = []
    fields: dict[str, Any] = {}
    if descriptor.formats and not descriptor.formats & FORMATS[credential.format]:
        lacks.append(f"format: {credential.format} is none of {', '.join(sorted(descriptor.formats))}")
    for field in descriptor.fields:
        value, lack = value_of(field, credential.document)
        if lack:
            lacks.append(lack)
        elif field.id is not None and value is not ABSENT:
            fields[field.id] = value
            if field.id in bound and bound[field.id] != value:
                lacks.append(f"{field.paths[0]}: another value than the one that {field.id!r} is bound to")
    return Candidate(number, credential.type, credential.issuer, tuple(lacks), fields)


def value_of(field: Field, document: Mapping[str, Any]) -> tuple[Any, str]:
    """Return what a field captures and "", or (ABSENT, what is lacking); an optional field may be absent, not wrong."""
    value = next((found for path in field.parsed if (found := jsonpath.find(document, path)) is not ABSENT), ABSENT)
    where = " or ".join(field.paths)
    if value is ABSENT:
        return ABSENT, "" if field.optional else f"{where}: it is not there"
    if field.filter is None:
        return value, ""
    fits, captured = field.filter.match(value)
    return (captured, "") if fits else (ABSENT, f"{where}: it is not {field.filter}")


def faults(definition: PresentationDefinition, met: set[str]) -> list[str]:
    """Return what is asked and not met by the descriptors `met`."""
    if not definition.requirements:
        return [f"input descriptor {each.id} is not met" for each in definition.descriptors if each.id not in met]
    groups: dict[str, list[bool]] = {}
    for descriptor in definition.descriptors:
        for group in descriptor.groups:
            groups.setdefault(group, []).append(descriptor.id in met)
    return [
        f"submission requirement {each.name or each.group} is not met" for each in definition.requirements if not _met(each, groups)
    ]


def _met(requirement: SubmissionRequirement, groups: Mapping[str, list[bool]]) -> bool:
    parts = [_met(each, groups) for each in requirement.nested] if requirement.nested else groups[str(requirement.group)]
    return all(parts) if requirement.all else requirement.least <= sum(parts) <= requirement.most
