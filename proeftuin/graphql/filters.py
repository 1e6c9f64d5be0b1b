"""A `where` argument in one form: what must hold of every record (`all`), and the choices that are left open (`any`).

The dialect is HotChocolate's: members of an object hold together, `and` and `or` hold lists of objects, a relation to
many is asked with all, none, some, any. Two filters that say the same thing in another order or nesting get the same form.
"""

import json
from dataclasses import dataclass
from typing import Any

_QUANTIFIERS = frozenset({"all", "none", "some", "any"})


@dataclass(frozen=True, slots=True)
class Filter:
    """`all`: (field, operator, value), a field of a related record as `relation.field`; `any`: alternatives, one must hold.

    Under a quantifier (`relation.some`) the value is itself a Filter, because its conditions hold of one and the same record.
    """

    all: tuple[tuple[str, str, Any], ...] = ()
    any: tuple[tuple["Filter", ...], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the form in which a policy reads it."""
        return {
            "all": [
                {"field": name, "op": operator, "value": value.as_json() if isinstance(value, Filter) else value}
                for name, operator, value in self.all
            ],
            "any": [[each.as_json() for each in alternatives] for alternatives in self.any],
        }

    @property
    def key(self) -> str:
        """Text that is equal for equal filters."""
        return json.dumps(self.as_json(), sort_keys=True)


def read(where: dict[str, Any] | None) -> Filter:
    """Return the form of a coerced `where`; what is null or empty asks nothing."""
    return _object(where or {}, "")


def _object(where: dict[str, Any], prefix: str) -> Filter:
    together = [_member(name, value, prefix) for name, value in where.items() if value is not None]
    return _conjunction(together)


def _member(name: str, value: Any, prefix: str) -> Filter:  # noqa: ANN401 - a coerced input value
    if name == "and":
        return _conjunction([_object(each, prefix) for each in value])
    if name == "or":
        return _disjunction([_object(each, prefix) for each in value])
    if name in _QUANTIFIERS:
        return Filter(((prefix.removesuffix("."), name, _object(value, "")),))
    return _conjunction(
        [
            Filter(((f"{prefix}{name}", operator, _operand(operator, operand)),))
            if not isinstance(operand, dict | list) or operator in {"in", "nin"}
            else _member(operator, operand, f"{prefix}{name}.")
            for operator, operand in value.items()
            if operand is not None or operator in {"eq", "neq"}
        ]
    )


def _operand(operator: str, value: Any) -> Any:  # noqa: ANN401 - a coerced input value
    return sorted(value, key=str) if operator in {"in", "nin"} and isinstance(value, list) else value


def _conjunction(parts: list[Filter]) -> Filter:
    conditions = {
        json.dumps([n, o, v.as_json() if isinstance(v, Filter) else v]): (n, o, v) for each in parts for n, o, v in each.all
    }
    choices = {json.dumps([option.key for option in group]): group for each in parts for group in each.any}
    return Filter(tuple(conditions[key] for key in sorted(conditions)), tuple(choices[key] for key in sorted(choices)))


def _disjunction(options: list[Filter]) -> Filter:
    flat = [inner for each in options for inner in (each.any[0] if not each.all and len(each.any) == 1 else (each,))]
    distinct = {each.key: each for each in flat}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if Filter().key in distinct:  # an alternative that asks nothing makes the whole ask nothing
        return Filter()
    return Filter(any=(tuple(distinct[key] for key in sorted(distinct)),)) if distinct else Filter()
