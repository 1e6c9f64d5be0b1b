"""The iWlz policies say what their cases say, in both profiles; no rule can be taken out unnoticed."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proeftuin.iwlz import schemas
from services.authorization.decision.iwlz import FOLDER, Decisions, prepare
from services.authorization.decision.rego import RegoError
from tests.unit.graphql.rewriting import Rewriting, inlined
from tests.unit.services.authorization.policy_cases import CASES, PROFILES, Case, Stage
from tests.unit.services.authorization.rego import mutants

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


async def notices(decisions: Decisions, wanted: list[tuple[Case, str, Any]]) -> bool:
    """Tell whether any case ends otherwise than it must, or asks a register for another thing."""
    for case, profile, looked_up in wanted:
        failed = {each.rule for each in (await STAGE.decide(decisions, case, profile)).findings}
        if failed != set(case.expected[profile]) or looked_up != STAGE.asked:
            return True
    return False


async def asked(case: Case, profile: str) -> list[tuple[str, str, str, str]]:
    """Return what the policies as they are have looked up."""
    await STAGE.decide(DECISIONS, case, profile)
    return STAGE.asked


LEAVE = "ir.matrix"  # the matrix gives everything of an indicatie; test_a_changed_matrix_holds_at_once narrows it
MODULES = sorted(path.name for path in FOLDER.glob("*.rego"))


@pytest.mark.parametrize("module", MODULES)
async def test_no_rule_and_no_condition_can_be_taken_out_unnoticed(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policies"
    whole = {path.name: path.read_text() for path in FOLDER.glob("*.rego")}  # only the modules concerned are loaded, for speed
    monkeypatch.setattr("services.authorization.decision.iwlz.prepare", lambda documents, _: prepare(documents, whole))
    needed = {module, "lib.rego"} if module != "lib.rego" else set(MODULES)
    shutil.copytree(
        FOLDER, folder, ignore=lambda _, names: [name for name in names if name.endswith(".rego") and name not in needed]
    )
    concerned = [case for case in CASES if module == "lib.rego" or case.operation.lower() == module.removesuffix(".rego")]
    wanted = [(case, profile, await asked(case, profile)) for case in concerned for profile in PROFILES]
    survivors = []
    for what, text in mutants((FOLDER / module).read_text(), leave=LEAVE):
        (folder / module).write_text(text)
        try:
            changed = Decisions(STAGE, STAGE, folder)
        except RegoError:
            continue  # it does not compile, so that nobody can deploy it
        if not await notices(changed, wanted):
            survivors.append(what)
    assert survivors == [], "\n".join(survivors)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("POL104: a provider that is instelling reads all of the indicatie", [("instelling", "47990103")]),
        ("POL107, POL113: involved zorgkantoor", [("zorgkantoor", "9901")]),
        ("POL108: initially responsible zorgkantoor", []),
        ("POL104: no id", []),
        ("another scope", []),
        ("neither provider nor zorgkantoor", []),
    ],
)
async def test_a_register_is_asked_only_what_a_rule_needs(name: str, wanted: list[tuple[str, str]]) -> None:
    case = next(case for case in CASES if case.name == name)
    assert [(relation, who) for relation, _, who, _ in await asked(case, "vecozo")] == wanted


async def test_conflict_1_how_many_specifications_must_be_the_providers_own() -> None:
    case = CASES[0]
    assert [(await asked(case, profile))[0][3] for profile in PROFILES] == ["some", "all"]


async def test_who_only_supposes_a_caller_has_no_register_asked() -> None:
    STAGE.asked = []
    decision = await DECISIONS.decide(CASES[0].caller, CASES[0].text, CASES[0].variables, PROFILES["vecozo"], look_up=False)
    assert not decision.allowed
    assert STAGE.asked == []
    assert "pip.unanswered" in {each.rule for each in decision.findings}


def changed(tmp_path: Path) -> tuple[Path, Decisions]:
    folder = tmp_path / "policies"
    shutil.copytree(FOLDER, folder)
    decisions = Decisions(STAGE, STAGE, folder)
    decisions.policies.pause = 0.0
    return folder, decisions


async def test_a_changed_matrix_holds_at_once_and_has_another_name(tmp_path: Path) -> None:
    folder, decisions = changed(tmp_path)
    before = await STAGE.decide(decisions, CASES[0], "spec")
    matrix = folder / "autorisatiematrix.toml"
    matrix.write_text(matrix.read_text().replace('"" = ["*"], "grondslag"', '"" = ["*", "-bsn"], "grondslag"'))
    after = await STAGE.decide(decisions, CASES[0], "spec")
    assert (before.allowed, [(each.rule, each.found) for each in after.findings]) == (True, [("ir.matrix", "bsn")])
    assert before.version.name == after.version.name
    assert before.version.sha256 != after.version.sha256


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("wlzindicatie.rego", 'package iwlz.wlzindicatie\nimport rego.v1\nfailed contains {"rule": "ir.id"} if 1 == 2\n'),
        ("mandates.toml", "[x]\nactor = 'kvk:1'\n"),
        ("mandates.toml", "[x]\nactor = 1\nprincipal = 'kvk:1'\n"),
        ("mandates.toml", "[x]\nactor = 'kvk:1'\nprincipal = 1\n"),
        ("addresses.toml", '"ura:1" = ["nowhere"]\n'),
        ("wlzindicatie.rego", "package iwlz.wlzindicatie\nfailed contains {"),
        ("profiles.toml", "version = "),
        ("autorisatiematrix.toml", '[X]\noperation = "wlzIndicatie"\nattributes = { "" = ["naam"] }\n'),
    ],
)
async def test_policies_that_do_not_load_leave_those_before_in_force(tmp_path: Path, file: str, text: str) -> None:
    folder, decisions = changed(tmp_path)
    version = decisions.policies.current().version
    assert decisions.policies.health() == {"status": "up", **version.as_json()}
    (folder / file).write_text(text)
    assert (await STAGE.decide(decisions, CASES[0], "spec")).version == version
    health = decisions.policies.health()
    assert (health["status"], health["sha256"]) == ("warning", version.sha256)


@pytest.mark.parametrize(
    "roots", ["client { bsn } wlzIndicatie { bsn }", "wlzIndicatie { bsn } client { bsn } overdracht { overdrachtID }"]
)
async def test_two_registers_are_not_asked_at_once(roots: str) -> None:
    decision = await DECISIONS.decide(CASES[0].caller, f"{{ {roots} }}", {}, PROFILES["spec"])
    assert [each.rule for each in decision.findings] == ["graphql.roots"]


async def test_a_filter_on_what_no_rule_is_about_opens_nothing() -> None:
    decision = await DECISIONS.judge_filter(CASES[0].caller, "levering", {}, PROFILES["spec"])
    assert [each.rule for each in decision.findings] == ["none"]


def test_the_matrix_is_written_out_in_attributes() -> None:
    matrix = DECISIONS.policies.current().data["matrix"]
    assert set(matrix["BRA0011"]) == {"wlzIndicatieID", "verantwoordelijkZorgkantoor"}
    assert "bsn" in matrix["IRA0001"]
    assert "client" not in matrix["IRA0001"], "a relation is no attribute"
    assert not [path for paths in matrix.values() for path in paths if "*" in path or "-" in path]


async def test_a_decision_tells_of_the_rules_of_its_operation_and_no_others() -> None:
    case = next(case for case in CASES if case.operation == "bemiddeling")
    rules = (await STAGE.decide(DECISIONS, case, "spec")).rules
    assert {rule.rpartition(".")[0] for rule in rules} <= {"", "br.bemiddeling"}, rules


async def test_the_indicatie_that_is_looked_up_is_the_one_that_is_named() -> None:
    case = CASES[0]
    plain = await asked(case, "spec")
    STAGE.asked = []
    await DECISIONS.decide(case.caller, case.text, case.variables | {"zk": "9901"}, PROFILES["spec"])
    assert STAGE.asked == plain != []


def test_the_folder_is_looked_at_once_in_a_pause(tmp_path: Path) -> None:
    folder, decisions = changed(tmp_path)
    version = decisions.policies.current().version
    (folder / "mandates.toml").write_text("")
    decisions.policies.pause = 3600.0
    assert decisions.policies.current().version == version
    decisions.policies.pause = 0.0
    assert decisions.policies.current().version != version


async def test_rules_that_give_no_answer_deny(tmp_path: Path) -> None:
    folder, decisions = changed(tmp_path)
    module = folder / "wlzindicatie.rego"
    module.write_text(
        module.read_text() + '\nbroken := 1 if true\n\nbroken := 2 if true\n\nfailed contains {"rule": "x", "y": broken} if true\n'
    )
    decision = await STAGE.decide(decisions, CASES[0], "spec")
    assert [(each.rule, each.code) for each in decision.findings] == [("policy.fault", "INTERNAL_SERVER_ERROR")]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CASES), st.sampled_from(sorted(PROFILES)), st.integers(0, 2**32))
async def test_no_rewriting_of_a_request_changes_its_decision(case: Case, profile: str, seed: int) -> None:
    name = schemas.schema_of(case.operation)
    assert name is not None
    plain = inlined(schemas.schema(name), case.text, case.variables)
    other = Rewriting(schemas.schema(name), plain, random.Random(seed))
    STAGE.today, STAGE.pip = case.today, case.pip
    findings = [
        (await DECISIONS.decide(case.caller, text, variables, PROFILES[profile])).findings
        for text, variables in ((case.text, case.variables), (plain, {}), (other.source, other.variables))
    ]
    assert findings[0] == findings[1] == findings[2]
