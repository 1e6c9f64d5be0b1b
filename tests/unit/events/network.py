"""The whole network in this process, over real TLS on real ports; the audit events of both ends are taken by the test."""

import asyncio
import importlib
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI

from proeftuin import settings
from proeftuin.audit import outbox
from proeftuin.audit.calling import Caller
from proeftuin.audit.record import System
from proeftuin.clock import SystemClock
from proeftuin.pki.identity import Peer, peer_from_der
from proeftuin.sandbox import seeding
from proeftuin.sandbox.care_system import CareSystem
from proeftuin.sandbox.home import Home
from proeftuin.sandbox.nursing_records import generate
from proeftuin.sandbox.topology import APPLICATIONS, Instance
from proeftuin.service import Service, Wiring
from proeftuin.storage.database import Database
from proeftuin.tenant import Tenant
from proeftuin.tokens.access_token import Confirmation, Grant, issue
from proeftuin.tokens.keys import SigningKeys
from proeftuin.transport.client import PeerClient
from proeftuin.transport.server import Listener, Server, _config, bind
from proeftuin.transport.trust import ReloadingContext, Remembering, Trust, client_context
from services.consent.notifying import Notifying

CLOCK = SystemClock()
HOLDER = "verpleeghuis-avondrood"
CLIENTS = ("999910000", "999918138")  # both are known to the holder, and share


@dataclass
class Network:
    """Use: `network = Network(path, base_port); await network.start(); ...; await network.stop()`."""

    path: Path
    base_port: int
    services: dict[str, Service] = field(default_factory=dict)
    apps: dict[str, FastAPI] = field(default_factory=dict)
    _taken: list[dict[str, Any]] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _callers: list[Caller] = field(default_factory=list)
    _serving: list[tuple[Server, asyncio.Task[None]]] = field(default_factory=list)

    async def start(self) -> None:
        """Prepare, serve and fill: the directory, the consents, and the records of two clients."""
        self._outbox = Database(f"sqlite:///{self.path / 'callers.sqlite'}")
        outbox.metadata.create_all(self._outbox.engine)
        self.home = Home(self.path)
        self.home.prepare(Path(__file__).parents[3] / "parties.toml", self.base_port)
        for instance in self.home.topology.instances:
            loaded = settings.load(self.home.settings_file(instance.name))
            app = importlib.import_module(APPLICATIONS[instance.service]).create_app(loaded, Wiring(delivery=self._delivery))
            self.apps[instance.name], self.services[instance.name] = app, app.state.service
            _keep_still(app.state.service)
            await self.serve(app.state.service.listener(app))
        await seeding.feed_addressing(self.home)
        await asyncio.gather(self._consents(), self._records())

    async def serve(self, listener: Listener) -> int:
        """Serve one application until the network stops; returns its port, a free one where the listener has 0."""
        server, bound = Server(_config(listener)), bind(listener.host, listener.port)
        self._serving.append((server, asyncio.create_task(server.serve(sockets=[bound]))))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.01)
        return int(bound.getsockname()[1])

    async def stop(self) -> None:
        """Stop serving and close what was opened."""
        for caller in self._callers:
            await caller.close()
        await self._outbox.close()
        for server, _ in self._serving:
            server.should_exit = True
        await asyncio.gather(*(task for _, task in self._serving))

    def instance(self, service: str, party: str | None = None) -> Instance:
        """The instance of a service, of those of parties the one that hosts `party`; without one, the national one."""
        service = "authorization" if service == "iwlz" else service
        return self.home.topology.instance(service, party)

    def care_system(self, party: str) -> CareSystem:
        """The system of a party as the sandbox has it: to get tokens, pseudonyms and statements."""
        return seeding.care_system(self.home, party)

    def caller(self, party: str, context: ReloadingContext | None = None) -> Caller:
        """A system of `party` that calls, with its own certificate unless `context` has another."""
        folder = self.home.party_folder(party)
        context = context or client_context(folder / "certificate.pem", folder / "certificate.key", Trust(self.home.trust))
        seed = self.home.seed.party(party)
        here = System(seed.identifiers[0], seed.name, "127.0.0.1")
        caller = Caller(PeerClient(context), here, seed.client_id, self._outbox, CLOCK, lambda: None)
        self._callers.append(caller)
        return caller

    def context(self, certificate: tuple[Path, Path] | None) -> ReloadingContext:
        """What a caller shows: a certificate and its key, or nothing; it trusts the network."""

        def build() -> ssl.SSLContext:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if certificate is not None:
                context.load_cert_chain(*certificate)
            Trust(self.home.trust).load_into(context)
            context.sslobject_class = Remembering
            return context

        return ReloadingContext.of(server=False, build=build, stamp=lambda: 0)

    def peer(self, party: str) -> Peer:
        """Who the certificate of a party's system names."""
        leaf = x509.load_pem_x509_certificate((self.home.party_folder(party) / "certificate.pem").read_bytes())
        return peer_from_der(leaf.public_bytes(Encoding.DER))

    def forged(
        self, tenant: Tenant, issuer: str, party: str, *scopes: str, patient: str | None = None, audience: str | None = None,
        lifetime: int = 300,
    ) -> str:  # fmt: skip
        """A token as the issuer of `tenant` signs it, whatever its policies say."""
        owner = tenant if issuer == tenant.audience else next(
            each for service in self.services.values() if service.settings.service == "authorization"
            for each, its in zip(service.tenants.values(), service.settings.tenants, strict=True) if its.issuer == issuer
        )  # fmt: skip
        peer = self.peer(party)
        grant = Grant(
            peer.client_id,
            audience or tenant.audience,
            frozenset(scopes),
            Confirmation("x5t#S256", peer.thumbprint),
            lifetime,
            patient,
        )
        return issue(SigningKeys(owner.secrets / "signing", CLOCK), issuer, grant, CLOCK).raw

    async def events(self) -> list[dict[str, Any]]:
        """Every event that was stored since the last time, at every service and every caller."""
        for service in self.services.values():
            await service._handshakes._store()
            for tenant in service.tenants.values():
                while await tenant.courier._round():
                    pass
        if waiting := await self._outbox.read(outbox.oldest, 10_000):
            self._taken += [event for _, event in waiting]
            await self._outbox.write(outbox.forget, [position for position, _ in waiting])
        self._taken += await self._erasures()
        fresh = {event["id"]: event for event in self._taken if event["id"] not in self._known}
        self._known |= fresh.keys()
        self._taken.clear()
        return list(fresh.values())

    async def _consents(self) -> None:
        portal = self.care_system("mijn-dossier")
        await portal.discover()
        for client in (each for each in self.home.seed.clients if each.bsn in CLIENTS):
            wanted = [consent for consent in self.home.seed.consents if consent.client == client.bsn]
            await seeding._consents_of(portal, self.home.seed, client, wanted)
        await portal.close()

    async def _records(self) -> None:
        holder = self.care_system(HOLDER)
        url = f"{self.home.topology.datastation(HOLDER)}/fhir"
        for client in (each for each in self.home.seed.clients if each.bsn in CLIENTS):
            bundle = generate(client, holder.party)
            await holder.get("load records", "datastation", "POST", url, content=bundle, content_type="application/fhir+json")
        await holder.close()

    async def _erasures(self) -> list[dict[str, Any]]:
        """What the log's keeper logged of erasures and archives: it stands in the log itself, not in an outbox."""
        log = self.services["logging"].operator
        query = sa.text("SELECT document FROM event WHERE subtype IN ('destroy', 'archive') AND document IS NOT NULL")
        rows = await log.database.read(lambda connection: connection.scalars(query).all())
        return [json.loads(row) for row in rows]

    def _delivery(self, _tenant: Tenant) -> outbox.Deliver:
        async def deliver(events: list[dict[str, Any]]) -> set[str]:
            self._taken += events
            return {event["id"] for event in events}

        return deliver


def _keep_still(service: Service) -> None:
    """Let the register of consents tell nobody by itself: its calls would come between those that are looked at."""
    service.on_start = [begin for begin in service.on_start if not isinstance(getattr(begin, "__self__", None), Notifying)]
