"""The iWlz policies say what their cases say, in both profiles; no rule can be taken out unnoticed."""

import random
import re
import shutil
from pathlib import Path

import pytest
from regopy import RegoError
from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.iwlz import schemas
from services.authorization.decision.iwlz import FOLDER, Decisions
from tests.unit.graphql.rewriting import Rewriting
from tests.unit.services.authorization.policy_cases import CASES, PROFILES, Case, Stage

pytestmark = pytest.mark.anyio
STAGE = Stage()
DECISIONS = Decisions(STAGE, STAGE)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_rules_that_must_fail_do_and_no_others(case: Case, profile: str) -> None:
    decision = await STAGE.decide(DECISIONS, case, profile)
    assert sorted({each.rule for each in decision.findings}) == sorted(case.expected[profile]), decision.findings
    assert decision.allowed == (not case.expected[profile])
    assert all(each.hint and "{found}" not in each.hint + each.text for each in decision.findings)


def test_every_rule_has_a_case_in_which_it_fails_and_one_in_which_its_operation_is_allowed() -> None:
    loaded = DECISIONS.policies.current()
    for profile, name in PROFILES.items():
        failing = {rule for case in CASES for rule in case.expected[profile]}
        rules = {rule for rule, each in loaded.documents["rules"].items() if each.get("profile", name) == name}
        assert rules - {"ir.matrix"} <= failing, profile


async def notices(decisions: Decisions, cases: list[Case]) -> bool:
    """Tell whether any case ends otherwise than it must."""
    for case in cases:
        for profile in PROFILES:
            failed = {each.rule for each in (await STAGE.decide(decisions, case, profile)).findings}
            if failed != set(case.expected[profile]):
                return True
    return False


def clauses(text: str) -> list[tuple[int, int]]:
    """Return where each clause of a Rego module stands, its package and imports left out."""
    starts = [match.start() for match in re.finditer(r"^[a-z_]", text, re.MULTILINE)] + [len(text)]
    return [(a, b) for a, b in zip(starts, starts[1:], strict=False) if not text[a:].startswith(("package", "import"))]


def mutants(text: str) -> list[tuple[str, str]]:
    """Return the module with one thing changed: a `failed` clause gone, or one condition in the body of a clause gone."""
    found = []
    for a, b in clauses(text):
        clause = text[a:b]
        if "ir.matrix" in clause:
            continue  # the matrix gives everything of an indicatie; test_a_changed_matrix_holds_at_once narrows it
        if clause.startswith("failed contains"):
            found.append((clause.partition("\n")[0], text[:a] + text[b:]))
        lines = clause.splitlines(keepends=True)
        body = [
            n
            for n, line in enumerate(lines)
            if line.startswith("\t") and not re.match(r"\t(some |hint :=|path :=|day :=|before|\[|\"|#)|\t\t", line)
        ]
        for n in body if len(body) > 1 else []:
            rest = "".join(lines[:n] + lines[n + 1 :])
            found.append((f"{lines[0].strip()} without {lines[n].strip()}", text[:a] + rest + text[b:]))
    return found


MODULES = sorted(path.name for path in FOLDER.glob("*.rego"))


@pytest.mark.parametrize("module", MODULES)
async def test_no_rule_and_no_condition_can_be_taken_out_unnoticed(module: str, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    needed = {module, "lib.rego"} if module != "lib.rego" else set(MODULES)
    shutil.copytree(
        FOLDER, folder, ignore=lambda _, names: [name for name in names if name.endswith(".rego") and name not in needed]
    )
    concerned = [case for case in CASES if module == "lib.rego" or case.operation.lower() == module.removesuffix(".rego")]
    survivors = []
    for what, text in mutants((FOLDER / module).read_text()):
        (folder / module).write_text(text)
        try:
            changed = Decisions(STAGE, STAGE, folder)
        except RegoError:
            continue  # it does not compile, so that nobody can deploy it
        if not await notices(changed, concerned):
            survivors.append(what)
    assert survivors == [], "\n".join(survivors)
