"""The settings of one service instance: read from a JSON file that `proeftuin prepare` writes, overridable by the environment."""

import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class TenantSettings(BaseModel):
    """One party that this instance hosts: `folder` has its `certificate.pem`, `certificate.key` and `keys/`; `database` is a URL.

    `issuer` is the authorization server whose tokens hold here; `datastation` and `authorization_server` are the party's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    party: str
    audience: str
    issuer: str
    folder: Path
    database: str
    datastation: str = ""
    authorization_server: str = ""


class Network(BaseModel):
    """The base addresses of the national services, as tokens name them; `registrar` is the DID of who states types of providers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    addressing: str
    localization: str
    pseudonymisation: str
    consent: str
    logging: str
    witness: str
    issuer: str
    identity_professionals: str
    identity_clients: str
    registrar: str


class Iwlz(BaseModel):
    """How the iWlz doors speak: in which `profile`, and whether a caller may name another (a sandbox's convenience, no more).

    `explanations`: errors carry origin, policy and hint. `bemiddelingsregister`: where relations are looked up.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str = "vecozo-2026-03"
    profile_by_request: bool = False
    explanations: bool = True
    bemiddelingsregister: str = ""


class ServiceSettings(BaseModel):
    """One instance of one service: where it listens, with which certificate, whom it trusts and whom it hosts.

    `clock` is the file by which a sandbox moves time (absent: nothing moves it), `clients` the folder of registered OAuth clients.
    With `tape`, of a sandbox alone, what it receives and answers is recorded in that file.
    """

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
    clock: Path | None = None
    clients: Path | None = None
    iwlz: Iwlz = Iwlz()
    tape: Path | None = None


def load(path: Path) -> ServiceSettings:
    """Read settings from `path`; relative paths in it count from its folder, also in SQLite URLs.

    The environment wins over the file: `PROEFTUIN_HOST` (address to listen on), `PROEFTUIN_DATABASE` (a URL in which `{name}`
    stands for the name of each tenant's database) and `PROEFTUIN_CONNECT_TO` (JSON object, see PeerClient).

    Raises pydantic.ValidationError.
    """
    settings = ServiceSettings.model_validate_json(path.read_text())
    folder = path.absolute().parent
    host, database = os.environ.get("PROEFTUIN_HOST"), os.environ.get("PROEFTUIN_DATABASE")
    connect_to = json.loads(os.environ.get("PROEFTUIN_CONNECT_TO", "{}"))
    changes: dict[str, object] = {name: folder / getattr(settings, name) for name in ("certificate", "key", "trust", "parties")} | {
        "connect_to": settings.connect_to | connect_to,
        "tape": folder / settings.tape if settings.tape else None,
    }
    changes |= {name: folder / path for name in ("clock", "clients") if (path := getattr(settings, name)) is not None}
    if host:
        changes["host"] = host
    changes["tenants"] = [
        tenant.model_copy(
            update={
                "folder": folder / tenant.folder,
                "database": database.replace("{name}", database_name(settings.service, tenant.party))
                if database
                else tenant.database.replace("sqlite:///", f"sqlite:///{folder}/"),
            }
        )
        for tenant in settings.tenants
    ]
    return settings.model_copy(update=changes)


def database_name(service: str, party: str) -> str:
    """Return the name of the database of a party in a service, where one server holds them all."""
    return f"{service}_{party}".replace("-", "_")
