"""The authorization service: wiring only."""

import asyncio
import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI

from proeftuin import consent_question, parties
from proeftuin.access.rendering import oauth
from proeftuin.credentials import did_x509
from proeftuin.credentials.dids import Resolver
from proeftuin.credentials.status import StatusChecker, StatusRef
from proeftuin.credentials.verifier import Verifier
from proeftuin.identifiers import URA_SYSTEM
from proeftuin.reasons import CREDENTIAL_REVOKED, NO_CONSENT, UNKNOWN_CLIENT, Refused
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings, TenantSettings
from proeftuin.storage.secrets import secret
from proeftuin.tokens.access_token import TokenVerifier
from proeftuin.tokens.issuers import KeySource, OwnKeys, RemoteKeys
from proeftuin.tokens.keys import SigningKeys
from services.authorization import people, policies, profiles, store
from services.authorization.api import (
    authorization_code,
    authorize,
    client_credentials,
    decision,
    evaluation,
    grants,
    introspection,
    iwlz_pep,
    iwlz_token,
    jwt_bearer,
    login,
    metadata,
    pdp,
    revocation,
    token,
    token_exchange,
    vp_token,
)
from services.authorization.clients import Clients
from services.authorization.decision.evaluation import Evaluator
from services.authorization.decision.iwlz import Decisions
from services.authorization.decision.knooppunt import KnooppuntDecisions, Permits
from services.authorization.decision.pip import Bemiddelingsregister
from services.authorization.decision.questions import QuestionDecisions
from services.authorization.grants import CERTIFICATE, CREDENTIAL, MANDATE
from services.authorization.issuer import DAY, Issuer
from services.authorization.iwlz.addresses import Addresses
from services.authorization.iwlz.mandates import Mandates
from services.authorization.iwlz.point import Point
from services.authorization.iwlz.scopes import IwlzScopes
from services.authorization.iwlz.tokens import IwlzTokens

PRUNE, SOME = 60.0, 500  # seconds between two rounds in which old grants are forgotten, and how many at once
log = structlog.get_logger(__name__)


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application with one issuer for each party that `settings` hosts."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring(), asks=[settings.network.consent])
    network, seed = settings.network, service.seed
    rules = policies.load()
    keys = {
        tenant.issuer: SigningKeys(service.tenants[tenant.party].secrets / "signing", service.clock) for tenant in settings.tenants
    }
    issuers = {tenant.party: _issuer(service, tenant, keys, rules) for tenant in settings.tenants}
    presentations = Presentations(service, issuers)
    if service.wiring.key_source is None:  # its own tokens, for userinfo and the client's grants: no need to ask itself over TLS
        for issuer in issuers.values():
            own = {issuer.url: OwnKeys(issuer.keys)}
            issuer.tenant.verifier = TokenVerifier(own, issuer.tenant.audience, service.clock)
    clients = Clients(settings.clients)
    doors: dict[str, token.Door] = {
        client_credentials.GRANT_TYPE: client_credentials.read,
        token_exchange.GRANT_TYPE: token_exchange.read,
        authorization_code.GRANT_TYPE: authorization_code.door(seed),
        vp_token.GRANT_TYPE: vp_token.door(presentations.profiles, presentations.verifiers, presentations.resolvers),
        jwt_bearer.GRANT_TYPE: jwt_bearer.door(presentations.profiles, presentations.verifiers),
    }
    point = _iwlz(service, issuers)
    consent_party = next((party.client_id for party in seed.parties if party.kind == "toestemmingsregister"), "")
    _prune_in_the_background(service)
    app = service.app(
        "Proeftuin authorization",
        [
            metadata.router(issuers, doors),
            token.router(issuers, doors, clients),
            vp_token.router(issuers, presentations.profiles),
            introspection.router(issuers),
            revocation.router(issuers),
            grants.router(issuers, consent_party),
            login.router(issuers, seed, network),
            authorize.router(issuers, clients, seed),
            authorization_code.userinfo(issuers, seed),
            *point,
        ],
        form=oauth,
    )
    app.state.issuers = issuers
    return app


def _iwlz(service: Service, issuers: dict[str, Issuer]) -> list[APIRouter]:
    """Return the doors of the decision point, and at the national server those of the iWlz network (VECOZO's place in it)."""
    tenant, settings = service.operator, service.settings.iwlz
    issuer = issuers[tenant.party.id]
    decisions = Decisions(service.clock, Bemiddelingsregister(tenant.client.peers, settings.bemiddelingsregister))
    service.checks["policies"] = decisions.policies.health
    mandates = Mandates(lambda: decisions.policies.current().documents["mandates"], service.clock)
    addresses = Addresses(lambda: decisions.policies.current().documents["addresses"])
    issuer.holds[MANDATE] = mandates.holds
    tokens = IwlzTokens(tenant.secrets, service.clock)
    point = Point(decisions, tokens, issuer, settings)
    fhir = KnooppuntDecisions(_permits(service, issuer))
    questions = QuestionDecisions()
    service.checks |= {"fhir policies": fhir.policies.health, "question policies": questions.policies.health}
    doors = [
        pdp.router(fhir),
        decision.router(point),
        evaluation.router(Evaluator(decisions, fhir, questions, settings.profile), service.settings.base_url),
    ]
    if issuer.url == service.settings.network.issuer:
        doors += [
            iwlz_token.router(issuer, IwlzScopes(decisions.policies), tokens, mandates, addresses),
            iwlz_pep.router(point, addresses),
        ]
    return doors


def _permits(service: Service, issuer: Issuer) -> Permits:
    """Return the closed question to consent, where Mitz stands in the knooppunt."""

    async def permits(bsn: str, asked: dict[str, Any]) -> None:
        ura, kind = asked["subject"]["organization"]["ura"], asked["resource"]["type"]
        user = service.seed.by_identifier(URA_SYSTEM, ura) if isinstance(ura, str) else None
        if user is None:
            raise Refused(UNKNOWN_CLIENT, "organization_ura is no party of this network")
        if kind not in parties.CATEGORIES:
            raise Refused(NO_CONSENT, f"consent knows no category {kind}")
        await consent_question.ask(issuer.tenant, issuer.consent, bsn, user, None, [kind], "TREAT")

    return permits


class Presentations:
    """What the doors of presentations need, for each party: profiles, verifiers and resolvers; grants die with credentials."""

    def __init__(self, service: Service, issuers: dict[str, Issuer]) -> None:
        network = service.settings.network
        loaded = profiles.load({
            "uzi_ca": did_x509.fingerprint(service.trust.issuing("uzi")), "registrar": network.registrar,
            "professionals": network.identity_professionals,
        })  # fmt: skip
        self.profiles = {party: loaded.of(issuer.policies.scopes) for party, issuer in issuers.items()}
        self.verifiers: dict[str, Verifier] = {}
        self.resolvers: dict[str, Resolver] = {}
        for party, issuer in issuers.items():
            client = issuer.tenant.client
            resolver = self.resolvers[party] = Resolver(client, service.trust, service.clock)
            checker = StatusChecker(resolver, client, service.clock)
            self.verifiers[party] = Verifier(resolver, checker, service.trust, service.clock, issuer.identity_providers)
            issuer.holds[CREDENTIAL] = partial(self._not_revoked, checker)

    @staticmethod
    async def _not_revoked(checker: StatusChecker, name: str) -> bool:
        try:
            await checker.check(StatusRef.of(name))
        except Refused as refused:
            if refused.reason is CREDENTIAL_REVOKED:
                return False
            raise
        return True


def _issuer(service: Service, settings: TenantSettings, keys: dict[str, SigningKeys], rules: list[policies.ScopePolicy]) -> Issuer:
    network, tenant = service.settings.network, service.tenants[settings.party]
    logs_in: dict[str, people.Kind] = {network.identity_professionals: "professional", network.identity_clients: "client"}
    servers = {policies.NATIONAL, policies.EVERY} if settings.issuer == network.issuer else {policies.PARTY, policies.EVERY}
    if settings.issuer in logs_in:
        servers = servers - {policies.PARTY} | {policies.LOGIN}
    providers: dict[str, KeySource] = {
        url: OwnKeys(keys[url]) if url in keys else RemoteKeys(url, tenant.client) for url in logs_in
    }
    resources = {
        "addressing": network.addressing, "localization": network.localization, "pseudonymisation": network.pseudonymisation,
        "consent": network.consent, "logging": network.logging, "datastation": settings.datastation, "issuer": settings.issuer,
    }  # fmt: skip

    async def not_revoked(certificate: str) -> bool:
        return not service.trust.revocations().include(certificate)

    def represents(client: str, acting: str) -> bool:
        known = service.seed.client(client)
        return known is not None and known.standing(acting, service.clock.now().date()) is not None

    return Issuer(
        url=settings.issuer,
        tenant=tenant,
        keys=keys[settings.issuer],
        policies=policies.Policies(servers, resources, rules),
        identity_providers=providers,
        consent=network.consent,
        pseudonym_key=secret(tenant.secrets / "pseudonym.key", lambda: os.urandom(32)),
        logs_in=logs_in.get(settings.issuer),
        own_resource=settings.datastation or None,
        known_clients={party.client_id: party for party in service.seed.parties},
        holds={CERTIFICATE: not_revoked},
        represents=represents,
    )


def _prune_in_the_background(service: Service) -> None:
    """Forget grants a day after they expired, some at a time, for as long as the application runs."""
    running: list[asyncio.Task[None]] = []

    async def prune() -> None:
        while True:
            for tenant in service.tenants.values():
                try:
                    while await tenant.database.write(store.prune, service.clock.now() - timedelta(seconds=DAY), SOME) == SOME:
                        pass  # whoever asks for a token comes in between: a write waits its turn
                except Exception as error:  # noqa: BLE001 - it is tried again in the next round
                    log.warning("old grants not pruned", party=tenant.party.id, error=type(error).__name__)
            await asyncio.sleep(PRUNE)

    async def start() -> None:
        running.append(asyncio.get_running_loop().create_task(prune()))

    async def stop() -> None:
        for task in running:
            task.cancel()

    service.on_start.append(start)
    service.on_stop.append(stop)
