"""The route class of every service: admits or refuses, handles, logs, and only then answers."""

import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proeftuin.access import enforcement
from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.description import describe
from proeftuin.access.rendering import Form
from proeftuin.access.requirement import Requirement, UndeclaredRouteError, requirement_of
from proeftuin.audit import interactions, outbox
from proeftuin.audit.events import REFUSAL, TRANSACTION
from proeftuin.audit.record import MAJOR_FAILURE, Record, System, policy_urns
from proeftuin.pki.identity import Peer
from proeftuin.reasons import INTERNAL, Refused
from proeftuin.tenant import Tenant
from proeftuin.transport.tracing import CURRENT, from_headers
from proeftuin.transport.trust import Trust

log = structlog.get_logger(__name__)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Handle = Callable[[Admission], Awaitable[Response]]


def guarded(form: Form) -> APIRouter:
    """Return a router whose routes stand behind the enforcement point and refuse in `form`."""

    class GuardedRoute(APIRoute):
        """A route that cannot exist without a declared requirement."""

        def __init__(self, path: str, endpoint: Callable[..., Any], **kwargs: Any) -> None:  # noqa: ANN401 - passed on
            self.requirement = requirement_of(endpoint)
            kwargs["openapi_extra"] = describe(self.requirement)
            super().__init__(path, endpoint, **kwargs)
            handler = guard(_calling(endpoint), self.requirement, form)

            async def answering(scope: Scope, receive: Receive, send: Send) -> None:
                response = await handler(Request(scope, receive, send))
                await response(scope, receive, send)

            self.app = answering  # in the place of FastAPI's, which looks for dependencies and failures: there are none

    return APIRouter(route_class=GuardedRoute)


def check_declared(routers: Sequence[APIRouter]) -> None:
    """Raise UndeclaredRouteError, or UndeclaredInteractionError, for a route of which the calling end would log something else."""
    for route in [route for router in routers for route in router.routes if isinstance(route, APIRoute)]:
        declared = requirement_of(route.endpoint).event
        for method in route.methods or ():
            known = interactions.of(method, route.path).event
            if known is not declared and (known, declared) != (TRANSACTION, None):  # None: a batch of audit events
                raise UndeclaredRouteError(f"{method} {route.path} declares {declared}, proeftuin/audit/interactions.py {known}")


def _calling(endpoint: Callable[..., Awaitable[Response]]) -> Handle:
    """Return what calls a handler, which takes its admission, parts of the path and parameters of the query, all of them text.

    That leaves FastAPI nothing to find out or to convert: it describes the route. Raises UndeclaredRouteError for another handler.
    """
    admitted, *others = inspect.signature(endpoint, eval_str=True).parameters.values() or (None,)
    if admitted is None or admitted.annotation is not Admitted:
        raise UndeclaredRouteError(f"{endpoint.__qualname__}: its first parameter is not its admission")
    if other := [each.name for each in others if each.annotation is not str or each.default not in ("", each.empty)]:
        raise UndeclaredRouteError(f"{endpoint.__qualname__}: {', '.join(other)} is no text, or has a default that is not ''")
    names = [each.name for each in others]

    async def handle(admission: Admission) -> Response:
        parts, query = admission.request.path_params, admission.request.query_params
        return await endpoint(admission, **{name: parts[name] if name in parts else query.get(name, "") for name in names})

    return handle


def guard(handle: Handle, requirement: Requirement, form: Form) -> Handler:
    """Return `handle` behind the enforcement point: admitted or refused in `form`, and logged."""

    async def guarded_handler(request: Request) -> Response:
        trace = from_headers(request.headers)
        CURRENT.set(trace)
        started = time.perf_counter()
        peer: Peer | None = request.scope.get("extensions", {}).get("tls", {}).get("peer")
        trust: Trust = request.app.state.trust
        tenant, unknown = _tenant(request)
        record = Record(
            requirement.event or REFUSAL, trace, _caller(request, peer), tenant.system, tenant.system,
            client_id=peer.client_id if peer else None, policies=_held_against(requirement),
        )  # fmt: skip
        request.state.record = record  # for the tape
        admission = None
        reason = "ok"
        try:
            peer = enforcement.check_certificate(peer, trust, tenant.clock.real())
            if unknown is not None:
                raise unknown
            enforcement.check_party(peer, requirement, tenant.party.client_id)
            token = await enforcement.check_token(request, peer, requirement, tenant)
            if token is not None:
                record.token, record.purpose, record.person = token.policy, token.grant.purpose, token.grant.person
                record.policies = _held_against(requirement, token.grant.scopes)
                if token.patient is not None:
                    record.patients = [token.patient]
                if token.grant.principal is not None:
                    record.details["acts_for"] = token.grant.principal
                enforcement.check_scope(token, requirement)
            enforcement.check_path(request.path_params)
            admission = Admission(request, requirement, tenant, trace, record, peer, token)
            response = await handle(admission)
        except Refused as refused:
            record.refuse(refused.reason, refused.detail)
            reason, response = refused.reason.code, form(refused, trace)
        except Exception:
            log.exception("unexpected failure", path=_path(request), trace_id=trace.trace_id)
            failure = Refused(INTERNAL, "the request could not be handled")
            record.refuse(failure.reason, failure.detail, MAJOR_FAILURE)
            reason, response = INTERNAL.code, form(failure, trace)
        try:
            await _log(admission, requirement, record, tenant)
        except Exception:
            log.exception("audit event not stored", path=_path(request), trace_id=trace.trace_id)
            reason, response = INTERNAL.code, form(Refused(INTERNAL, "the answer could not be logged"), trace)
        response.headers["traceparent"] = trace.traceparent
        response.headers["X-Request-Id"] = request.headers.get("x-request-id") or trace.request_id  # as it came (AuthZEN §10.1.3)
        if record.reason is not None:  # also of a decision that was given and says no: the calling end logs the same
            response.headers.setdefault("X-Reason", record.reason.code)
            response.headers["X-Outcome"] = record.outcome
        _measure(request, response, started, reason)
        return response

    return guarded_handler


def _tenant(request: Request) -> tuple[Tenant, Refused | None]:
    """Return whose door it is; where nobody lives the operator of the instance refuses, and logs it."""
    try:
        return request.app.state.tenant_of(request), None
    except Refused as refused:
        return request.app.state.service.operator, refused


async def _log(admission: Admission | None, requirement: Requirement, record: Record, tenant: Tenant) -> None:
    """Store the event unless the handler did, with its own work; an answer that cannot be logged is not given."""
    failed = record.reason is not None
    if not failed and (requirement.event is None or (admission is not None and admission.recorded)):
        return
    now = tenant.clock.now()
    await tenant.database.write(outbox.store, record.to_events(now), now)
    tenant.courier.wake()


def _caller(request: Request, peer: Peer | None) -> System:
    address = request.client.host if request.client else "unknown"
    if peer is None:
        return System(None, "unknown", address)
    return System(peer.identifier, peer.common_name, address, peer.thumbprint)


def _held_against(requirement: Requirement, granted: frozenset[str] | None = None) -> list[str]:
    """The rules of the route: those of its scopes that were granted, or all of which one is asked; else a valid certificate."""
    scopes = requirement.scopes or {"certificate"}
    return policy_urns(*sorted(scopes & (granted or frozenset()) or scopes))


def _path(request: Request) -> str:
    """The path as it was declared: what was asked may hold anything."""
    return getattr(request.scope.get("route"), "path", "unmatched")


def _measure(request: Request, response: Response, started: float, reason: str) -> None:
    metrics = request.app.state.metrics
    route = _path(request)
    metrics.requests.labels(request.method, route, str(response.status_code), reason).inc()
    metrics.seconds.labels(request.method, route).observe(time.perf_counter() - started)
