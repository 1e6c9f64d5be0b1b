"""What a route demands of its caller: declared at the route, enforced in one place, and absent nowhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from proeftuin.audit.events import EventType

F = TypeVar("F", bound=Callable[..., Any])
MAX_BODY = 1 << 20  # bytes
FORM = "application/x-www-form-urlencoded"
Parameters = Mapping[str, str]  # name -> what it is, in words


@dataclass(frozen=True, slots=True)
class Requirement:
    """A valid certificate is always demanded; this is what comes on top of it.

    `scopes`: a token with at least one of them (None: no token). `patient`: the token must be for one client.
    `own_party`: only the tenant itself may call. `event`: what is logged when it succeeds (None: only refusals are logged).
    `media_types`: what a body may be. `max_body`: in bytes. `query` and `form`: what is taken there,
    `required` which of it must be. OpenAPI tells it, and `Admission.query` and `Admission.form` give nothing else.
    """

    scopes: frozenset[str] | None = None
    patient: bool = False
    own_party: bool = False
    event: EventType | None = None
    media_types: frozenset[str] = frozenset()
    max_body: int = MAX_BODY
    query: Parameters = field(default_factory=dict)
    form: Parameters = field(default_factory=dict)
    required: frozenset[str] = frozenset()


class UndeclaredRouteError(TypeError):
    """A route has no requirement: the application does not start."""


def require(
    *scopes: str,
    patient: bool = False,
    own_party: bool = False,
    event: EventType | None = None,
    media_types: tuple[str, ...] = (),
    max_body: int = MAX_BODY,
    query: Parameters | None = None,
    form: Parameters | None = None,
    required: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Declare the requirement of a route; without scopes a valid certificate is enough. With `form` the body is one.

    Raises UndeclaredRouteError when what is required is not in `query` or `form`.
    """
    query, form = query or {}, form or {}
    if unknown := set(required) - query.keys() - form.keys():
        raise UndeclaredRouteError(f"required and not declared: {', '.join(sorted(unknown))}")
    types = frozenset(media_types) | ({FORM} if form else frozenset())
    requirement = Requirement(
        frozenset(scopes) or None, patient, own_party, event, types, max_body, query, form, frozenset(required)
    )  # fmt: skip

    def declare(endpoint: F) -> F:
        endpoint.__dict__["requirement"] = requirement
        return endpoint

    return declare


def requirement_of(endpoint: Callable[..., Any]) -> Requirement:
    """Return what `endpoint` declared; raises UndeclaredRouteError."""
    found = getattr(endpoint, "requirement", None)
    if not isinstance(found, Requirement):
        raise UndeclaredRouteError(f"{endpoint.__module__}.{endpoint.__qualname__} declares no requirement (@require)")
    return found
