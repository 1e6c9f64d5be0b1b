"""What JSON Schema cannot say: the invariants of FHIR R4 and of the Dutch profiles, by id.

An invariant takes a resource and yields (FHIRPath, what must hold) for each fault. It may be handed anything that is JSON:
what has the wrong shape is the schema's business, and is passed over here.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM, KVK_SYSTEM, URA_SYSTEM, is_bsn
from proeftuin.parties import CATEGORIES, SBI_SYSTEM

Resource = dict[str, Any]
Fault = tuple[str, str]
Invariant = Callable[[Resource], Iterator[Fault]]

GF = "http://minvws.github.io/generiekefuncties-docs/"
DATA_CATEGORY_SYSTEM = GF + "CodeSystem/nl-gf-data-categories-cs"
AUTHORIZATION_SERVER_SYSTEM = GF + "CodeSystem/nl-gf-authorization-server-cs"
CUSTODIAN_EXTENSION = GF + "StructureDefinition/nl-gf-localization-custodian"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_CUSTODIAN = (_TERMINOLOGY + "provenance-participant-type", "custodian")

ORGANIZATION_TYPES = {"prov", "dept", "team", "govt", "ins", "pay", "edu", "reli", "crs", "cg", "bus", "other"}
CONNECTION_TYPES = {
    _TERMINOLOGY + "endpoint-connection-type": {
        "hl7-fhir-rest", "dicom-wado-rs", "dicom-qido-rs", "dicom-stow-rs", "dicom-wado-uri", "ihe-xds", "ihe-xca", "ihe-xcpd",
        "ihe-xdr", "ihe-iid", "hl7-fhir-msg", "hl7v2-mllp", "secure-email", "direct-project",
    },
    AUTHORIZATION_SERVER_SYSTEM: {"oauth2", "oauth2-fapi2", "oauth-nuts"},
    "http://vzvz.nl/fhir/CodeSystem/koppeltaal-endpoint-connection-type": {"hti-smart-on-fhir"},
}  # fmt: skip
PAYLOAD_TYPES = {
    _TERMINOLOGY + "endpoint-payload-type": {"any", "none"},
    DATA_CATEGORY_SYSTEM: CATEGORIES | {"CareServiceEntities", "Definitional", "Practitioner", "Subscription"},
}
_CONSENT_SCOPES = {"patient-privacy": "ppc-2", "research": "ppc-3", "adr": "ppc-4", "treatment": "ppc-5"}


def _dict(value: object) -> Resource:
    return value if isinstance(value, dict) else {}


def _each(value: object) -> Iterator[tuple[int, Resource]]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield index, item


def _codings(concept: object) -> set[tuple[Any, Any]]:
    found = ((coding.get("system"), coding.get("code")) for _, coding in _each(_dict(concept).get("coding")))
    return {(system, code) for system, code in found if isinstance(system, str) and isinstance(code, str)}


def _in(value_set: dict[str, Any], coding: tuple[Any, Any]) -> bool:
    return coding[1] in value_set.get(coding[0], ())


def bsn(resource: Resource) -> Iterator[Fault]:
    """Each BSN that identifies a patient passes the 11-proef."""
    kind = resource.get("resourceType")
    places: list[tuple[str, object]] = [(f"{kind}.identifier[{i}]", item) for i, item in _each(resource.get("identifier"))]
    places += [(f"{kind}.{key}.identifier", _dict(resource.get(key)).get("identifier")) for key in ("subject", "patient")]
    for path, identifier in places:
        value = _dict(identifier).get("value")
        if _dict(identifier).get("system") == BSN_SYSTEM and isinstance(value, str) and not is_bsn(value):
            yield f"{path}.value", "a BSN has 9 digits and passes the 11-proef"


def org_1(resource: Resource) -> Iterator[Fault]:
    """R4 org-1."""
    if not ("identifier" in resource or "name" in resource):
        yield "Organization", "has at least a name or an identifier"


def org_2_3(resource: Resource) -> Iterator[Fault]:
    """R4 org-2, org-3."""
    for element in ("address", "telecom"):
        for index, item in _each(resource.get(element)):
            if item.get("use") == "home":
                yield f"Organization.{element}[{index}].use", "of an organisation is never 'home'"


def lst(resource: Resource) -> Iterator[Fault]:
    """R4 lst-1, lst-2, lst-3."""
    if "emptyReason" in resource and "entry" in resource:
        yield "List.emptyReason", "stands only in a list without entries"
    for index, entry in _each(resource.get("entry")):
        if entry.get("deleted") is True and resource.get("mode") != "changes":
            yield f"List.entry[{index}].deleted", "stands only in a list with mode 'changes'"
        if "date" in entry and resource.get("mode") != "working":
            yield f"List.entry[{index}].date", "stands only in a list with mode 'working'"


def sev_1(resource: Resource) -> Iterator[Fault]:
    """R4 sev-1."""
    for index, entity in _each(resource.get("entity")):
        if "name" in entity and "query" in entity:
            yield f"AuditEvent.entity[{index}]", "has a name or a query, not both"


def ppc(resource: Resource) -> Iterator[Fault]:
    """R4 ppc-1 to ppc-5."""
    if not ("policy" in resource or "policyRule" in resource):
        yield "Consent.policy", "is needed, or policyRule"
    codes = {code for system, code in _codings(resource.get("scope")) if system == _TERMINOLOGY + "consentscope"}
    if codes & set(_CONSENT_SCOPES) and "patient" not in resource:
        yield "Consent.patient", "is needed for this scope"


def pat_1(resource: Resource) -> Iterator[Fault]:
    """R4 pat-1."""
    for index, contact in _each(resource.get("contact")):
        if not contact.keys() & {"name", "telecom", "address", "organization"}:
            yield f"Patient.contact[{index}]", "has details, or a reference to an organisation"


def con(resource: Resource) -> Iterator[Fault]:
    """R4 con-1, con-2, con-4, con-5."""
    status = {code for _, code in _codings(resource.get("clinicalStatus"))}
    if any(key.startswith("abatement") for key in resource) and not status & {"resolved", "remission", "inactive"}:
        yield "Condition.abatement", "stands only with clinicalStatus resolved, remission or inactive"
    if "entered-in-error" in {code for _, code in _codings(resource.get("verificationStatus"))} and "clinicalStatus" in resource:
        yield "Condition.clinicalStatus", "is absent when verificationStatus is entered-in-error"
    for element, needed in (("stage", {"summary", "assessment"}), ("evidence", {"code", "detail"})):
        for index, item in _each(resource.get(element)):
            if not item.keys() & needed:
                yield f"Condition.{element}[{index}]", f"has {' or '.join(sorted(needed))}"


def cpl_3(resource: Resource) -> Iterator[Fault]:
    """R4 cpl-3."""
    for index, activity in _each(resource.get("activity")):
        if "detail" in activity and "reference" in activity:
            yield f"CarePlan.activity[{index}]", "has a detail or a reference, not both"


def bdl(resource: Resource) -> Iterator[Fault]:
    """R4 bdl-1, bdl-2, bdl-3, bdl-4, bdl-5, bdl-7, bdl-8."""
    kind, seen = resource.get("type"), set()
    if "total" in resource and kind not in ("searchset", "history"):
        yield "Bundle.total", "stands only in a searchset or history"
    for index, entry in _each(resource.get("entry")):
        path = f"Bundle.entry[{index}]"
        for element, kinds, must in (
            ("search", ("searchset",), False),
            ("request", ("batch", "transaction", "history"), True),
            ("response", ("batch-response", "transaction-response", "history"), True),
        ):
            if element in entry and kind not in kinds:
                yield f"{path}.{element}", f"stands only in a {', '.join(kinds)}"
            elif must and element not in entry and kind in kinds:
                yield f"{path}.{element}", f"is needed in a {kind}"
        if not entry.keys() & {"resource", "request", "response"}:
            yield f"{path}.resource", "is needed, unless there is a request or response"
        full_url = entry.get("fullUrl")
        if not isinstance(full_url, str):
            continue
        if "/_history/" in full_url:
            yield f"{path}.fullUrl", "does not name a version"
        key = (full_url, _dict(_dict(entry.get("resource")).get("meta")).get("versionId") if kind == "history" else None)
        if str(key) in seen:
            yield f"{path}.fullUrl", "stands only once in a bundle"
        seen.add(str(key))


def assigned_id(resource: Resource) -> Iterator[Fault]:
    """nl-gf-custodianassignedidentifier: exactly one identifier that a custodian assigned, with who that is."""
    kind = resource.get("resourceType")
    assigned = [
        (f"{kind}.identifier[{index}]", identifier)
        for index, identifier in _each(resource.get("identifier"))
        if "identifier" in _dict(identifier.get("assigner"))
    ]
    if len(assigned) != 1:
        yield f"{kind}.identifier", "has exactly one identifier with assigner.identifier (slice AssignedId)"
    for path, identifier in assigned:
        assigner = _dict(identifier["assigner"]["identifier"])
        if identifier.get("use") != "official":
            yield f"{path}.use", "is 'official' in an assigned identifier"
        for element in ("system", "value"):
            if element not in identifier:
                yield f"{path}.{element}", "is required in an assigned identifier"
        if assigner.get("system") not in (URA_SYSTEM, KVK_SYSTEM):
            yield f"{path}.assigner.identifier.system", "is the system of the URA or of the KvK number (assigner-identifier-system)"
        if "value" not in assigner:
            yield f"{path}.assigner.identifier.value", "is required"
        if _CUSTODIAN not in _codings(assigner.get("type")):
            yield f"{path}.assigner.identifier.type", "has the coding provenance-participant-type#custodian"


def ura_identifier_or_partof(resource: Resource) -> Iterator[Fault]:
    """nl-gf-organization: a URA or KvK identifier, or part of an organisation that has one (contract §1.4, deviation §1.10 d)."""
    systems = {str(identifier.get("system")) for _, identifier in _each(resource.get("identifier"))}
    if not systems & {URA_SYSTEM, KVK_SYSTEM} and "partOf" not in resource:
        yield "Organization.identifier", "has a URA or KvK number, or the organisation is partOf another"


def nl_gf_orgtype_req(resource: Resource) -> Iterator[Fault]:
    """nl-gf-organization: at least one type from the value set nl-gf-org-types (SBI 2025 or HL7 organization-type)."""
    codings = set().union(*(_codings(concept) for _, concept in _each(resource.get("type"))))
    if not any(
        (system == SBI_SYSTEM and re.fullmatch("[0-9]{2,6}", code)) or (system, code) in _HL7_ORGANIZATION_TYPES
        for system, code in codings
    ):
        yield "Organization.type", "has a coding of SBI 2025 or HL7 organization-type"


_HL7_ORGANIZATION_TYPES = {(_TERMINOLOGY + "organization-type", code) for code in ORGANIZATION_TYPES}


def nl_gf_connectiontype_req(resource: Resource) -> Iterator[Fault]:
    """nl-gf-endpoint: connectionType is of the value set (contract §1.5)."""
    if not any(_in(CONNECTION_TYPES, coding) for coding in _codings({"coding": [resource.get("connectionType")]})):
        yield "Endpoint.connectionType", "is a code of endpoint-connection-type, nl-gf-authorization-server-cs or Koppeltaal"


def nl_gf_payloadtype_req(resource: Resource) -> Iterator[Fault]:
    """nl-gf-endpoint: each payloadType has a coding of the value set (contract §1.5)."""
    for index, concept in _each(resource.get("payloadType")):
        if not any(_in(PAYLOAD_TYPES, coding) for coding in _codings(concept)):
            yield f"Endpoint.payloadType[{index}]", "has a coding of endpoint-payload-type or nl-gf-data-categories-cs"


def zorgcontext(resource: Resource) -> Iterator[Fault]:
    """nl-gf-localization-list: code is of the value set Zorgcontext (contract §1.5)."""
    found = [code for system, code in _codings(resource.get("code")) if system == DATA_CATEGORY_SYSTEM]
    if len(found) != 1 or found[0] not in CATEGORIES:
        yield "List.code", "has one data category, of the value set Zorgcontext"


def withheld(resource: Resource) -> Iterator[Fault]:
    """nl-gf-localization-list: emptyReason is list-empty-reason#withheld."""
    if (_TERMINOLOGY + "list-empty-reason", "withheld") not in _codings(resource.get("emptyReason")):
        yield "List.emptyReason", "has the coding list-empty-reason#withheld"


def localization_custodian(resource: Resource) -> Iterator[Fault]:
    """nl-gf-localization-list: exactly one extension custodian, with the URA of the organisation that holds the data."""
    found = [
        (f"List.extension[{index}]", extension)
        for index, extension in _each(resource.get("extension"))
        if extension.get("url") == CUSTODIAN_EXTENSION
    ]
    if len(found) != 1:
        yield "List.extension", "has exactly one nl-gf-localization-custodian"
    for path, extension in found:
        identifier = _dict(_dict(extension.get("valueReference")).get("identifier"))
        if identifier.get("system") != URA_SYSTEM or not re.fullmatch("[0-9]{8}", str(identifier.get("value"))):
            yield f"{path}.value.identifier", "is a URA: its system, and 8 digits"


INVARIANTS: dict[str, tuple[Invariant, ...]] = {
    "Organization": (org_1, org_2_3),
    "List": (lst,),
    "AuditEvent": (sev_1,),
    "Consent": (ppc, bsn),
    "Patient": (pat_1, bsn),
    "Condition": (con, bsn),
    "MedicationRequest": (bsn,),
    "CarePlan": (cpl_3, bsn),
    "Bundle": (bdl,),
    "nl-gf-organization": (assigned_id, ura_identifier_or_partof, nl_gf_orgtype_req),
    "nl-gf-endpoint": (nl_gf_connectiontype_req, nl_gf_payloadtype_req),
    "nl-gf-localization-list": (zorgcontext, withheld, localization_custodian),
}
