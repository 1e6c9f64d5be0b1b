"""One service under test: its real application, PKI, database and enforcement point; the TLS layer and the log are stood in for."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from proeftuin import parties
from proeftuin.fhir.validation import validate
from proeftuin.pki.authority import Authority
from proeftuin.pki.identity import Peer, peer_from_der
from proeftuin.service import Service, Wiring
from proeftuin.settings import Network, ServiceSettings, TenantSettings
from proeftuin.tenant import Tenant
from proeftuin.tokens.access_token import Confirmation, Grant, Person, issue
from proeftuin.tokens.issuers import OwnKeys
from proeftuin.tokens.keys import SigningKeys
from services.logging.conformance.report import issues, judge

PARTIES = Path(__file__).parent.parent / "parties.toml"
BASE = "https://localhost:8440"
NETWORK = Network(
    addressing=BASE, localization=BASE, pseudonymisation=BASE, consent=BASE, logging=BASE, witness=BASE,
    issuer=f"{BASE}/oauth2/vws", identity_professionals=f"{BASE}/oauth2/cibg", identity_clients=f"{BASE}/oauth2/vws",
    registrar="did:web:localhost%3A8440:iam:cibg",
)  # fmt: skip


class MovableClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.moment

    real = now  # a test that tells the two apart says so

    def forward(self, **units: float) -> None:
        self.moment += timedelta(**units)


class Harness:
    """Settings, PKI and tokens for one service with the tenants `hosted`; `events` holds every AuditEvent that was delivered.

    Use: `harness = Harness(tmp_path, "localization", ["verwijsindex"]); app = create_app(harness.settings, harness.wiring)`;
    `async with harness.running(app): answer = await harness.call("GET", "/fhir/List", party="ziekenhuis-de-linde", token=...)`.
    """

    def __init__(self, tmp_path: Path, service: str, hosted: list[str], database: str | None = None) -> None:
        self.folder = tmp_path
        self.clock = MovableClock()
        self.seed = parties.load(PARTIES)
        self.authority = Authority(tmp_path / "pki")
        self.authority.create()
        self.keys = SigningKeys(tmp_path / "issuer", self.clock)
        self.events: list[dict[str, Any]] = []
        self._peers: dict[str, Peer] = {}
        operator = hosted[0]
        server = self.authority.issue(self.seed.party(operator), folder=tmp_path / "server")
        tenants = []
        for party in hosted:
            folder = tmp_path / "tenants" / party
            self.authority.issue(self.seed.party(party), folder=folder)
            audience = BASE if len(hosted) == 1 and service != "datastation" else f"{BASE}/{party}"
            url = database or f"sqlite:///{folder / 'database.sqlite'}"
            tenants.append(TenantSettings(party=party, audience=audience, issuer=NETWORK.issuer, folder=folder, database=url))
        self.settings = ServiceSettings(
            instance=f"{service}-test", service=service, operator=operator, host="127.0.0.1", port=8440, base_url=BASE,
            certificate=server.certificate, key=server.key, trust=self.authority.trust_folder, parties=PARTIES,
            tenants=tenants, network=NETWORK,
        )  # fmt: skip
        self.wiring = Wiring(self.clock, lambda _settings, _client: OwnKeys(self.keys), self._delivery)
        self._app: FastAPI | None = None

    def _delivery(self, _tenant: Tenant) -> Any:
        async def deliver(events: list[dict[str, Any]]) -> set[str]:
            self.events += events
            return {event["id"] for event in events}

        return deliver

    def peer(self, party: str) -> Peer:
        """Return the identity in a certificate that the CA issued to `party` (the same one each time)."""
        if party not in self._peers:
            issued = self.authority.issue(self.seed.party(party), folder=self.folder / "peers" / party)
            leaf = x509.load_pem_x509_certificate(issued.certificate.read_bytes())
            self._peers[party] = peer_from_der(leaf.public_bytes(Encoding.DER))
        return self._peers[party]

    def token(
        self, party: str, *scopes: str, patient: str | None = None, person: Person | None = None, purpose: str | None = None,
        audience: str | None = None, lifetime: int = 300, bound_to: str | None = None,
    ) -> str:  # fmt: skip
        """Return a token as the network's issuer signs it, for `party` and bound to its certificate (or another's)."""
        peer = self.peer(party)
        thumbprint = self.peer(bound_to).thumbprint if bound_to else peer.thumbprint
        grant = Grant(
            peer.client_id, audience or self.settings.tenants[0].audience, frozenset(scopes),
            Confirmation("x5t#S256", thumbprint), lifetime,
            patient, person, purpose,
        )  # fmt: skip
        return issue(self.keys, NETWORK.issuer, grant, self.clock).raw

    def running(self, app: FastAPI) -> Any:
        """Return the context in which the application's lifespan runs."""
        self._app = app
        return app.router.lifespan_context(app)

    async def call(
        self, method: str, path: str, *, party: str | None, token: str | None = None,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None, **rest: Any,
    ) -> httpx.Response:  # fmt: skip
        """Send one request with the certificate of `party` (None: a certificate without an identity)."""
        peer = self.peer(party) if party else None

        async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["tls"] = {"peer": peer}
            assert self._app is not None
            await self._app(scope, receive, send)

        sent = httpx.Headers(headers)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_peer), base_url=BASE) as client:
            return await client.request(method, path, headers=sent, **rest)

    async def logged(self) -> list[dict[str, Any]]:
        """Return every event so far, after the outboxes are empty, and forget them."""
        assert self._app is not None
        service: Service = self._app.state.service
        for tenant in service.tenants.values():
            while await tenant.courier._round():
                pass
        found, self.events = self.events, []
        for event in found:
            assert [
                issue.diagnostics for issue in validate(event) if issue.severity in ("error", "fatal")
            ] == []  # else no log takes it
            wrong = told_wrong(event)
            assert not wrong, f"{event['type']['code']} {event['subtype'][0]['code']} {event['outcome']}: {wrong}"
        return list({event["id"]: event for event in found}.values())


def told_wrong(event: dict[str, Any]) -> list[str]:
    """Return what an event of ours breaks of the profiles that it claims, and what it lacks of NEN 7513."""
    return [issue.diagnostics for issue in issues(judge(event)) if issue.severity in ("error", "warning")]


def routes_of(app: FastAPI) -> list[Any]:
    """Return every route of an application, those of its included routers too."""

    def leaves(routes: list[Any]) -> list[Any]:
        return [
            leaf
            for route in routes
            for leaf in (leaves(route.original_router.routes) if hasattr(route, "original_router") else [route])
        ]

    return leaves(app.routes)
