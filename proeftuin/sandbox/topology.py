"""Which instances the network has, where each listens and whom it hosts: follows from the identity seed alone."""

from dataclasses import dataclass

from proeftuin.credentials.dids import web_did
from proeftuin.parties import Seed, SeedError
from proeftuin.settings import Network

BASE_PORT = 8440
CONSOLE = 80  # from the base port
NATIONAL = {  # service -> the kind of party that runs it, in the order of their ports
    "addressing": "register",
    "localization": "verwijsindex",
    "pseudonymisation": "pseudoniemendienst",
    "consent": "toestemmingsregister",
    "logging": "logboek",
    "witness": "toezichthouder",  # who supervises, sees to it that the log is not rewritten
}
APPLICATIONS = {
    service: f"services.{service}.app" for service in (*NATIONAL, "authorization", "datastation", "wallet")
}  # the only place where the ground names the services, and it does so as text


@dataclass(frozen=True, slots=True)
class Instance:
    """One running application: `tenants` are the ids of the parties that it hosts."""

    name: str
    service: str
    operator: str
    port: int
    tenants: tuple[str, ...]

    @property
    def base_url(self) -> str:
        """Where it is reached, and what tokens for it name as audience."""
        return f"https://localhost:{self.port}"


@dataclass(frozen=True, slots=True)
class Topology:
    """All instances of the network, national ones first, and the addresses that follow from them."""

    seed: Seed
    instances: tuple[Instance, ...]
    console_port: int

    def instance(self, service: str, party: str | None = None) -> Instance:
        """Return the instance of `service` that hosts `party` (a national service needs no party); raises SeedError."""
        for instance in self.instances:
            if instance.service == service and (party is None or party in instance.tenants):
                return instance
        raise SeedError(f"no {service} for {party or 'the network'}; is there a party of kind {NATIONAL.get(service)!r}?")

    @property
    def console(self) -> str:
        """The address of the console, for browsers on this machine."""
        return f"http://localhost:{self.console_port}"

    def issuer(self, party: str) -> str:
        """Return the issuer identifier of the authorization server of `party`."""
        return f"{self.instance('authorization', party).base_url}/oauth2/{party}"

    def datastation(self, party: str) -> str:
        """Return the base address of the datastation of `party`, the audience of tokens for it."""
        return f"{self.instance('datastation', party).base_url}/{party}"

    def wallet(self, party: str) -> str:
        """Return the base address of the wallet of `party`; its DID document stands below it."""
        return f"{self.instance('wallet', party).base_url}/iam/{party}"

    def audience(self, instance: Instance, party: str) -> str:
        """Return what tokens for `party` at `instance` name as audience."""
        if instance.service == "authorization":
            return self.issuer(party)
        if instance.service == "wallet":
            return self.wallet(party)
        return self.datastation(party) if instance.service == "datastation" else instance.base_url

    @property
    def network(self) -> Network:
        """The addresses of the national services."""
        addresses = {service: self.instance(service).base_url for service in NATIONAL}
        stelsel, register = self._only("stelsel"), self._only("register")
        return Network(
            **addresses,
            issuer=self.issuer(stelsel),
            identity_professionals=self.issuer(register),
            identity_clients=self.issuer(stelsel),
            registrar=web_did(self.wallet(register)),
        )

    def _only(self, kind: str) -> str:
        return only(self.seed, kind)


def only(seed: Seed, kind: str) -> str:
    """Return the id of the first party of a kind; raises SeedError when there is none."""
    found = next((party.id for party in seed.parties if party.kind == kind), None)
    if found is None:
        raise SeedError(f"parties.toml has no party of kind {kind!r}, and the network cannot run without one")
    return found


def of(seed: Seed, base_port: int = BASE_PORT) -> Topology:
    """Lay the network out: national services at base+1.., then per host an authorization server, a datastation and a wallet."""
    instances = [
        Instance(service, service, only(seed, kind), base_port + offset, (only(seed, kind),))
        for offset, (service, kind) in enumerate(NATIONAL.items(), 1)
    ]
    stelsel, register = only(seed, "stelsel"), only(seed, "register")
    instances.append(Instance("authorization", "authorization", stelsel, base_port + len(NATIONAL) + 1, (stelsel, register)))
    instances.append(Instance("wallet", "wallet", register, base_port + len(NATIONAL) + 2, (register,)))
    hosts: dict[str, list[str]] = {}
    for party in seed.parties:
        if party.is_care_provider:
            hosts.setdefault(party.hosted_by or party.id, []).append(party.id)
    for offset, (host, hosted) in enumerate(hosts.items()):
        for service, first in (("authorization", 11), ("datastation", 31)):
            port = base_port + first + offset
            instances.append(Instance(f"{service}-{host}", service, host, port, tuple(hosted)))
        owners = tuple(dict.fromkeys([*hosted, host]))  # a vendor has a wallet of its own: it presents who it works for
        instances.append(Instance(f"wallet-{host}", "wallet", host, base_port + 51 + offset, owners))
    return Topology(seed, tuple(instances), base_port + CONSOLE)
