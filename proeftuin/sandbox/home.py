"""The sandbox folder: where PKI, instances and the care systems of the parties keep what they need."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from proeftuin import parties
from proeftuin.parties import Party, Seed
from proeftuin.pki.authority import Authority
from proeftuin.pki.export import export_pkcs12
from proeftuin.pki.profiles import KeyType, is_of
from proeftuin.sandbox import topology
from proeftuin.sandbox.topology import Instance, Topology
from proeftuin.settings import Iwlz, ServiceSettings, TenantSettings, database_name
from proeftuin.storage.roles import provision
from proeftuin.storage.secrets import secret
from proeftuin.tape.store import Tape
from proeftuin.tokens.keys import jwk_of

PASSPHRASE = "proeftuin"  # noqa: S105 - the client.p12 of a sandbox party protects nothing real
RENEW_BEFORE = timedelta(days=7)
CRL_DAYS = 30


@dataclass(frozen=True, slots=True)
class Home:
    """The folder `path`, prepared from the seed in `path`/parties.toml."""

    path: Path

    @property
    def authority(self) -> Authority:
        """The sandbox CA."""
        return Authority(self.path / "pki")

    @property
    def seed(self) -> Seed:
        """The parties as they were when the folder was prepared."""
        return parties.load(self.path / "parties.toml")

    @property
    def base_port(self) -> int:
        """The port from which all others are counted."""
        return int(json.loads((self.path / "network.json").read_text())["base_port"])

    @property
    def topology(self) -> Topology:
        """The instances of the network."""
        return topology.of(self.seed, self.base_port)

    @property
    def trust(self) -> Path:
        """Root, issuing CAs and revocation lists."""
        return self.path / "pki" / "trust"

    @property
    def ca_bundle(self) -> Path:
        """The root certificate, for curl --cacert."""
        return self.trust / "root.pem"

    @property
    def tape(self) -> Tape:
        """What the instances recorded of the exchanges; empty where they do not record."""
        return Tape(self.path / "tape.sqlite")

    def party_folder(self, party: str) -> Path:
        """Where the care system of a party keeps its certificate and its own outbox."""
        return self.path / "parties" / party

    def instance_folder(self, instance: str) -> Path:
        """Where an instance keeps its settings, certificates, keys and databases."""
        return self.path / "instances" / instance

    @property
    def clock_file(self) -> Path:
        """The file that holds by how many seconds the sandbox's time is moved."""
        return self.path / "shared" / "clock"

    def client_file(self, party: str) -> Path:
        """Where the keys and redirect addresses of a party as OAuth client stand."""
        return self.path / "shared" / "clients" / f"{party}.json"

    def register_client(
        self, party: str, *, jwks: dict[str, Any] | None = None, redirect_uris: list[str] | None = None
    ) -> dict[str, Any]:
        """Register a party as OAuth client (RFC 7591 §2), or change what it registered.

        Without `jwks` it keeps the keys that it had, at first that of its certificate. Returns the document.

        Raises SeedError for an unknown party.
        """
        member = self.seed.party(party)
        file = self.client_file(party)
        known = json.loads(file.read_text()) if file.exists() else {}
        document = {
            "client_id": member.client_id,
            "client_name": member.name,
            "redirect_uris": redirect_uris if redirect_uris is not None else known.get("redirect_uris", []),
            "jwks": jwks or known.get("jwks") or {"keys": [self.certificate_jwk(party)]},
        }
        _write(file, json.dumps(document, indent=1, ensure_ascii=False))
        return document

    def replace_client_key(self, party: str, before: dict[str, Any]) -> None:
        """Let the registered keys follow the certificate of a party: the key `before` makes way for the present one."""
        known = self.register_client(party)["jwks"]["keys"]
        now = self.certificate_jwk(party)
        self.register_client(party, jwks={"keys": [now if each.get("kid") == before["kid"] else each for each in known]})

    def certificate_jwk(self, party: str) -> dict[str, Any]:
        """Return the public key in the certificate of a party."""
        leaf = x509.load_pem_x509_certificate((self.party_folder(party) / "certificate.pem").read_bytes())
        return jwk_of(leaf.public_key())

    def prepare(self, seed_file: Path, base_port: int, database_server: str = "", *, tape: bool = False) -> None:
        """Make or complete the folder: CA, certificates and settings; what is there and still good stays.

        Databases are SQLite files, or on PostgreSQL where `database_server` is the URL of a superuser: each with a role of its own.
        With `tape` the instances record for engineers what they receive and answer.

        Raises SeedError when the parties do not line up, PkiError when the PKI is half there.
        """
        seed = parties.load(seed_file)
        faults = parties.check(seed)
        if faults:
            raise parties.SeedError("parties.toml does not line up:\n  " + "\n  ".join(faults))
        self.path.mkdir(parents=True, exist_ok=True)
        _write(self.path / "parties.toml", seed_file.read_text())
        _write(self.path / "network.json", json.dumps({"base_port": base_port}))
        self.authority.create()
        self.authority.write_crls(CRL_DAYS)
        layout = topology.of(seed, base_port)
        for instance in layout.instances:
            self._prepare_instance(seed, layout, instance, database_server, tape=tape)
        for party in seed.parties:
            folder = self.party_folder(party.id)
            registered = self.client_file(party.id).exists()
            before = self.certificate_jwk(party.id) if registered and (folder / "certificate.pem").exists() else None
            if self._certify(party, folder, "certificate"):
                export_pkcs12(
                    folder / "certificate.pem", folder / "certificate.key", folder / "client.p12", PASSPHRASE, self.ca_bundle
                )
                if before is not None:
                    self.replace_client_key(party.id, before)
            if not registered:
                self.register_client(party.id, redirect_uris=[f"https://localhost/{party.id}/callback"])

    def settings_file(self, instance: str) -> Path:
        """Return the settings file of an instance."""
        return self.instance_folder(instance) / "settings.json"

    def remove(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _prepare_instance(self, seed: Seed, layout: Topology, instance: Instance, database_server: str, *, tape: bool) -> None:
        folder = self.instance_folder(instance.name)
        self._certify(seed.party(instance.operator), folder, "server", dns=("localhost", instance.name))
        tenants = []
        for party in instance.tenants:
            tenant_folder = folder / "tenants" / party
            self._certify(seed.party(party), tenant_folder, "certificate")
            care = seed.party(party).is_care_provider
            if care and instance.service == "wallet":
                self._certify(seed.party(party), tenant_folder, "x509", key_type="rsa2048")  # signs X509Credentials (RFC023: RSA)
            database = f"sqlite:///tenants/{party}/{instance.service}.sqlite"
            if database_server:
                password = secret(tenant_folder / "keys" / "database.password", lambda: secrets.token_urlsafe(24).encode())
                database = provision(database_server, database_name(instance.service, party), password.decode())
            own_issuer = instance.service in ("authorization", "datastation")
            tenants.append(
                TenantSettings(
                    party=party,
                    audience=layout.audience(instance, party),
                    issuer=layout.issuer(party) if own_issuer else layout.network.issuer,
                    folder=Path("tenants") / party,
                    database=database,
                    datastation=layout.datastation(party) if care else "",
                    authorization_server=layout.issuer(party) if care else "",
                )
            )
        settings = ServiceSettings(
            instance=instance.name,
            service=instance.service,
            operator=instance.operator,
            host="127.0.0.1",
            port=instance.port,
            base_url=instance.base_url,
            certificate=Path("server.pem"),
            key=Path("server.key"),
            trust=Path("../../pki/trust"),
            parties=Path("../../parties.toml"),
            tenants=tenants,
            network=layout.network,
            clock=Path("../../shared/clock"),
            iwlz=Iwlz(profile_by_request=True),
            clients=Path("../../shared/clients") if instance.service == "authorization" else None,
            tape=Path("../../tape.sqlite") if tape else None,
        )
        _write(self.settings_file(instance.name), settings.model_dump_json(indent=1))

    def _certify(
        self, party: Party, folder: Path, name: str, dns: tuple[str, ...] = ("localhost",), key_type: KeyType = "p256"
    ) -> bool:
        """Issue a certificate unless a good one is there, which still says what parties.toml does; returns whether it did."""
        path = folder / f"{name}.pem"
        if path.exists() and (folder / f"{name}.key").exists():
            leaf = x509.load_pem_x509_certificate(path.read_bytes())
            revoked = {entry.serial for entry in self.authority.index() if entry.revoked}
            lasts = leaf.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE
            if lasts and leaf.serial_number not in revoked and is_of(leaf, party):
                return False
        self.authority.issue(party, folder=folder, name=name, dns=dns, key_type=key_type)
        return True


def _write(path: Path, text: str) -> None:
    """Write a whole file or nothing: a kill in the middle leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.touch(0o600)  # settings may hold a database's password
    part.write_text(text)
    part.replace(path)
