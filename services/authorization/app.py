"""The authorization service: wiring only."""

from pathlib import Path

from fastapi import FastAPI

from proeftuin.access.rendering import oauth
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.tokens.issuers import KeySource, OwnKeys, RemoteKeys
from proeftuin.tokens.keys import SigningKeys
from services.authorization import policies
from services.authorization.api import introspection, login, metadata, revocation, token
from services.authorization.issuer import Issuer


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application with one issuer for each party that `settings` hosts."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring(), asks=[settings.network.consent])
    network = settings.network
    rules = policies.load()
    clients = {party.client_id: party for party in service.seed.parties}
    keys = {
        tenant.issuer: SigningKeys(service.tenants[tenant.party].secrets / "signing", service.clock) for tenant in settings.tenants
    }
    resources = {
        "addressing": network.addressing, "localization": network.localization,
        "pseudonymisation": network.pseudonymisation, "consent": network.consent, "logging": network.logging,
    }  # fmt: skip
    issuers: dict[str, Issuer] = {}
    for tenant_settings in settings.tenants:
        tenant = service.tenants[tenant_settings.party]
        providers: dict[str, KeySource] = {
            url: OwnKeys(keys[url]) if url in keys else RemoteKeys(url, tenant.client)
            for url in (network.identity_professionals, network.identity_clients)
        }
        national = tenant_settings.issuer == network.issuer
        server = policies.NATIONAL if national else policies.PARTY
        issuers[tenant_settings.party] = Issuer(
            url=tenant_settings.issuer,
            tenant=tenant,
            keys=keys[tenant_settings.issuer],
            policies=policies.Policies(server, resources | {"datastation": tenant_settings.datastation}, rules),
            identity_providers=providers,
            consent=network.consent,
            known_clients=clients,
        )
    return service.app(
        "Proeftuin authorization",
        [
            metadata.router(issuers),
            token.router(issuers),
            introspection.router(issuers),
            revocation.router(issuers),
            login.router(issuers, service.seed, network),
        ],
        form=oauth,
    )
