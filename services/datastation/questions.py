"""The validated questions: only these are answered, and only as they were validated (KIK-V afsprakenset)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyoxigraph as ox

from proeftuin.reasons import PARAMETER_INVALID, QUESTION_UNKNOWN, Refused

FOLDER = Path(__file__).parent / "questions"
_PARAMETER = re.compile(r"\$([a-z]+)")


@dataclass(frozen=True, slots=True)
class Question:
    """A validated question: SPARQL with `$name` where a parameter (a date) goes; `digest` is the SHA-256 of its text."""

    id: str
    sparql: str
    digest: str
    parameters: tuple[str, ...]

    def bind(self, values: dict[str, Any]) -> str:
        """Return the query with typed literals for its parameters; raises Refused(PARAMETER_INVALID)."""
        if values.keys() != set(self.parameters):
            raise Refused(PARAMETER_INVALID, f"the question takes exactly {', '.join(self.parameters)}")
        literals: dict[str, str] = {}
        for name, value in values.items():
            try:
                day = date.fromisoformat(value)
            except (TypeError, ValueError) as error:
                raise Refused(PARAMETER_INVALID, f"{name}: a date, such as 2026-07-01") from error
            literals[name] = f'"{day.isoformat()}"^^<http://www.w3.org/2001/XMLSchema#date>'
        return _PARAMETER.sub(lambda match: literals[match[1]], self.sparql)


def load(folder: Path = FOLDER) -> dict[str, Question]:
    """Read the questions from `folder`, by id."""
    questions: dict[str, Question] = {}
    for path in sorted(folder.glob("*.rq")):
        text = path.read_text(encoding="utf-8")
        code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        parameters = tuple(sorted(set(_PARAMETER.findall(code))))
        questions[path.stem] = Question(path.stem, code, hashlib.sha256(text.encode()).hexdigest(), parameters)
    return questions


def choose(questions: dict[str, Question], wanted: object) -> Question:
    """Return the question with this id; raises Refused(QUESTION_UNKNOWN)."""
    found = questions.get(wanted) if isinstance(wanted, str) else None
    if found is None:
        raise Refused(QUESTION_UNKNOWN, f"validated here: {', '.join(questions)}")
    return found


def answer(store: ox.Store, query: str) -> dict[str, Any]:
    """Run a SELECT and return SPARQL 1.1 Query Results JSON."""
    solutions = store.query(query)
    if not isinstance(solutions, ox.QuerySolutions):
        raise TypeError("a validated question is a SELECT")
    variables = [variable.value for variable in solutions.variables]
    bindings = [{name: _term(solution[name]) for name in variables if solution[name] is not None} for solution in solutions]
    return {"head": {"vars": variables}, "results": {"bindings": bindings}}


def _term(term: Any) -> dict[str, str]:  # noqa: ANN401 - any RDF term
    if isinstance(term, ox.NamedNode):
        return {"type": "uri", "value": term.value}
    if isinstance(term, ox.Literal):
        return {"type": "literal", "value": term.value, "datatype": term.datatype.value}
    return {"type": "bnode", "value": str(term)}
