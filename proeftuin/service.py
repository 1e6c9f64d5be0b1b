"""The wiring that every service shares: tenants, trust, lifespan, health, metrics, OpenAPI, and the refusals of TLS and routing."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proeftuin import __version__, parties
from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.description import SECURITY_SCHEMES
from proeftuin.access.handshakes import RefusedHandshakes
from proeftuin.access.rendering import Form, json_response, problem
from proeftuin.access.requirement import Requirement, require
from proeftuin.access.route import check_declared, guard, guarded
from proeftuin.audit import outbox
from proeftuin.audit.calling import Caller
from proeftuin.audit.delivery import deliver_to
from proeftuin.audit.record import System
from proeftuin.clock import Clock, SandboxClock, SystemClock
from proeftuin.reasons import METHOD_NOT_ALLOWED, NOT_FOUND, Refused
from proeftuin.settings import ServiceSettings, TenantSettings
from proeftuin.storage.database import Database
from proeftuin.storage.migrations import ensure_database, upgrade
from proeftuin.storage.secrets import secret
from proeftuin.tape.recorder import Recorder, writer
from proeftuin.tenant import Tenant
from proeftuin.tokens.access_token import TokenVerifier
from proeftuin.tokens.client import TokenClient
from proeftuin.tokens.dpop import Nonces
from proeftuin.tokens.issuers import KeySource, RemoteKeys
from proeftuin.transport.client import PeerClient
from proeftuin.transport.server import Listener
from proeftuin.transport.tracing import Trace
from proeftuin.transport.trust import HandshakeRefusal, Trust, client_context, server_context
from proeftuin.transport.warming import warm

log = structlog.get_logger(__name__)
CRL_WARNING = timedelta(days=2)


@dataclass(slots=True)
class Metrics:
    """The counters of one service instance, in a registry of its own (several services may share a process)."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    tls_refusals: Counter = field(init=False)
    waiting: Gauge = field(init=False)

    def __post_init__(self) -> None:
        """Register the instruments."""
        labels = ["method", "route", "status", "reason"]
        self.requests = Counter("proeftuin_requests", "Requests by outcome", labels, registry=self.registry)
        self.seconds = Histogram("proeftuin_request_seconds", "Duration", labels[:2], registry=self.registry)
        self.tls_refusals = Counter("proeftuin_tls_refusals", "Refused handshakes", ["reason"], registry=self.registry)
        self.waiting = Gauge("proeftuin_audit_undelivered", "Audit events in the outbox", ["party"], registry=self.registry)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What can be put in another way than a running network does.

    `clock` is by default the machine's, moved where the settings name a sandbox's clock file. `key_source` gives the keys with
    which a tenant's tokens are verified (default: fetched from the tenant's issuer);
    `delivery` gives the way of a tenant's audit events to the log (default: over mTLS).
    """

    clock: Clock | None = None
    key_source: Callable[[TenantSettings, Caller], KeySource] | None = None
    delivery: Callable[[Tenant], outbox.Deliver] | None = None


@dataclass
class Service:
    """One instance of one service while it is being put together and run; `migrations` is the folder of its Alembic revisions."""

    settings: ServiceSettings
    migrations: Path
    wiring: Wiring = field(default_factory=Wiring)
    on_start: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)  # after the outboxes had their last round
    tenants: dict[str, Tenant] = field(default_factory=dict)
    checks: dict[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)  # components of /health of the service's own
    asks: Sequence[str] = ()  # addresses of the services that this one asks, beside the log and its issuers

    def __post_init__(self) -> None:
        """Open databases, keys and clients of every tenant."""
        moved = self.settings.clock
        self.clock = self.wiring.clock or (SandboxClock(moved) if moved else SystemClock())
        self.seed = parties.load(self.settings.parties)
        self.trust = Trust(self.settings.trust)
        self.metrics = Metrics()
        for tenant in self.settings.tenants:
            self.tenants[tenant.party] = self._open(tenant)
        self._handshakes = RefusedHandshakes(self.operator)
        taped = self.settings.tape
        self._recorder = taped and Recorder(writer(taped), self.settings.instance, self.settings.service, self.operator.party.name)

    @property
    def operator(self) -> Tenant:
        """The tenant in whose name the listener itself logs: the operator's own, or the first that it hosts."""
        return self.tenants.get(self.settings.operator) or next(iter(self.tenants.values()))

    def tenant_of(self, request: Request) -> Tenant:
        """Return the tenant that the path names (`{party}`), or the only one; raises Refused(NOT_FOUND)."""
        party = request.path_params.get("party")
        if party is None:
            return self.operator
        tenant = self.tenants.get(party)
        if tenant is None:
            raise Refused(NOT_FOUND, f"this instance hosts no party {party[:60]!r}")
        return tenant

    def app(self, title: str, routers: Sequence[APIRouter], *, form: Form = problem, description: str = "") -> FastAPI:
        """Return the application: `routers` behind the enforcement point, and health, metrics and OpenAPI beside them."""
        app = FastAPI(
            title=title, description=description, version=__version__, lifespan=self._lifespan,
            openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        )  # fmt: skip
        app.state.service, app.state.trust, app.state.metrics = self, self.trust, self.metrics
        app.state.tenant_of = self.tenant_of
        self._routers = [*routers, _operations(self, app)]
        for router in self._routers:  # include_router would have each request matched twice
            app.router.routes.extend(router.routes)

        async def unmatched(request: Request, error: Exception) -> Response:
            async def refuse(_: Admission) -> Response:
                status = error.status_code if isinstance(error, HTTPException) else 404
                reason = METHOD_NOT_ALLOWED if status == 405 else NOT_FOUND
                raise Refused(reason, f"no route for {request.method[:16]} on this path")

            return await guard(refuse, Requirement(), form)(request)

        app.add_exception_handler(HTTPException, unmatched)
        return app

    def listener(self, app: FastAPI) -> Listener:
        """Return where and with which certificate `app` answers; raises what `check_declared` raises: then it does not start."""
        check_declared(self._routers)
        context = server_context(self.settings.certificate, self.settings.key, self.trust, self._refused_by_tls)
        return Listener(self._recorder.around(app) if self._recorder else app, self.settings.host, self.settings.port, context)

    def _open(self, settings: TenantSettings) -> Tenant:
        ensure_database(settings.database)
        database = Database(settings.database)
        upgrade(database.engine, self.migrations)
        party = self.seed.party(settings.party)
        context = client_context(settings.folder / "certificate.pem", settings.folder / "certificate.key", self.trust)
        here = System(party.identifiers[0], party.name, settings.audience)
        peers = PeerClient(context, connect_to=self.settings.connect_to)

        def wake() -> None:  # the courier, which delivers by this very client
            tenant.courier.wake()

        client = Caller(peers, here, party.client_id, database, self.clock, wake)
        source = self.wiring.key_source(settings, client) if self.wiring.key_source else RemoteKeys(settings.issuer, client)
        tokens = TokenClient(self.settings.network.issuer, party.client_id, client, self.clock)
        tenant = Tenant(
            party=party, service=self.settings.service, audience=settings.audience, secrets=settings.folder / "keys",
            clock=self.clock, database=database, client=client, tokens=tokens,
            verifier=TokenVerifier({settings.issuer: source}, settings.audience, self.clock),
            nonces=Nonces(secret(settings.folder / "keys" / "dpop.key", lambda: os.urandom(32))),
            courier=None,  # type: ignore[arg-type] # the courier needs the tenant; it follows in the next line
        )  # fmt: skip
        given = self.wiring.delivery
        deliver = given(tenant) if given else deliver_to(self.settings.network.logging, client, tokens)
        tenant.courier = outbox.Courier(database, deliver)
        return tenant

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        for tenant in self.tenants.values():
            tenant.courier.start()
        self._warming = asyncio.get_running_loop().create_task(self._warm())
        for begin in self.on_start:
            await begin()
        try:
            yield
        finally:
            for end in self.on_stop:
                await end()
            await self._handshakes.close()
            if self._recorder:
                await asyncio.to_thread(self._recorder.writer.flush)
            self._warming.cancel()
            for tenant in self.tenants.values():
                await tenant.courier.stop()
            for end in self.on_end:
                await end()
            for tenant in self.tenants.values():
                await tenant.client.close()
                await tenant.database.close()

    async def _warm(self) -> None:
        """Open the connections to the services that this one asks, as each of its tenants."""
        national = (self.settings.network.logging, self.settings.network.issuer, *self.asks)
        for settings in self.settings.tenants:
            origins = {"/".join(url.split("/")[:3]) for url in (*national, settings.issuer)} - {self.settings.base_url}
            await warm(self.tenants[settings.party].client, origins)

    def _refused_by_tls(self, refusal: HandshakeRefusal) -> None:
        """Count, print and log a handshake that failed; it runs inside the event loop of the listener."""
        log.warning("tls refused", instance=self.settings.instance, reason=refusal.reason.code, detail=refusal.detail)
        self.metrics.tls_refusals.labels(refusal.reason.code).inc()
        trace = Trace.new()
        self._handshakes.add(refusal, trace)
        if self._recorder:
            self._recorder.refused(refusal.reason, refusal.detail, trace)

    async def health(self) -> tuple[int, dict[str, Any]]:
        """Return the HTTP status and the state of every part: database, revocation list, certificate, outbox."""
        now = self.clock.real()  # certificates and revocation lists are on real time
        components: dict[str, Any] = {}
        for name, tenant in self.tenants.items():
            try:
                waiting = await tenant.database.read(outbox.undelivered)
                self.metrics.waiting.labels(name).set(waiting)
                components[name] = {"status": "up", "audit_undelivered": waiting}
            except Exception as error:  # noqa: BLE001 - health says what is wrong, whatever it is
                components[name] = {"status": "down", "detail": type(error).__name__}
        next_update = self.trust.revocations().next_update
        left = next_update - now
        components["crl"] = {
            "status": "down" if left <= timedelta(0) else "warning" if left < CRL_WARNING else "up",
            "next_update": next_update.isoformat(),
        }
        certificate = x509.load_pem_x509_certificate(self.settings.certificate.read_bytes())
        expired = certificate.not_valid_after_utc <= now
        components["certificate"] = {
            "status": "down" if expired else "up",
            "not_after": certificate.not_valid_after_utc.isoformat(),
        }
        components |= {name: check() for name, check in self.checks.items()}
        states = {component["status"] for component in components.values()}
        worst = next(state for state in ("down", "warning", "up") if state in states)
        return (503 if worst == "down" else 200), {"status": worst, "instance": self.settings.instance, "components": components}


def _operations(service: Service, app: FastAPI) -> APIRouter:
    """The addresses beside the contract: a valid certificate is enough to see them."""
    router = guarded(problem)

    @router.get("/health")
    @require()
    async def health(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """State of database, revocation list, certificate and outbox; 503 when one is down."""
        status, content = await service.health()
        return json_response(content, status)

    @router.get("/metrics")
    @require()
    async def metrics(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """Counters in the Prometheus text format."""
        await service.health()  # it reads how many audit events wait
        return Response(generate_latest(service.metrics.registry), media_type="text/plain; version=0.0.4")

    @router.get("/openapi.json")
    @require()
    async def openapi(admission: Admitted) -> Response:  # noqa: ARG001 - every handler is admitted
        """The OpenAPI document of this service."""
        document = app.openapi()
        document["components"] = document.get("components", {}) | {"securitySchemes": SECURITY_SCHEMES}
        return json_response(document)

    return router
