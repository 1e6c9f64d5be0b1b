"""Whatever a sender leaves out of an event: what is still an AuditEvent can be judged, and its report shows nobody."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from proeftuin.fhir.validation import validate
from services.logging.conformance.report import issues, judge
from tests.unit.services.logging.conformance.examples import CANONICAL, CLIENT, EXAMPLES, Resource


def without_each(node: Any) -> Iterator[Any]:
    """Yield what is left of JSON after each of its members, at any depth, is taken out."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        whole = node[key]
        left = (
            {name: each for name, each in node.items() if name != key} if isinstance(node, dict) else node[:key] + node[key + 1 :]
        )
        yield left
        for part in without_each(whole):
            changed = copy.copy(node)
            changed[key] = part
            yield changed


SHAPES = ("PatientRead", "PatientQuery", "PrivacyDisclosure.Source", "AuthZconsent", "SAMLaccessTokenUse.Comprehensive")


@pytest.mark.parametrize("name", [f"IHE.BasicAudit.{name}" for name in SHAPES])
def test_what_is_still_an_event_is_judged(name: str) -> None:
    claiming: Resource = EXAMPLES[name] | {"meta": {"profile": [f"{CANONICAL}{name}"]}}
    judged = 0
    for event in without_each(claiming):
        if validate(event):
            continue
        told = issues(judge(event))
        assert told
        assert CLIENT not in str(told)
        judged += 1
    assert judged > 30
