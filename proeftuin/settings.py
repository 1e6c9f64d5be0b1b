"""The settings of one service instance: read from a JSON file that `proeftuin prepare` writes, overridable by the environment."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class TenantSettings(BaseModel):
    """One party that this instance hosts: `folder` has its `certificate.pem`, `certificate.key` and `keys/`; `database` is a URL.

    `issuer` is the authorization server whose tokens hold here, `datastation` the address of the party's own source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    party: str
    audience: str
    issuer: str
    folder: Path
    database: str
    datastation: str = ""


class Network(BaseModel):
    """The base addresses of the national services, as tokens name them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    addressing: str
    localization: str
    pseudonymisation: str
    consent: str
    logging: str
    issuer: str
    identity_professionals: str
    identity_clients: str


class ServiceSettings(BaseModel):
    """One instance of one service: where it listens, with which certificate, whom it trusts and whom it hosts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instance: str
    service: str
    operator: str
    host: str
    port: int
    base_url: str
    certificate: Path
    key: Path
    trust: Path
    parties: Path
    tenants: list[TenantSettings]
    network: Network
    connect_to: dict[str, str] = {}


def load(path: Path) -> ServiceSettings:
    """Read settings from `path`; `PROEFTUIN_HOST` and `PROEFTUIN_DATABASE` (a URL with `{name}`) win over the file.

    Raises pydantic.ValidationError.
    """
    settings = ServiceSettings.model_validate_json(path.read_text())
    host, database = os.environ.get("PROEFTUIN_HOST"), os.environ.get("PROEFTUIN_DATABASE")
    changes: dict[str, object] = {}
    if host:
        changes["host"] = host
    if database:
        changes["tenants"] = [
            tenant.model_copy(update={"database": database.replace("{name}", database_name(settings.service, tenant.party))})
            for tenant in settings.tenants
        ]
    return settings.model_copy(update=changes)


def database_name(service: str, party: str) -> str:
    """Return the name of the database of a party in a service, where one server holds them all."""
    return f"{service}_{party}".replace("-", "_")
