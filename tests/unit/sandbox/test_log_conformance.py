"""The summary over a party's events: by kind, how many hold, and what fails most."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proeftuin.sandbox.log_conformance import summary
from tests.unit.services.logging.conformance.examples import CANONICAL, EXAMPLES

READ = EXAMPLES["IHE.BasicAudit.PatientRead"] | {"meta": {"profile": [f"{CANONICAL}IHE.BasicAudit.PatientRead"]}}


@pytest.mark.anyio
async def test_each_kind_has_its_count_and_each_rule_counts_once_for_an_event() -> None:
    wrong = READ | {"action": "E", "entity": [READ["entity"][1], READ["entity"][1]]}
    lacking = EXAMPLES["IHE.BasicAudit.Query"] | {"purposeOfEvent": []}
    lacking["agent"] = [{name: each[name] for name in each if name != "purposeOfUse"} for each in lacking["agent"]]

    async def events() -> AsyncIterator[dict[str, Any]]:
        for each in (READ, wrong, lacking, wrong, READ | {"outcome": "8", "outcomeDesc": "no_consent"}):
            yield each

    kinds = await summary(events())
    assert list(kinds) == ["rest read", "rest read (refused)", "rest search-type"]
    assert [(kind.events, kind.holding) for kind in kinds.values()] == [(3, 1), (1, 0), (1, 0)]
    assert kinds["rest read"].faults["IHE.BasicAudit.PatientRead action codes"] == 2
    assert kinds["rest read (refused)"].faults == {"IHE.BasicAudit.PatientRead outcome codes": 1}
    assert kinds["rest search-type"].faults == {"NEN 7513 doel (PurposeOfUse)": 1}
