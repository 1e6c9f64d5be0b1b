"""What a client decides, as the portal's form has it and as the register keeps it (Consent, FHIR R4)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from proeftuin.categories import KNOWN
from proeftuin.clock import instant
from proeftuin.identifiers import URA_SYSTEM
from proeftuin.overview.reading import moment
from proeftuin.overview.table import DUTCH_TIME
from proeftuin.parties import CARE_KINDS, Client, ConsentSeed, Party, Seed
from proeftuin.sandbox.seeding import consent_resource

ANYONE = "*"
OFFERED = KNOWN - {"Consent", "Logging"}  # those two are the client's own, not a care provider's
Fields = list[tuple[str, str]]


class Incomplete(ValueError):  # noqa: N818 - an outcome that the form handles: not yet a decision
    """A form that cannot be a decision yet; `field` is the first that the client can mend, the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Choice:
    """May `user` see `categories` of `holder`? Both are a party id, a kind, "*" for anyone, or `ura:` of who is not in the seed."""

    permit: bool
    holder: str
    user: str
    categories: tuple[str, ...]
    until: date | None = None

    def fields(self) -> Fields:
        """Return the fields of the form that say this."""
        said = [("antwoord", "ja" if self.permit else "nee"), ("van", self.holder), ("aan", self.user)]
        return said + [("wat", each) for each in self.categories] + ([("tot", self.until.isoformat())] if self.until else [])


@dataclass(frozen=True, slots=True)
class Held:
    """A decision in the register: `status` is active, proposed or inactive; `by` are the BSNs of who gave it."""

    id: str
    version: str
    status: str
    choice: Choice
    since: datetime
    changed: datetime
    by: tuple[str, ...]

    def holds(self, today: date) -> bool:
        """Tell whether it counts in a question of today."""
        return self.status == "active" and not self.over(today)

    def over(self, today: date) -> bool:
        """Tell whether its last day is past."""
        return self.choice.until is not None and self.choice.until < today


def holders(seed: Seed, client: Client) -> list[Party]:
    """Return the organisations whose data a client can decide about one by one: those that know the client."""
    return [seed.party(each) for each in client.known_at]


def users(seed: Seed) -> list[Party]:
    """Return the organisations that a client can let see data one by one: every care provider."""
    return [party for party in seed.parties if party.is_care_provider]


def read_form(fields: Fields, seed: Seed, today: date) -> Choice:
    """Return what a form says; raises Incomplete."""
    given = dict(fields)
    if given.get("antwoord") not in ("ja", "nee"):
        raise Incomplete("antwoord", "Kies ja of nee.")
    parties = {party.id for party in users(seed)}
    for field, missing in (("van", "Kies wie de gegevens bewaart."), ("aan", "Kies wie de gegevens mag zien.")):
        if given.get(field) not in {ANYONE} | CARE_KINDS | parties:
            raise Incomplete(field, missing)
    categories = tuple(dict.fromkeys(value for name, value in fields if name == "wat"))
    if not categories or not OFFERED.issuperset(categories):
        raise Incomplete("wat", "Kies om welke gegevens het gaat.")
    until = None
    if given.get("tot"):
        try:
            until = date.fromisoformat(given["tot"])
        except ValueError:
            raise Incomplete("tot", "Vul een datum in zoals 31-12-2027, of laat het vak leeg.") from None
        if not today <= until <= date(9998, 12, 31):  # the register takes no end in 9999
            raise Incomplete("tot", "Deze dag is al voorbij of te ver weg. Kies een dag vanaf vandaag, of laat het vak leeg.")
    return Choice(given["antwoord"] == "ja", given["van"], given["aan"], categories, until)


def resource(choice: Choice, seed: Seed, client: Client, now: datetime) -> dict[str, Any]:
    """Return the Consent that says this for `client`."""
    said = ConsentSeed(client.bsn, choice.holder, choice.categories, choice.user, "permit" if choice.permit else "deny")
    made = consent_resource(seed, said) | {"dateTime": instant(now)}
    if choice.until:
        made["provision"]["period"] = {"end": choice.until.isoformat()}
    return made


def read_resource(consent: dict[str, Any], seed: Seed) -> Held:
    """Return what a Consent of the register says; raises KeyError or ValueError when it is none of its."""
    provision, meta = consent["provision"], consent["meta"]
    actors = {
        actor["role"]["coding"][0]["code"]: _whom(actor["reference"]["identifier"], seed) for actor in provision.get("actor", [])
    }
    end = provision.get("period", {}).get("end")
    choice = Choice(
        provision["type"] == "permit", actors.get("CST", ANYONE), actors.get("IRCP", ANYONE),
        tuple(coding["code"] for coding in provision["class"]), _day(end) if end else None,
    )  # fmt: skip
    return Held(
        consent["id"], meta["versionId"], consent["status"], choice,
        moment(consent.get("dateTime") or meta["lastUpdated"]), moment(meta["lastUpdated"]),
        tuple(str(each["identifier"]["value"]) for each in consent.get("performer", []) if "identifier" in each),
    )  # fmt: skip


def today_here() -> date:
    """Return the client's own day."""
    return datetime.now(DUTCH_TIME).date()


def same(choice: Choice, others: Iterable[Choice]) -> bool:
    """Tell whether one of `others` says this already, in whatever order, for as long or longer."""
    return any(
        replace(each, categories=(), until=None) == replace(choice, categories=(), until=None)
        and set(choice.categories) <= set(each.categories)
        and (each.until is None or (choice.until is not None and choice.until <= each.until))
        for each in others
    )


def _whom(identifier: dict[str, str], seed: Seed) -> str:
    if identifier["system"] != URA_SYSTEM:
        return identifier["value"]
    party = seed.by_identifier(URA_SYSTEM, identifier["value"])
    return party.id if party else f"ura:{identifier['value']}"


def _day(end: str) -> date:
    """The last day of a period: an end may be a year, a month, a day or a moment."""
    if len(end) == 10:
        return date.fromisoformat(end)
    return moment(end).astimezone(DUTCH_TIME).date()
