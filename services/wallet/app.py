"""The wallet service: wiring only."""

from pathlib import Path

from fastapi import FastAPI

from proeftuin.credentials.dids import Resolver, web_did
from proeftuin.credentials.status import StatusChecker
from proeftuin.credentials.verifier import Verifier
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.tokens.keys import SigningKeys
from services.wallet import issuance
from services.wallet.api import did, holder, issuer
from services.wallet.wallet import Wallet

CREDENTIAL_LIFE = 366 * 86400.0  # seconds: what a rotated key signed verifies for as long as issuance.toml lets it live


def create_app(settings: ServiceSettings, wiring: Wiring | None = None) -> FastAPI:
    """Return the application with one wallet for each party that `settings` hosts."""
    service = Service(settings, Path(__file__).parent / "migrations", wiring or Wiring())
    rules = issuance.load()
    wallets: dict[str, Wallet] = {}
    for tenant_settings in settings.tenants:
        tenant = service.tenants[tenant_settings.party]
        resolver = Resolver(tenant.client, service.trust, service.clock)
        checker = StatusChecker(resolver, tenant.client, service.clock)
        wallets[tenant_settings.party] = Wallet(
            did=web_did(tenant.audience),
            tenant=tenant,
            keys=SigningKeys(tenant.secrets / "did", service.clock, retired=CREDENTIAL_LIFE),
            folder=tenant_settings.folder,
            trust=service.trust,
            issuance=rules,
            verifier=Verifier(resolver, checker, service.trust, service.clock, {}),
            authorization_server=tenant_settings.authorization_server,
        )
    return service.app("Proeftuin wallet", [did.router(wallets), issuer.router(wallets), holder.router(wallets)])
