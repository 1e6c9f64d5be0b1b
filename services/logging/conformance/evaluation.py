"""Holding one event against one profile: every deviation, located by FHIRPath."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from services.logging.conformance.profiles import Code, Element, Profile, known_codes

JTI = "urn:ietf:params:oauth:jti:"
MOST = 100  # deviations from one profile: who sends thousands of faults is not told them all
TAIL = 32  # characters of an opaque token that an event may show
Place = tuple[str, Any]  # FHIRPath and what stands there


@dataclass(frozen=True, slots=True)
class Deviation:
    """One rule of a profile that an event breaks. `found` never repeats what was sent, unless it is a code of the profiles."""

    profile: str
    element: str
    rule: str
    path: str
    expected: str
    found: str


def deviations(event: dict[str, Any], profile: Profile) -> list[Deviation]:
    """Return what a valid R4 AuditEvent breaks of a profile, in the order of its elements: the first MOST of it."""
    found = (
        Deviation(profile.id, element.path, rule, path, expected, found)
        for element in profile.elements.values()
        for rule, path, expected, found in _broken(event, profile, element)
    )
    return list(islice(found, MOST))


def conforms(event: dict[str, Any], profile: Profile) -> bool:
    """Tell whether an event breaks nothing of a profile; it stops at the first thing."""
    return not any(True for element in profile.elements.values() for _ in _broken(event, profile, element))


def _broken(event: dict[str, Any], profile: Profile, element: Element) -> Iterator[tuple[str, str, str, str]]:
    *above, last = element.steps
    for where, parent in _walk(event, profile, above):
        found = list(_children(where, parent, profile, ".".join([*above, last])))
        named = f"{where}.{last.partition('[')[0]}"
        if len(found) < element.minimum:
            yield "min", named, f"at least {element.minimum}{_which(element)}", str(len(found))
        if element.maximum is not None and len(found) > element.maximum:
            yield "max", named, f"at most {element.maximum}{_which(element)}", str(len(found))
        if element.closed:
            slices = profile.slices[element.path]
            for place, value in found:
                if not any(_belongs(value, each) for each in slices):
                    yield "closed", place, f"only {', '.join(each.path for each in slices)}", "something else"
        for place, value in found:
            for rule, expected, instead in _wrong(event, element, value):
                yield rule, place, expected, instead


def _wrong(event: dict[str, Any], element: Element, value: Any) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 - JSON is any
    if element.codes is not None and not codes_in(value) & element.codes:
        yield "codes", _written(element.codes), _written(codes_in(value))
    if element.only is not None and reference_type(value) not in (None, element.only):
        yield "only", f"a reference to {element.only}", "a reference to another type"
    if element.same is not None and value != at(event, element.same):
        yield "same", f"the same as {element.same}", "another"
    if element.form is not None:
        wanted, holds = FORMS[element.form]
        if not (isinstance(value, str) and holds(value)):
            yield "form", wanted, "another form"


def _walk(event: dict[str, Any], profile: Profile, steps: list[str]) -> list[Place]:
    places: list[Place] = [("AuditEvent", event)]
    for depth in range(1, len(steps) + 1):
        path = ".".join(steps[:depth])
        places = [child for where, node in places for child in _children(where, node, profile, path)]
    return places


def _children(where: str, node: Any, profile: Profile, path: str) -> Iterator[Place]:  # noqa: ANN401 - JSON is any
    name, _, sliced = path.rpartition(".")[2].partition("[")
    value = node.get(name) if isinstance(node, dict) else None
    if value is None:
        return
    members = profile.elements[path] if sliced else None
    for at_index, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if members is None or _belongs(each, members):
            yield f"{where}.{name}" + ("" if at_index is None else f"[{at_index}]"), each


def _belongs(value: Any, members: Element) -> bool:  # noqa: ANN401 - JSON is any
    told = value if members.on == "this" else value.get(members.on) if isinstance(value, dict) else None
    return bool(codes_in(told) & members.among)


def codes_in(value: Any) -> frozenset[Code]:  # noqa: ANN401 - JSON is any
    """Return the codes of a Coding or CodeableConcept, or a primitive as a code without a system."""
    if isinstance(value, dict):
        codings = value.get("coding", [value])
        return frozenset((each.get("system"), each["code"]) for each in codings if "code" in each)
    if isinstance(value, bool):
        return frozenset({(None, "true" if value else "false")})
    return frozenset({(None, value)}) if isinstance(value, str) else frozenset()


def reference_type(value: Any) -> str | None:  # noqa: ANN401 - JSON is any
    """Return the type that a Reference is to, when it tells; a logical reference has it in `type`."""
    if not isinstance(value, dict):
        return None
    if "type" in value:
        return str(value["type"]).rpartition("/")[2]
    steps = str(value.get("reference", "")).partition("/_history/")[0].split("/")
    return steps[-2] if len(steps) > 1 and steps[-2][:1].isupper() else None


def at(event: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON is any
    """Return what stands at a path without lists, None when it is absent."""
    value: Any = event
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _which(element: Element) -> str:
    return f" of {_written(element.among)}" if element.on else ""


def _written(codes: frozenset[Code]) -> str:
    shown = {known_codes().get(code, "another value") for code in codes}
    return " or ".join(sorted(shown)) or "no code"


def _tells_no_secret(query: str) -> bool:
    try:
        text = base64.b64decode(query, validate=True).decode("utf-8", "replace")
    except ValueError:
        return False
    return "code_verifier=" not in text.replace("code_verifier=***", "")


FORMS: dict[str, tuple[str, Callable[[str], bool]]] = {  # name -> what is asked, and whether a string is so
    "jti": (f"{JTI}<jti>", lambda text: text.startswith(JTI) and len(text) > len(JTI)),
    "token-tail": (f"at most the last {TAIL} characters of the token", lambda text: 0 < len(text) <= TAIL),
    "token-request": ("the raw request in base64, without the code_verifier", _tells_no_secret),
}
