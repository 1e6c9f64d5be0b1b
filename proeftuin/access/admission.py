"""An admitted request: who calls, with which token, at whose door, and the audit event that is being gathered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl

import sqlalchemy as sa
from fastapi import Depends
from starlette.requests import ClientDisconnect, Request

from proeftuin.access.requirement import Parameters, Requirement
from proeftuin.audit import outbox
from proeftuin.audit.record import Record
from proeftuin.pki.identity import Peer
from proeftuin.reasons import CONTENT_TYPE, INVALID_REQUEST, MALFORMED, PARAMETER_UNKNOWN, TOO_LARGE, Refused
from proeftuin.strict_json import parse_object
from proeftuin.tenant import Tenant
from proeftuin.tokens.access_token import AccessToken
from proeftuin.transport.tracing import Trace

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Admission:
    """What the enforcement point established about one request.

    The handler completes `record` (patient, query, entities). `write` commits the handler's work and the audit event together;
    when it was not used, the route stores the event before the answer leaves.
    """

    request: Request
    requirement: Requirement
    tenant: Tenant
    trace: Trace
    record: Record
    peer: Peer
    verified: AccessToken | None = None
    recorded: bool = False

    @property
    def token(self) -> AccessToken:
        """The verified token; only for routes that require one."""
        if self.verified is None:
            raise TypeError("this route requires no token")
        return self.verified

    @property
    def patient(self) -> str:
        """The BSN of the client whom the token is for; only for routes that require one."""
        if self.token.patient is None:
            raise TypeError("this route requires no client")
        return self.token.patient

    @property
    def base_url(self) -> str:
        """This service's own address, which no header of the caller changes."""
        return str(self.request.app.state.service.settings.base_url)

    async def write(self, fn: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, *args)` and store the audit event in the same transaction; returns the result of `fn`."""

        def both(connection: sa.Connection) -> T:
            result = fn(connection, *args, **kwargs)
            if self.requirement.event is not None:
                now = self.tenant.clock.now()
                outbox.store(connection, self.record.to_events(now), now)
            return result

        result = await self.tenant.database.write(both)
        self.recorded = True
        self.tenant.courier.wake()
        return result

    async def body(self) -> bytes:
        """Return the body; raises Refused(TOO_LARGE or CONTENT_TYPE)."""
        limit = self.requirement.max_body
        media_type = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.requirement.media_types and media_type not in self.requirement.media_types:
            wanted = " or ".join(sorted(self.requirement.media_types))
            raise Refused(CONTENT_TYPE, f"the body must be {wanted}, not {media_type or 'untyped'}")
        received = bytearray()
        try:
            async for chunk in self.request.stream():
                received += chunk
                if len(received) > limit:
                    raise Refused(TOO_LARGE, f"the body is larger than {limit} bytes")
        except ClientDisconnect as error:
            raise Refused(MALFORMED, "the caller went away before the body was complete") from error
        return bytes(received)

    async def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object; raises Refused(MALFORMED, TOO_LARGE or CONTENT_TYPE)."""
        return json_object(await self.body())

    async def form(self, *, strict: bool = False) -> dict[str, str]:
        """Return the fields of an urlencoded body that the route declares; others are ignored, empty ones absent (RFC 6749 §3.2).

        Raises Refused: INVALID_REQUEST when one stands there twice or a required one is not there, PARAMETER_UNKNOWN for another
        when `strict`, and what `body` raises.
        """
        try:
            pairs = parse_qsl((await self.body()).decode(), keep_blank_values=True, strict_parsing=False, max_num_fields=100)
        except ValueError as error:
            raise Refused(MALFORMED, "the body is not urlencoded UTF-8") from error
        return self._declared("form", pairs, self.requirement.form, strict)

    def query(self, *, strict: bool = False) -> dict[str, str]:
        """Return the parameters of the query that the route declares, as `form` does; raises Refused."""
        return self._declared("query", self.request.query_params.multi_items(), self.requirement.query, strict)

    def _declared(self, place: str, pairs: list[tuple[str, str]], declared: Parameters, strict: bool) -> dict[str, str]:
        if not declared:
            raise TypeError(f"this route declares no {place}")
        if len(dict(pairs)) != len(pairs):
            raise Refused(INVALID_REQUEST, f"a parameter stands in the {place} more than once")
        if strict and (unknown := dict(pairs).keys() - declared.keys()):  # not named: a name may be personal too
            raise Refused(PARAMETER_UNKNOWN, f"{len(unknown)} unknown parameter(s): the {place} has {', '.join(declared)}")
        values = {name: value for name, value in pairs if value and name in declared}
        if missing := [name for name in declared if name in self.requirement.required and name not in values]:
            raise Refused(INVALID_REQUEST, f"the {place} has no {' and no '.join(missing)}")
        return values


def json_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object, strictly: no duplicate members, no NaN; raises Refused(MALFORMED)."""
    try:
        return parse_object(raw)
    except ValueError as error:
        raise Refused(MALFORMED, f"the body is not a JSON object: {str(error)[:80]}") from error


def _no_parameter() -> None:
    """Keep the admission, which the route gives, out of what FastAPI describes."""


Admitted = Annotated[Admission, Depends(_no_parameter)]
