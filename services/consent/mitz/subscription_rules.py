"""What a Subscription on the consents of a client must be (VZVZ's wiki: Mitz)."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from proeftuin.fhir.search import date_range
from proeftuin.identifiers import is_bsn
from services.consent.mitz.catalogue import KIND_OF_TYPE
from services.consent.mitz.rules import WARNING, Rules

EXTENSION = "http://fhir.nl/StructureDefinition/"
XML = "application/fhir+xml"
PAYLOADS = ("application/fhir+json", "application/json", XML, "application/xml")
BETA = "http://vzvz.nl/fhir/otv/StructureDefinition/mitz-Subscription"
_OID = re.compile(r"urn:oid:[0-2](\.[0-9]{1,20}){2,20}")
_CRITERIA = "Consent?_query=otv&patientid=<BSN>&providerid=<URA>&providertype=<type>"
_NAMES = {"_query", "patientid", "providerid", "providertype"}
_KNOWN = {"Patient.birthDate", "GatewaySystem", "SourceSystem"}

SUBSCRIPTION: Rules[dict[str, Any]] = Rules()


def asked(resource: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of the criteria."""
    return dict(parse_qsl(str(resource.get("criteria", "")).removeprefix("Consent?")))


def extensions(resource: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the extensions of Mitz by their name."""
    found = [each for each in resource.get("extension", []) if str(each.get("url", "")).startswith(EXTENSION)]
    return {each["url"].removeprefix(EXTENSION): each for each in found}


def _is_criteria(resource: dict[str, Any]) -> bool:
    found = asked(resource)
    return str(resource["criteria"]).startswith("Consent?") and found.keys() == _NAMES and found["_query"] == "otv"


def _is_https(address: str) -> bool:
    parts = urlsplit(address)
    whole = parts.scheme == "https" and bool(parts.hostname) and not parts.username and not parts.fragment and parts.port != 0
    return whole and len(address) <= 500


def _are_canonicals(resource: dict[str, Any]) -> bool:
    profiles = resource.get("meta", {}).get("profile", [])
    return isinstance(profiles, list) and all(isinstance(each, str) for each in profiles)


def _has_oid(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda resource: _OID.fullmatch(extensions(resource)[name]["valueOid"])


def _is_born(resource: dict[str, Any]) -> bool:
    birth = extensions(resource).get("Patient.birthDate")
    return birth is None or bool(date_range(birth["valueDate"]))


_wants = SUBSCRIPTION.wants
_wants("SB-01", "Mitz: Subscription", "Subscription", "a Subscription", lambda it: it["resourceType"] == "Subscription")
_wants("SB-02", "Mitz: status", "Subscription.status", "requested", lambda it: it["status"] == "requested")
_wants("SB-03", "Mitz: reason", "Subscription.reason", "OTV", lambda it: it["reason"] == "OTV")
_wants("SB-04", "Mitz: criteria", "Subscription.criteria", _CRITERIA, _is_criteria)
_wants(
    "SB-05",
    "Mitz: criteria",
    "Subscription.criteria",
    "patientid is the BSN of one client",
    lambda it: is_bsn(asked(it)["patientid"]),
)
_wants(
    "SB-06", "Mitz: criteria", "Subscription.criteria", "providerid is a URA",
    lambda it: re.fullmatch("[0-9]{8}", asked(it)["providerid"]),
)  # fmt: skip
_wants(
    "SB-07", "Mitz: criteria", "Subscription.criteria", "providertype is a type that Mitz knows",
    lambda it: asked(it)["providertype"] in KIND_OF_TYPE,
)  # fmt: skip
_wants("SB-08", "Mitz: channel", "Subscription.channel.type", "rest-hook", lambda it: it["channel"]["type"] == "rest-hook")
_wants(
    "SB-09", "Mitz: channel", "Subscription.channel.endpoint", "an https address, at which a certificate of this network answers",
    lambda it: _is_https(it["channel"]["endpoint"]),
)  # fmt: skip
_wants(
    "SB-10", "Mitz: channel", "Subscription.channel.payload", f"one of {', '.join(PAYLOADS)}",
    lambda it: it["channel"].get("payload", XML) in PAYLOADS,
)  # fmt: skip
for _name in ("GatewaySystem", "SourceSystem"):
    _wants(
        "SB-11", "Mitz: extensions", "Subscription.extension", f"{EXTENSION}{_name} with a valueOid",
        _has_oid(_name),
    )  # fmt: skip
_wants("SB-12", "Mitz: meta.profile", "Subscription.meta.profile", "a list of canonicals", _are_canonicals)
_wants(
    "SB-13", "knooppunt: extensions", "Subscription.extension", f"none but {', '.join(sorted(_KNOWN))} of {EXTENSION}",
    lambda it: len(extensions(it)) == len(it.get("extension", [])) and extensions(it).keys() <= _KNOWN, WARNING,
)  # fmt: skip
_wants("SB-14", "Mitz: extensions", "Subscription.extension", "Patient.birthDate with a valueDate", _is_born, WARNING)
_wants(
    "SB-15", "Mitz: payload", "Subscription.channel.payload", f"a payload: without one, notifications come as {XML}",
    lambda it: "payload" in it["channel"], WARNING,
)  # fmt: skip
_wants(
    "SB-16", "Mitz: 4.0.0-beta.1", "Subscription.meta.profile", f"none, which is 3.8, or {BETA}",
    lambda it: set(it.get("meta", {}).get("profile", [])) <= {BETA}, WARNING,
)  # fmt: skip
