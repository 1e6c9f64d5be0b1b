"""A presentation submission (DIF PEX v2 §6): which credential in which presentation answers which input descriptor."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from proeftuin.credentials import jsonpath
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.exchange.definition import PresentationDefinition
from proeftuin.credentials.exchange.matching import FORMATS, Considered, Match, consider, faults
from proeftuin.credentials.presentation import Presentation
from proeftuin.reasons import PRESENTATION_BINDING, SUBMISSION_INVALID, Refused
from proeftuin.strict_json import parse_object

MAX_LENGTH = 1 << 15
_MAX_ENTRIES = 40


def create(definition: PresentationDefinition, chosen: Mapping[str, int], credentials: Sequence[Credential]) -> dict[str, Any]:
    """Return the submission for one presentation that holds `credentials` in this order."""
    return {
        "id": str(uuid.uuid4()),
        "definition_id": definition.id,
        "descriptor_map": [
            {
                "id": descriptor,
                "format": "jwt_vc" if credentials[number].format == "jwt_vc" else "ldp_vc",
                "path": f"$.verifiableCredential[{number}]",
            }
            for descriptor, number in chosen.items()
        ],
    }


def read(raw: str) -> dict[str, Any]:
    """Read a submission; raises Refused(SUBMISSION_INVALID)."""
    try:
        if len(raw) > MAX_LENGTH:
            raise ValueError(f"it is longer than {MAX_LENGTH} characters")
        document = parse_object(raw, depth=10)
        entries = document.get("descriptor_map")
        if not isinstance(document.get("id"), str) or not isinstance(document.get("definition_id"), str):
            raise ValueError("id and definition_id are texts")
        if not isinstance(entries, list) or len(entries) > _MAX_ENTRIES or not all(isinstance(each, dict) for each in entries):
            raise ValueError(f"descriptor_map is a list of at most {_MAX_ENTRIES} objects")
        return document
    except ValueError as error:
        raise Refused(SUBMISSION_INVALID, f"invalid presentation submission: {error}") from error


def check(
    definition: PresentationDefinition,
    submission: dict[str, Any],
    presentations: Sequence[Presentation],
    bound: Mapping[str, Any] | None = None,
) -> Match:
    """Return the match that a submission claims, after checking it.

    Paths count from the presentation's `vp`, or from the list of presentations when there are several. Raises Refused:
    SUBMISSION_INVALID, or PRESENTATION_BINDING when a field differs from what another presentation bound it to.
    """
    if submission["definition_id"] != definition.id:
        raise Refused(
            SUBMISSION_INVALID, f"the submission is for definition {submission['definition_id'][:60]!r}, not {definition.id!r}"
        )
    descriptors = {each.id: each for each in definition.descriptors}
    considered: dict[str, Considered] = {}
    for entry in submission["descriptor_map"]:
        descriptor = descriptors.get(str(entry.get("id")))
        if descriptor is None or descriptor.id in considered:
            raise Refused(SUBMISSION_INVALID, "descriptor_map has an entry of no input descriptor, or two of one")
        credential, number = _credential_at(entry, presentations)
        candidate = consider(descriptor, credential, number, {})
        if candidate.lacks:
            detail = f"the credential for input descriptor {descriptor.id} does not match: {'; '.join(candidate.lacks)[:300]}"
            raise Refused(SUBMISSION_INVALID, detail)
        considered[descriptor.id] = Considered(descriptor.id, (candidate,), candidate, "")
    found = Match(tuple(considered.values()), tuple(faults(definition, set(considered))))
    if found.faults:
        raise Refused(
            SUBMISSION_INVALID, f"the submission does not meet the presentation definition: {'; '.join(found.faults)[:300]}"
        )
    for name, value in (bound or {}).items():
        if name in found.fields and found.fields[name] != value:
            raise Refused(PRESENTATION_BINDING, f"field {name!r} has another value than in the other presentation")
    return found


def _credential_at(entry: dict[str, Any], presentations: Sequence[Presentation]) -> tuple[Credential, int]:
    """Return the credential that an entry points at, and its index among all that were presented."""
    path, form = entry.get("path"), entry.get("format")
    presentation = 0
    try:
        steps = jsonpath.parse(path)
        if form in ("jwt_vp", "jwt_vp_json"):
            nested = entry.get("path_nested")
            if not isinstance(nested, dict) or len(steps) > 1 or not all(isinstance(step, int) for step in steps):
                raise ValueError("an entry of a presentation has path $ or $[0], and path_nested")
            presentation = int(steps[0]) if steps else 0
            steps, form = jsonpath.parse(nested.get("path")), nested.get("format")
            if not steps and len(presentations) == 1:
                raise ValueError("path_nested points at no credential")
        elif len(presentations) > 1:
            raise ValueError("with several presentations each entry has path $[n] and path_nested")
        credentials = presentations[presentation].credentials
        number = 0 if steps == ("verifiableCredential",) and len(credentials) == 1 else None
        if len(steps) == 2 and steps[0] == "verifiableCredential" and isinstance(steps[1], int):
            number = steps[1]
        if number is None:
            raise ValueError("path is $.verifiableCredential[n] in the presentation (no $.vp before it)")
        credential = credentials[number]
        if form not in FORMATS[credential.format]:
            raise ValueError(f"format is {' or '.join(sorted(FORMATS[credential.format]))}, not {str(form)[:20]!r}")
    except (ValueError, IndexError) as error:
        raise Refused(SUBMISSION_INVALID, f"descriptor_map {str(entry.get('id'))[:60]!r}: {error}") from error
    return credential, number + sum(len(each.credentials) for each in presentations[:presentation])
