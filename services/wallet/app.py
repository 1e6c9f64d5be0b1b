"""The wallet service: wiring only."""

import os
from pathlib import Path

from fastapi import FastAPI

from proeftuin.credentials.dids import Resolver, web_did
from proeftuin.credentials.status import StatusChecker
from proeftuin.credentials.verifier import Verifier
from proeftuin.service import Service, Wiring
from proeftuin.settings import ServiceSettings
from proeftuin.storage.secrets import secret
from proeftuin.tokens.access_token import TokenVerifier
from proeftuin.tokens.dpop import Nonces
from proeftuin.tokens.issuers import OwnKeys
from proeftuin.tokens.keys import SigningKeys
from services.wallet import issuance
from services.wallet.api import did, holder, issuer, openid4vci
from services.wallet.issuing import Issuer
from services.wallet.offers import Codes
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
            resolver=resolver,
            authorization_server=tenant_settings.authorization_server,
        )
    issuers = {party: _issuer(service, wallet) for party, wallet in wallets.items()}
    routers = [did.router(wallets), issuer.router(wallets, issuers), holder.router(wallets)]
    return service.app("Proeftuin wallet", [*routers, *openid4vci.routers(issuers, rules)])


def _issuer(service: Service, wallet: Wallet) -> Issuer:
    """The wallet as credential issuer; tokens for its credential endpoint are its own, and no other's are taken."""
    tenant = wallet.tenant
    keys = SigningKeys(tenant.secrets / "signing", service.clock)
    if service.wiring.key_source is None:
        tenant.verifier = TokenVerifier({tenant.audience: OwnKeys(keys)}, tenant.audience, service.clock)
    codes, nonces = (secret(tenant.secrets / f"{name}.key", lambda: os.urandom(32)) for name in ("offers", "c_nonce"))
    clients = frozenset(party.client_id for party in service.seed.parties)
    return Issuer(wallet, keys, Codes(codes), Nonces(nonces), clients)
