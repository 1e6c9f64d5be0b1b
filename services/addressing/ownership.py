"""Who may write what: the register everything, a party what is its own, and nobody else's name.

Who could write another's identifier on its own resource would receive what is meant for the other: parties look each other up
by URA, and the national services by the identifier of their Endpoint. So identifiers come from the certificate or the register.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from proeftuin.identifiers import KVK_SYSTEM, OIN_SYSTEM, URA_SYSTEM, UZOVI_SYSTEM
from proeftuin.pki.identity import Peer
from proeftuin.reasons import PARTY_MISMATCH, Refused

Resource = dict[str, Any]
Find = Callable[[str], Resource | None]

OWN_ID_SYSTEM = "urn:ietf:rfc:3986"  # urn:uuid identifiers, which anyone may coin (contract §1.4)
SOURCE_ELEMENTS = ("identifier", "name", "partOf")  # of an Organization: read-only to all but the register (contract §1.1)
Keys = frozenset[tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: the register itself, or a party with the identifiers that its certificate names."""

    identifiers: Keys
    is_register: bool = False

    @classmethod
    def of(cls, peer: Peer, register: str) -> "Writer":
        """Return the writer behind a certificate; `register` is the client_id of the register."""
        pairs = ((URA_SYSTEM, peer.ura), (OIN_SYSTEM, peer.oin), (UZOVI_SYSTEM, peer.uzovi), (KVK_SYSTEM, peer.kvk))
        return cls(frozenset((system, value) for system, value in pairs if value), peer.client_id == register)


def check(writer: Writer, resource: Resource, stored: Resource | None, find: Find) -> None:
    """Raise Refused PARTY_MISMATCH unless `writer` may put `resource` in the place of `stored` (None: there is none).

    `find` returns the Organization that a relative reference names, None when there is none.
    """
    if writer.is_register:
        return
    owns = _owns_organization if resource["resourceType"] == "Organization" else _manages_endpoint
    if stored is not None and not owns(writer, stored, find):
        raise Refused(PARTY_MISMATCH, "the resource at this id is of another party")
    if not owns(writer, resource, find):
        raise Refused(PARTY_MISMATCH, "the resource does not name the writer as its organisation or as managingOrganization")
    known = writer.identifiers | _keys((stored or {}).get("identifier", []))
    if any(system != OWN_ID_SYSTEM for system, _ in _keys(resource.get("identifier", [])) - known):
        raise Refused(PARTY_MISMATCH, "an identifier is neither in the writer's certificate nor given by the register")
    if resource["resourceType"] == "Organization":
        _check_source(resource, stored)


def _check_source(resource: Resource, stored: Resource | None) -> None:
    if stored is None and "partOf" in resource:
        raise Refused(PARTY_MISMATCH, "the register alone says that an organisation is partOf another")
    for element in SOURCE_ELEMENTS:
        if stored is not None and resource.get(element) != stored.get(element):
            raise Refused(PARTY_MISMATCH, f"Organization.{element} comes from the register and cannot be changed by others")


def _owns_organization(writer: Writer, organization: Resource, _find: Find) -> bool:
    return bool(_keys(organization.get("identifier", [])) & writer.identifiers)


def _manages_endpoint(writer: Writer, endpoint: Resource, find: Find) -> bool:
    """By identifier, by reference, or both: then both must be the writer."""
    manager = endpoint["managingOrganization"]
    named = [_keys([manager["identifier"]])] if "identifier" in manager else []
    if "reference" in manager:
        named.append(_keys((find(manager["reference"]) or {}).get("identifier", [])))
    return bool(named) and all(keys & writer.identifiers for keys in named)


def _keys(identifiers: Iterable[Resource]) -> Keys:
    return frozenset((identifier.get("system"), identifier.get("value")) for identifier in identifiers)
