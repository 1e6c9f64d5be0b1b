"""A registration as FHIR List (nl-gf-localization-list, MinVWS 0.10), in and out; the subject never goes out."""

import uuid
from typing import Any

from proeftuin.fhir.refusal import check
from proeftuin.identifiers import URA_SYSTEM
from proeftuin.pki.identity import Peer
from proeftuin.reasons import PARTY_MISMATCH, Refused
from services.localization.store import Registration

GF = "http://minvws.github.io/generiekefuncties-docs/"
SUBJECT_SYSTEM = f"{GF}NamingSystem/nvi-identifier"
CLIENT_SYSTEM = f"{GF}NamingSystem/oauth-client-id"
CATEGORY_SYSTEM = f"{GF}CodeSystem/nl-gf-data-categories-cs"
CUSTODIAN = f"{GF}StructureDefinition/nl-gf-localization-custodian"
_EMPTY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "withheld"}]}


def read_list(resource: dict[str, Any], peer: Peer) -> tuple[Registration, str]:
    """Return the registration in a List and its subject token.

    Raises InvalidResource, and Refused(PARTY_MISMATCH) when custodian or source is another than the caller.
    """
    check(resource, "nl-gf-localization-list")
    custodian = next(each for each in resource["extension"] if each["url"] == CUSTODIAN)["valueReference"]["identifier"]["value"]
    source = resource["source"]["identifier"]["value"]
    if custodian != peer.ura:
        raise Refused(PARTY_MISMATCH, f"the custodian is another than {peer.client_id}, whom the certificate is of")
    if source != peer.client_id:
        raise Refused(PARTY_MISMATCH, f"the source is another than {peer.client_id}, whom the certificate is of")
    code = next(each["code"] for each in resource["code"]["coding"] if each.get("system") == CATEGORY_SYSTEM)
    return Registration(str(uuid.uuid4()), custodian, code, source), resource["subject"]["identifier"]["value"]


def write_list(registration: Registration) -> dict[str, Any]:
    """Return a registration as List, without its subject."""
    custodian = {"identifier": {"system": URA_SYSTEM, "value": registration.custodian}}
    return {
        "resourceType": "List",
        "id": registration.id,
        "extension": [{"url": CUSTODIAN, "valueReference": custodian}],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": CATEGORY_SYSTEM, "code": registration.code}]},
        "source": {"identifier": {"system": CLIENT_SYSTEM, "value": registration.source}},
        "emptyReason": _EMPTY,
    }
