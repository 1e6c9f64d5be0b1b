"""Measure policy engines on rules like ours: 1, 10 and 100, each bounding a filter to a claim, attributes to a matrix, a day.

`python -m benchmarks.policies`. Rego (regopy) is a requirement; Cedar is measured where cedarpy is installed, which none is.
A decision names every rule that fails, in both engines; the two must agree on all of the sample before anything is timed.
"""

import asyncio
import importlib.metadata
import importlib.util
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from regopy import Interpreter

from proeftuin.graphql import normal
from proeftuin.iwlz import schemas
from services.authorization.decision.iwlz import Decisions, facts_of
from tests.unit.services.authorization.policy_cases import CASES, PROFILES, Stage

SIZES, SAMPLE, TURNS = (1, 10, 100), 40, 5
Facts = dict[str, Any]
Engine = Callable[[Facts], set[str]]


def facts(rng: random.Random, rules: int) -> Facts:
    """Return one request: half of the filters are those that the rules want."""

    def pick(good: str) -> str:
        return good if rng.random() < 0.9 else "other"

    return {
        "claims": {"agb": "47990103"},
        "today": pick("2026-05-01"),
        "where": {f"field{n}": pick("47990103") for n in range(rules)},
        "attributes": [f"{pick('T')}.a{n}" for n in range(20)],
    }


def rego(rules: int) -> Engine:
    """Return the rules in Rego, compiled."""
    clauses = [
        f"""
holds{n} if {{
    input.where.field{n} == input.claims.agb
    input.today <= "2026-06-01"
    every each in input.attributes {{
        data.matrix[each]
    }}
}}

failed contains "rule{n}" if not holds{n}
"""
        for n in range(rules)
    ]
    interpreter = Interpreter()
    interpreter.add_module("rules", "package bench\n\nimport rego.v1\n" + "".join(clauses))
    interpreter.add_data({"matrix": {f"T.a{n}": True for n in range(20)}})
    bundle = interpreter.build("data.bench.failed")

    def decide(asked: Facts) -> set[str]:
        interpreter.set_input(asked)
        return set(json.loads(str(interpreter.query_bundle(bundle)))["expressions"][0])

    return decide


def cedar(rules: int) -> Engine:
    """Return the rules in Cedar: a forbid for each, found back by its place; dates as numbers, which is all that it compares."""
    import cedarpy  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - measured only where it is installed

    matrix = ", ".join(f'"T.a{n}"' for n in range(20))
    text = "permit(principal, action, resource);\n" + "".join(
        f"forbid(principal, action, resource) unless {{ context.where.field{n} == context.claims.agb"
        f" && context.today <= 20260601 && [{matrix}].containsAll(context.attributes) }};\n"
        for n in range(rules)
    )
    policies = cedarpy.PolicySet.from_str(text)

    def decide(asked: Facts) -> set[str]:
        today = 20260501 if asked["today"] == "2026-05-01" else 99999999
        request = {"principal": 'P::"p"', "action": 'A::"a"', "resource": 'R::"r"', "context": asked | {"today": today}}
        found = cedarpy.is_authorized(request, policies, [])
        return set() if found.allowed else {f"rule{int(each.removeprefix('policy')) - 1}" for each in found.diagnostics.reasons}

    return decide


def timed(engine: Engine, sample: list[Facts]) -> float:
    """Return the microseconds of a decision, the median of some turns over the sample."""
    turns = []
    for _ in range(TURNS):
        started = time.perf_counter()
        for each in sample:
            engine(each)
        turns.append((time.perf_counter() - started) / len(sample) * 1e6)
    return statistics.median(turns)


def load(make: Callable[[int], Engine], rules: int) -> float:
    """Return the milliseconds in which the rules are read anew."""
    started = time.perf_counter()
    make(rules)
    return (time.perf_counter() - started) * 1000


async def ours() -> dict[str, float]:
    """Return what our own policies take, on all of their cases: normal form, facts and rules together."""
    stage = Stage()
    started = time.perf_counter()
    decisions = Decisions(stage, stage)
    loading = (time.perf_counter() - started) * 1000
    turns: list[float] = []
    for _ in range(TURNS):
        started = time.perf_counter()
        for case in CASES:
            for profile in PROFILES:
                await stage.decide(decisions, case, profile)
        turns.append((time.perf_counter() - started) / len(CASES) / len(PROFILES) * 1e6)
    case = next(case for case in CASES if case.name.startswith("POL103: complete"))
    schema = schemas.schema(schemas.BEMIDDELING)
    started = time.perf_counter()
    for _ in range(50):
        facts_of(normal.normalise(schema, case.text, case.variables))
    form = (time.perf_counter() - started) / 50 * 1e6
    return {
        "our policies: load (ms)": loading,
        f"our policies: a decision, over {len(CASES)} cases in {len(PROFILES)} profiles (us)": statistics.median(turns),
        "of which: the form of the largest request, its text seen before (us)": form,
    }


def main() -> None:
    """Print the table."""
    engines: dict[str, Callable[[int], Engine]] = {"rego": rego}
    if importlib.util.find_spec("cedarpy"):
        engines["cedar"] = cedar
    for name, package in (("rego", "regopy"), ("cedar", "cedarpy")):
        if name in engines:
            print(f"{name}: {package} {importlib.metadata.version(package)}")  # noqa: T201 - it is the output of the command
    for rules in SIZES:
        rng = random.Random(rules)  # noqa: S311 - a sample, not a secret
        sample = [facts(rng, rules) for _ in range(SAMPLE)]
        answers = [[make(rules)(each) for each in sample] for make in engines.values()]
        assert all(each == answers[0] for each in answers), "the engines disagree"  # noqa: S101 - then no figure means anything
        for name, make in engines.items():
            engine = make(rules)
            row = f"| {name} | {rules} | {timed(engine, sample):.0f} us | {load(make, rules):.1f} ms |"
            print(row)  # noqa: T201 - it is the output of the command
    for name, value in asyncio.run(ours()).items():
        print(f"{name}: {value:.0f}")  # noqa: T201 - it is the output of the command


if __name__ == "__main__":
    main()
