"""Who can log in at an identity provider of the sandbox, through which party, and what the provider states of them."""

from typing import Any, Literal

from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.parties import Party, Seed
from proeftuin.reasons import IDENTITY_INVALID, PARTY_MISMATCH, Refused
from proeftuin.tokens import identity
from proeftuin.tokens.access_token import Person

Kind = Literal["professional", "client"]


def person(seed: Seed, kind: Kind | None, through: Party, number: str) -> Person:
    """Return the person with this number (UZI, or BSN) who logs in through a party.

    A care provider logs in its own professionals, a portal clients of care. Raises Refused: PARTY_MISMATCH or IDENTITY_INVALID.
    """
    if kind == "professional":
        professional = seed.professional(number)
        if professional is None or professional.employer != through.id:
            raise Refused(PARTY_MISMATCH, f"no professional with this number works at {through.name}")
        return Person(professional.uzi, UZI_SYSTEM, professional.role, through.ura)
    if through.kind != "portaal":
        raise Refused(PARTY_MISMATCH, "a client logs in through a portal")
    client = seed.client(number)
    if client is None:
        raise Refused(IDENTITY_INVALID, "the sandbox has no client with this number")
    return Person(client.bsn, BSN_SYSTEM)


def choices(seed: Seed, kind: Kind | None, through: Party) -> list[tuple[str, str]]:
    """Return (number, name) of everyone who can log in through a party; raises Refused(PARTY_MISMATCH) where nobody can."""
    if kind == "professional":
        found = [(each.uzi, f"{each.name}, {each.role_name}") for each in seed.professionals if each.employer == through.id]
    else:
        found = [(each.bsn, f"{each.given} {each.family}") for each in seed.clients] if through.kind == "portaal" else []
    if not found:
        raise Refused(PARTY_MISMATCH, f"nobody logs in here through {through.name}")
    return found


def stated(seed: Seed, known: Person, through: Party) -> dict[str, Any]:
    """Return the claims on a person in an identity statement and an ID token, by the names of Dezi or with the BSN."""
    if known.is_client:
        return identity.of_client(known.identifier)
    professional = seed.professional(known.identifier)
    if professional is None:
        raise Refused(IDENTITY_INVALID, "the sandbox has no professional with this number")
    return identity.of_professional(professional, through)
