"""The identity seed: who takes part in the network, chosen once in parties.toml, so that all else lines up with it."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from proeftuin.identifiers import (
    AGB_SYSTEM,
    KVK_SYSTEM,
    OIN_SYSTEM,
    URA_SYSTEM,
    UZOVI_SYSTEM,
    InvalidIdentifier,
    is_fictitious_bsn,
    validate,
)
from proeftuin.representation import KINDS as REPRESENTATIVES
from proeftuin.representation import Representative, Standing, standing

CertificateKind = Literal["uzi", "pkioverheid", "vecozo"]
ORGANIZATION_TYPE_SYSTEM = "http://nictiz.nl/fhir/NamingSystem/organization-type"
SBI_SYSTEM = "https://www.cbs.nl/standaard-bedrijfsindeling"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of party: its SBI 2025 code, the Nictiz organization type when it gives care, and its name in Dutch."""

    display: str
    sbi: str
    nictiz: str | None = None

    @property
    def codings(self) -> list[dict[str, str]]:
        """The codings of Organization.type (MinVWS generiekefuncties IG 0.10.0)."""
        sbi = {"system": SBI_SYSTEM, "code": self.sbi}
        if self.nictiz is None:
            return [sbi]
        return [{"system": ORGANIZATION_TYPE_SYSTEM, "code": self.nictiz, "display": self.display}, sbi]


KINDS: dict[str, Kind] = {
    "ziekenhuis": Kind("Ziekenhuis", "8610", "V4"),
    "verpleeghuis": Kind("Verplegings- of verzorgingsinstelling", "87301", "X3"),
    "thuiszorg": Kind("Thuiszorg", "86942", "T2"),
    "huisartsenpraktijk": Kind("Huisartspraktijk", "8621", "Z3"),
    "apotheek": Kind("Openbare apotheek", "4773", "J8"),
    "ggz-instelling": Kind("Instelling voor geestelijke gezondheidszorg", "8720", "G5"),
    "zorgpraktijk": Kind("Praktijk voor andere zorg", "8699", "P6"),
    "zorgkantoor": Kind("Zorgkantoor", "8430"),
    "indicatieorgaan": Kind("Indicatieorgaan", "8412"),
    "cak": Kind("Centraal administratiekantoor", "8430"),
    "gemeente": Kind("Gemeente", "8411"),
    "toezichthouder": Kind("Toezichthouder", "8412"),
    "zorginstituut": Kind("Zorginstituut", "8412"),
    "zorgautoriteit": Kind("Zorgautoriteit", "8412"),
    "register": Kind("Register van zorgaanbieders", "8412"),
    "stelsel": Kind("Stelselverantwoordelijke", "8411"),
    "toestemmingsregister": Kind("Toestemmingsregister", "6310"),
    "verwijsindex": Kind("Verwijsindex", "6310"),
    "pseudoniemendienst": Kind("Pseudoniemendienst", "6310"),
    "logboek": Kind("Logboek", "6310"),
    "portaal": Kind("Persoonlijk portaal", "6310"),
    "softwareleverancier": Kind("Softwareleverancier", "6210"),
}
VENDOR = "softwareleverancier"
CARE_KINDS = frozenset(kind for kind, each in KINDS.items() if each.nictiz)
CATEGORIES = frozenset({  # the codes of List.code: value set Zorgcontext of the same IG
    "AdvanceDirective", "Alert", "AllergyIntolerance", "Condition", "Consent", "Device", "DiagnosticReport",
    "Encounter", "Episode", "Genomics", "Imaging", "Logging", "MedicationRequest", "MedicationUse", "Nutrition",
    "ObservationActivity", "ObservationExam", "ObservationImaging", "ObservationLaboratory",
    "ObservationProcedure", "ObservationSocialHistory", "ObservationSurvey", "ObservationTherapy",
    "ObservationVitalSigns", "Patient", "Procedure", "Request", "Specimen",
})  # fmt: skip


class SeedError(ValueError):
    """The seed cannot be read, or lacks what is asked of it; the message names the entry."""


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation in the network; `hosted_by` is the vendor that runs its services, if any.

    `shows_names`: whether it lets clients see which of its professionals looked, by name (else by role alone).
    """

    id: str
    name: str
    kind: str
    city: str | None = None
    ura: str | None = None
    oin: str | None = None
    uzovi: str | None = None
    agb: str | None = None
    kvk: str | None = None
    hosted_by: str | None = None
    shows_names: bool = False

    @property
    def client_id(self) -> str:
        """The OAuth client_id: by URA, else OIN, else UZOVI, else KvK; raises SeedError when it has none of these."""
        for kind in ("ura", "oin", "uzovi", "kvk"):
            if value := getattr(self, kind):
                return f"{kind}:{value}"
        raise SeedError(f"party {self.id!r} has no ura, oin, uzovi or kvk: nothing to identify it by")

    @property
    def identifiers(self) -> list[tuple[str, str]]:
        """Its identifiers as (system, value), the one of client_id first."""
        pairs = (
            (URA_SYSTEM, self.ura), (OIN_SYSTEM, self.oin), (UZOVI_SYSTEM, self.uzovi), (KVK_SYSTEM, self.kvk),
            (AGB_SYSTEM, self.agb),
        )  # fmt: skip
        return [(system, value) for system, value in pairs if value]

    @property
    def is_care_provider(self) -> bool:
        """Whether it gives care: then it has a URA, and a datastation."""
        return self.ura is not None

    @property
    def certificate_kind(self) -> CertificateKind:
        """Who certifies it: the UZI register (with a URA), VECOZO (zorgkantoor, vendor) or PKIoverheid."""
        if self.ura is not None:
            return "uzi"
        return "vecozo" if self.kind in {VENDOR, "zorgkantoor"} else "pkioverheid"


@dataclass(frozen=True, slots=True)
class Professional:
    """Someone who works for a care provider (`employer`: party id); `role` is a UZI role code, `role_name` its name."""

    uzi: str
    name: str
    role: str
    role_name: str
    employer: str
    big: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """Someone who receives care, fictitious; `known_at` are the ids of the parties that hold data on this person.

    `representatives` are who may decide for this person; each is a client of the seed too, so that they can log in.
    """

    bsn: str
    given: str
    family: str
    birth_date: date
    gender: str
    known_at: tuple[str, ...] = ()
    representatives: tuple[Representative, ...] = ()

    def standing(self, acting: str, today: date) -> Standing | None:
        """Return how `acting` (BSN) may decide for this person today; None: not at all."""
        return standing(self.bsn, self.birth_date, self.representatives, acting, today)


@dataclass(frozen=True, slots=True)
class ConsentSeed:
    """What a client (BSN) decided: may `user` see `categories` of `holder`? Both are a party id, a kind, or "*"."""

    client: str
    holder: str
    categories: tuple[str, ...]
    user: str = "*"
    decision: Literal["permit", "deny"] = "permit"


@dataclass(frozen=True, slots=True)
class Seed:
    """Everyone in the network. When entries clash the first one is found; `check` names the clash."""

    parties: tuple[Party, ...] = ()
    professionals: tuple[Professional, ...] = ()
    clients: tuple[Client, ...] = ()
    consents: tuple[ConsentSeed, ...] = ()
    _parties: dict[str, Party] = field(init=False, repr=False, compare=False)
    _identifiers: dict[tuple[str, str], Party] = field(init=False, repr=False, compare=False)
    _professionals: dict[str, Professional] = field(init=False, repr=False, compare=False)
    _clients: dict[str, Client] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the entries by what they are looked up by; reversed, so that the first of two wins."""
        parties = self.parties[::-1]
        object.__setattr__(self, "_parties", {party.id: party for party in parties})
        object.__setattr__(self, "_identifiers", {pair: party for party in parties for pair in party.identifiers})
        object.__setattr__(self, "_professionals", {each.uzi: each for each in self.professionals[::-1]})
        object.__setattr__(self, "_clients", {each.bsn: each for each in self.clients[::-1]})

    def party(self, party_id: str) -> Party:
        """Return the party with this id; raises SeedError when there is none."""
        try:
            return self._parties[party_id]
        except KeyError:
            raise SeedError(f"no party {party_id!r}; there are {', '.join(sorted(self._parties))}") from None

    def by_identifier(self, system: str, value: str) -> Party | None:
        """Return the party with this identifier."""
        return self._identifiers.get((system, value))

    def professional(self, uzi: str) -> Professional | None:
        """Return the professional with this UZI number."""
        return self._professionals.get(uzi)

    def client(self, bsn: str) -> Client | None:
        """Return the client with this BSN."""
        return self._clients.get(bsn)

    def hosted(self, by: str) -> tuple[Party, ...]:
        """Return the parties whose services `by` runs: those that name it in hosted_by; no vendor: itself too."""
        return tuple(party for party in self.parties if by == (party.hosted_by or (party.kind != VENDOR and party.id)))


def load(path: Path) -> Seed:
    """Read the seed from a TOML file with [[party]], [[professional]], [[client]], [[client.consent]] and
    [[client.representative]].

    Raises SeedError when the file is no TOML, or an entry lacks a field, has an unknown one or one of the wrong type.
    It does not look whether entries agree with each other: that is `check`.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SeedError(f"{path.name} is not TOML: {error}") from error
    if unknown := document.keys() - {"party", "professional", "client"}:
        raise SeedError(f"{path.name}: unknown {', '.join(sorted(unknown))}; there are party, professional, client")
    clients, consents = [], []
    for place, entry in _numbered(document, "client"):
        own = {key: value for key, value in entry.items() if key not in ("consent", "representative")}
        client = _build(Client, own, place)
        known = tuple(_build(Representative, each, where) for where, each in _numbered(entry, "representative", place + ", "))
        clients.append(replace(client, representatives=known))
        for nested, consent in _numbered(entry, "consent", place + ", "):
            consents.append(_build(ConsentSeed, {"client": client.bsn} | consent, nested))
    return Seed(
        tuple(_build(Party, entry, place) for place, entry in _numbered(document, "party")),
        tuple(_build(Professional, entry, place) for place, entry in _numbered(document, "professional")),
        tuple(clients), tuple(consents),
    )  # fmt: skip


_Entry = TypeVar("_Entry", Party, Professional, Client, ConsentSeed, Representative)


def _numbered(table: Mapping[str, Any], name: str, within: str = "") -> Iterable[tuple[str, dict[str, Any]]]:
    entries = table.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SeedError(f"{within}{name}: write each entry under its own [[{name}]]")
    for number, entry in enumerate(entries, 1):
        label = f" ({entry['id']})" if isinstance(entry.get("id"), str) else ""
        yield f"{within}{name} {number}{label}", entry


def _build(shape: type[_Entry], entry: dict[str, Any], place: str) -> _Entry:
    known = {each.name: each for each in fields(shape)}
    if unknown := entry.keys() - known.keys():
        raise SeedError(f"{place}: unknown field {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if lacking := [name for name, each in known.items() if each.default is MISSING and name not in entry]:
        raise SeedError(f"{place}: lacks {', '.join(lacking)}")
    return shape(**{name: _value(name, value, place) for name, value in entry.items()})


def _value(name: str, value: object, place: str) -> Any:  # noqa: ANN401 - goes into the dataclass that names its type
    if name in {"known_at", "categories"}:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SeedError(f"{place}: {name} is a list of strings")
        return tuple(cast("list[str]", value))
    if name in {"birth_date", "until"}:
        if type(value) is not date:
            raise SeedError(f"{place}: {name} is a date without quotes, as in 1938-04-12")
        return value
    if name == "shows_names":
        if not isinstance(value, bool):
            raise SeedError(f"{place}: {name} is true or false")
        return value
    if not isinstance(value, str):
        raise SeedError(f"{place}: {name} is text: put it between quotes")
    return value


_ID = re.compile("[a-z][a-z0-9-]*")
_GENDERS = {"male", "female", "other", "unknown"}  # FHIR administrative-gender
_LONGEST_NAME = 64  # X.520 ub-common-name: the name stands in the certificate


def check(seed: Seed) -> list[str]:
    """Return every misalignment within the seed, each as a sentence that names the entry; none shows a BSN."""
    parties = [(f"party {party.id!r}", party) for party in seed.parties]
    professionals = [(f"professional {each.name!r}", each) for each in seed.professionals]
    clients = [(f"client {number}", each) for number, each in enumerate(seed.clients, 1)]
    consents = [(f"consent {number}", each) for number, each in enumerate(seed.consents, 1)]
    faults = [f"{label}: {fault}" for label, party in parties for fault in _party_faults(party, seed)]
    faults += [f"{label}: {fault}" for label, each in professionals for fault in _professional_faults(each, seed)]
    faults += [f"{label}: {fault}" for label, client in clients for fault in _client_faults(client, seed)]
    faults += [f"{label}: {fault}" for label, consent in consents for fault in _consent_faults(consent, seed)]
    for name in ("id", "ura", "oin", "uzovi", "agb", "kvk"):
        faults += _clashes(name, ((label, getattr(party, name)) for label, party in parties))
    for name in ("uzi", "big"):
        faults += _clashes(name, ((label, getattr(each, name)) for label, each in professionals))
    return faults + _clashes("bsn", ((label, client.bsn) for label, client in clients))


def _clashes(name: str, values: Iterable[tuple[str, str | None]]) -> list[str]:
    labels: dict[str | None, list[str]] = {}
    for label, value in values:
        labels.setdefault(value, []).append(label)
    return [f"{' and '.join(who)} have the same {name}" for value, who in labels.items() if value and len(who) > 1]


def _malformed(kind: str, value: str | None) -> list[str]:
    if value is None:
        return []
    try:
        validate(kind, value)
    except InvalidIdentifier as error:
        return [error.why]
    return []


def _party_faults(party: Party, seed: Seed) -> Iterable[str]:
    if not _ID.fullmatch(party.id):
        yield "an id is lower case letters, digits and hyphens, and begins with a letter"
    if not 0 < len(party.name) <= _LONGEST_NAME:
        yield f"a name has 1 to {_LONGEST_NAME} characters"
    if party.kind not in KINDS:
        yield f"unknown kind {party.kind!r}; there are {', '.join(KINDS)}"
    for kind in ("URA", "OIN", "UZOVI", "AGB", "KvK"):
        yield from _malformed(kind, getattr(party, kind.lower()))
    if party.kind in CARE_KINDS and party.ura is None:
        yield f"a {party.kind} needs a ura"
    elif not (party.ura or party.oin or party.uzovi or party.kvk):
        yield "needs a ura, oin, uzovi or kvk to be identified by"
    if party.hosted_by is not None:
        host = seed._parties.get(party.hosted_by)
        if host is None:
            yield f"hosted_by {party.hosted_by!r}, which is no party"
        elif host.kind != VENDOR:
            yield f"hosted_by {party.hosted_by!r}, which is no {VENDOR} but a {host.kind}"
        elif party.kind == VENDOR:
            yield "a vendor hosts itself: leave out hosted_by"


def _professional_faults(professional: Professional, seed: Seed) -> Iterable[str]:
    yield from _malformed("UZI", professional.uzi)
    yield from _malformed("UZI role", professional.role)
    yield from _malformed("BIG", professional.big)
    employer = seed._parties.get(professional.employer)
    if employer is None:
        yield f"employer {professional.employer!r} is no party"
    elif not employer.is_care_provider:
        yield f"employer {professional.employer!r} is no care provider: it has no ura"


def _client_faults(client: Client, seed: Seed) -> Iterable[str]:
    if not is_fictitious_bsn(client.bsn):
        yield "the bsn is not a fictitious one: 9999xxxxx that passes the 11-proef"
    if client.gender not in _GENDERS:
        yield f"unknown gender {client.gender!r}; there are {', '.join(sorted(_GENDERS))}"
    for party_id in client.known_at:
        party = seed._parties.get(party_id)
        if party is None:
            yield f"known_at {party_id!r}, which is no party"
        elif not party.is_care_provider:
            yield f"known_at {party_id!r}, which has no datastation: it is no care provider (no ura)"
    for each in client.representatives:
        if each.kind not in REPRESENTATIVES:
            yield f"unknown kind of representative {each.kind!r}; there are {', '.join(REPRESENTATIVES)}"
        if each.bsn == client.bsn or seed.client(each.bsn) is None:
            yield "a representative is another client of the seed"
    if len(set(client.known_at)) < len(client.known_at):
        yield "known_at names a party twice"


def _consent_faults(consent: ConsentSeed, seed: Seed) -> Iterable[str]:
    if seed.client(consent.client) is None:
        yield "its client is not in the seed"
    for role, whom in (("holder", consent.holder), ("user", consent.user)):
        if whom != "*" and whom not in KINDS and whom not in seed._parties:
            yield f"{role} {whom!r} is no party, no kind and not '*'"
    if not consent.categories:
        yield "names no category"
    if unknown := set(consent.categories) - CATEGORIES:
        yield f"unknown category {', '.join(sorted(unknown))}"
    if consent.decision not in {"permit", "deny"}:
        yield f"unknown decision {consent.decision!r}; there are permit, deny"
