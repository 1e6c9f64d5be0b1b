"""The Rego engine as a process of its own: it may die, hang, grow or be left alone, and nothing is allowed by it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.authorization.decision import rego
from services.authorization.decision.iwlz import FOLDER, Decisions
from services.authorization.decision.knooppunt import KnooppuntDecisions
from services.authorization.decision.questions import QuestionDecisions
from services.authorization.decision.rego import ENGINE, Engine, PolicySet, Process, RegoError, Unevaluable
from tests.unit.services.authorization.policy_cases import CASES, Stage

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[4]
STAGE = Stage()
ALLOWED = CASES[0]
SLOW = "slow contains x if {\n\tsome x in numbers.range(1, 9000)\n\tsome y in numbers.range(1, 9000)\n\tx * y == 0\n}\n"
RULES = "failed contains [data.name, input.n] if input.n > 0\n\nonce := n if some n in [input.n, 1]\n\n"


def policies(name: str) -> PolicySet:
    """Return a set that says its name and what it was asked; `once` has two values at a time, `slow` takes minutes."""
    module = f"package {name}\n\nimport rego.v1\n\n{RULES}{SLOW}"
    return PolicySet({"x.rego": module}, {"name": name}, [f"{name}.{rule}" for rule in ("failed", "once", "slow")])


ONE = policies("one")


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    made.load(ONE)
    yield made
    if made.process:
        made.process.end()


def pid(engine: Engine) -> int:
    assert engine.process is not None
    return engine.process.pid


def rss(process: int | str = "self") -> int:
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") // 2**20


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int, bytes], list[int]]:
    """Have the first `times` processes that are asked a question with `mark` in it get a signal just before; returns which did."""

    def strike(by: int, times: int, mark: bytes) -> list[int]:
        ask = Process.ask
        pids: list[int] = []

        def asked(process: Process, line: bytes, within: int) -> dict[str, Any]:
            if mark in line and len(pids) < times and process.pid not in pids:
                pids.append(process.pid)
                os.kill(process.pid, by)
            return ask(process, line, within)

        monkeypatch.setattr(Process, "ask", asked)
        return pids

    return strike


async def test_an_engine_that_is_killed_is_replaced_and_the_decision_is_the_same(struck: Any) -> None:
    decisions = Decisions(STAGE, STAGE)
    before = await STAGE.decide(decisions, ALLOWED, "vecozo")
    for question in (b".needs", b".failed"):  # the first and the second question of a decision
        pids = struck(signal.SIGKILL, 1, question)
        with capture_logs() as logs:
            assert await STAGE.decide(decisions, ALLOWED, "vecozo") == before
        assert (len(pids), [each["exit_code"] for each in logs]) == (1, [-signal.SIGKILL])
        assert pid(ENGINE) not in pids
    assert before.allowed


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP])
async def test_without_an_engine_that_answers_all_is_denied(by: int, struck: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def permits(_bsn: str, _asked: dict[str, Any]) -> None:
        return None

    decisions, questions, fhir = Decisions(STAGE, STAGE), QuestionDecisions(), KnooppuntDecisions(permits)
    asked = {"subject": {"scope": "mcsd_query"}, "request": {"method": "GET", "path": "/Organization"}, "context": {}}
    assert (await fhir.decide(asked))["allow"]
    struck(by, 99, b'"facts"')
    monkeypatch.setattr(rego, "EVALUATION", 0.1)  # none of them will answer
    decision = await STAGE.decide(decisions, ALLOWED, "vecozo")
    assert (decision.allowed, [each.rule for each in decision.findings]) == (False, ["policy.fault"])
    assert questions.decide("", frozenset(), {})["context"]["reason"] == "policy.fault"
    found = await fhir.decide(asked)
    assert (found["allow"], [each["code"] for each in found["policies"]["mcsd_query"]["reasons"]]) == (False, ["internal_error"])


async def test_without_an_engine_that_loads_the_version_before_stays_in_force(struck: Any, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(FOLDER, folder)
    decisions = Decisions(STAGE, STAGE, folder)
    decisions.policies.pause, version = 0.0, decisions.policies.current().version
    (folder / "lib.rego").write_text((folder / "lib.rego").read_text() + "\n# another version\n")
    struck(signal.SIGKILL, 2, b"# another version")
    assert decisions.policies.current().version == version
    assert decisions.policies.health()["status"] == "warning"
    assert (await STAGE.decide(decisions, ALLOWED, "vecozo")).allowed


def test_an_engine_that_has_grown_is_replaced_and_its_successor_loads_what_it_is_asked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rego, "BOUND", 0)
    found = [engine.evaluate(ONE, "one.failed", {"n": n}) for n in (1, 2)]
    assert (found, engine.process) == ([[["one", 1]], [["one", 2]]], None)


def test_many_sets_in_one_engine_each_answer_for_themselves(engine: Engine) -> None:
    sets = {name: policies(name) for name in "abcdefgh"}  # more than it keeps
    for each in sets.values():
        engine.load(each)
    process = pid(engine)
    for n in (1, 2):
        assert all(engine.evaluate(each, f"{name}.failed", {"n": n}) == [[name, n]] for name, each in sets.items())
    assert pid(engine) == process


def test_threads_get_the_answers_to_their_own_questions(engine: Engine) -> None:
    wrong: list[int] = []

    def ask(start: int) -> None:
        wrong.extend(n for n in range(start, start + 50) if engine.evaluate(ONE, "one.failed", {"n": n}) != [["one", n]])

    threads = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(1, 5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_a_question_that_was_broken_off_is_not_answered_to_the_next(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_size: int) -> bytes:
        raise KeyboardInterrupt

    assert engine.process is not None
    monkeypatch.setattr(engine.process, "_socket", Broken(engine.process._socket, interrupted))
    with pytest.raises(KeyboardInterrupt):
        engine.evaluate(ONE, "one.failed", {"n": 1})
    assert engine.evaluate(ONE, "one.failed", {"n": 2}) == [["one", 2]]


class Broken:
    """A socket of which one method is another."""

    def __init__(self, real: Any, recv: Callable[[int], bytes]) -> None:
        self._real, self.recv = real, recv

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_what_does_not_compile_or_has_no_value_is_a_fault_and_the_engine_goes_on(engine: Engine) -> None:
    process = pid(engine)
    with pytest.raises(RegoError, match="this is unclosed"):
        engine.load(PolicySet({"x.rego": "package x\n\nfailed contains {"}, {}, ["x.failed"]))
    for rule, facts in (("one.once", {"n": 2}), ("one.absent", {}), ("one.failed", {"n": "\ud800"})):
        with pytest.raises(Unevaluable):
            engine.evaluate(ONE, rule, facts)
    with pytest.raises(TypeError):
        engine.evaluate(ONE, "one.failed", {"n": {1}})
    assert engine.evaluate(ONE, "one.failed", {"n": 1}) == [["one", 1]]
    assert pid(engine) == process


def test_an_engine_is_not_loaded_in_its_parent_and_ends_when_that_is_killed() -> None:
    told = "print(pid(ENGINE) != os.getpid() and 'regopy' not in sys.modules, flush=True)"
    script = f"from tests.unit.services.authorization.test_rego import *\nENGINE.load(ONE)\n{told}\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"True\n"
        parent.kill()
        parent.communicate(timeout=60)  # its standard error is the engine's too: it ends when the engine has


def test_an_engine_that_hangs_ends_also_when_nobody_waits_for_it() -> None:
    process = Process()
    process.ask(ONE.loading, rego.LOADING)
    process._socket.sendall(rego._line({"key": ONE.key, "rule": "one.slow", "facts": {}}, 0))
    process._socket.close()
    assert process._process.wait(timeout=60) == -signal.SIGALRM


def test_a_forked_process_asks_an_engine_of_its_own(engine: Engine) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        engine.evaluate(ONE, "one.failed", {"n": 1})
        os.write(writer, str(pid(engine)).encode())
        os._exit(0)
    os.close(writer)
    other = int(os.read(reader, 20))
    os.close(reader)
    os.waitpid(child, 0)
    assert other != pid(engine)
    assert engine.evaluate(ONE, "one.failed", {"n": 2}) == [["one", 2]]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells no memory of another process")
async def test_decisions_take_no_memory_here_or_in_the_engine() -> None:
    decisions = Decisions(STAGE, STAGE)
    case = next(each for each in CASES if each.name == "POL104: a provider that is instelling reads all of the indicatie")

    async def decide(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            await STAGE.decide(decisions, case, "spec")
        return pid(ENGINE), rss(pid(ENGINE)), rss()

    process, in_engine, here = await decide(20)
    after, in_engine_after, here_after = await decide(100)  # a megabyte each where another C++ library was loaded first
    assert after == process
    assert in_engine_after - in_engine < 20
    assert here_after - here < 20
