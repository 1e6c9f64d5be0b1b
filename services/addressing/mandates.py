"""Who may write what in the directory: the register everything, a party what is its own (MinVWS 0.10, care-services)."""

from typing import Any

from proeftuin.pki.identity import Peer
from proeftuin.reasons import INSUFFICIENT_SCOPE, PARTY_MISMATCH, Refused

PROFILES = {"Organization": "nl-gf-organization", "Endpoint": "nl-gf-endpoint"}


def check_scope(resource_type: str, scopes: frozenset[str]) -> None:
    """Raise Refused(INSUFFICIENT_SCOPE) unless the token has the scope for this type."""
    needed = f"system/{resource_type}.crus"
    if needed not in scopes:
        raise Refused(INSUFFICIENT_SCOPE, f"writing an {resource_type} needs scope {needed}")


def check_writer(resource: dict[str, Any], existing: dict[str, Any] | None, peer: Peer, register: str) -> None:
    """Raise Refused(PARTY_MISMATCH) unless `peer` is the register, or the resource is its own before and after the change."""
    if peer.client_id == register:
        return
    for version in (resource, existing):
        if version is not None and peer.identifier not in _owners(version):
            raise Refused(PARTY_MISMATCH, f"this {resource['resourceType']} is not of {peer.client_id}")


def _owners(resource: dict[str, Any]) -> set[tuple[str, str]]:
    if resource["resourceType"] == "Endpoint":
        identifiers = [resource.get("managingOrganization", {}).get("identifier", {})]
    else:
        identifiers = resource.get("identifier", [])
    return {(each.get("system"), each.get("value")) for each in identifiers}
