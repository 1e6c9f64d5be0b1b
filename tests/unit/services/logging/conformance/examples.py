"""One AuditEvent for each profile of BALP, with everything in it that the profile has a rule on; written from the rules."""

import base64
from typing import Any

from proeftuin.identifiers import BSN_SYSTEM, URA_SYSTEM, UZI_ROLE_SYSTEM, UZI_SYSTEM

CANONICAL = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
THO = "http://terminology.hl7.org/CodeSystem/"
BALP = "https://profiles.ihe.net/ITI/BALP/CodeSystem/"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
CLIENT = "999910000"
JTI = "urn:ietf:params:oauth:jti:q3v9"
Resource = dict[str, Any]


def coding(system: str, code: str) -> Resource:
    return {"system": system, "code": code}


def concept(*codings: Resource) -> Resource:
    return {"coding": list(codings)}


def agent(*types: Resource, value: str = "90000101", requestor: bool = False, network: bool = False, **over: Any) -> Resource:
    made: Resource = {
        "type": concept(*types),
        "who": {"identifier": {"system": URA_SYSTEM, "value": value}, "display": "An end"},
        "requestor": requestor,
    }
    if network:
        made["network"] = {"address": "203.0.113.7", "type": "2"}
    return made | over


def user(*types: Resource, **over: Any) -> Resource:
    role = [concept(coding(UZI_ROLE_SYSTEM, "30.000"))]
    who = {"identifier": {"system": UZI_SYSTEM, "value": "900000011"}}
    purpose = [concept(coding(THO + "v3-ActReason", "TREAT"))]
    return agent(*types, requestor=True, who=who, role=role, purposeOfUse=purpose) | over


def entity(kind: str, role: str, **over: Any) -> Resource:
    return {"type": coding(THO + "audit-entity-type", kind), "role": coding(THO + "object-role", role)} | over


HOME = {"identifier": {"system": URA_SYSTEM, "value": "90000103"}}
ORGANISATION = agent(coding(THO + "v3-RoleClass", "PROV"))
PATIENT = entity("1", "1", what={"type": "Patient", "identifier": {"system": BSN_SYSTEM, "value": CLIENT}})
TRANSACTION = {"type": coding(BALP + "BasicAuditEntityType", "XrequestId"), "what": {"identifier": {"value": "b7ad6b7169203331"}}}
CONSENT = {"type": coding("http://hl7.org/fhir/resource-types", "Consent"), "what": {"reference": "Consent/1"}}
DATA = entity("2", "4", what={"reference": "Condition/1"})
QUERY = entity("2", "24", query=base64.b64encode(b"Condition?code=x").decode())
IRCP, AUT = (coding(THO + "v3-ParticipationType", code) for code in ("IRCP", "AUT"))
OAUTH_USER, SAML_USER, TOKEN_SERVICE = (
    coding(BALP + "UserAgentTypes", code) for code in ("UserOauthAgent", "UserSamlAgent", "AuthzOauthService")
)
APPLICATION, DESTINATION, SOURCE = (coding(DCM, code) for code in ("110150", "110152", "110153"))
CUSTODIAN = coding(THO + "provenance-participant-type", "custodian")


def event(kind: Resource, subtype: Resource, action: str, agents: list[Resource], entities: list[Resource]) -> Resource:
    """An AuditEvent with all that NEN 7513 asks of every event."""
    return {
        "resourceType": "AuditEvent",
        "extension": [
            {"url": "http://koppeltaal.nl/fhir/StructureDefinition/trace-id", "valueId": "0af7651916cd43dd8448eb211c80319c"}
        ],
        "type": kind,
        "subtype": [subtype],
        "action": action,
        "recorded": "2026-03-01T10:00:00.000Z",
        "outcome": "0",
        "purposeOfEvent": [concept(coding(THO + "v3-ActReason", "TREAT"))],
        "agent": agents,
        "source": {"site": "90000103", "observer": HOME, "type": [coding(THO + "security-source-type", "4")]},
        "entity": entities,
    }


def rest(code: str, action: str, client: Resource, server: Resource, who: Resource, entities: list[Resource]) -> Resource:
    agents = [
        agent(client, network=True, policy=["urn:example:policy:1"]),
        agent(server, network=True, who=HOME),
        user(who),
        ORGANISATION,
    ]
    kind = coding(THO + "audit-event-type", "rest")
    return event(kind, coding("http://hl7.org/fhir/restful-interaction", code), action, agents, [TRANSACTION, *entities])


def disclosure(kind: str, action: str, own: int) -> Resource:
    agents = [
        agent(SOURCE, network=True), agent(DESTINATION, network=True), agent(coding(SCT, "159541003")),
        user(coding(SCT, "429577009"), policy=["urn:example:policy:1"]), ORGANISATION,
    ]  # fmt: skip
    agents[own]["who"] = HOME
    return event(coding(DCM, kind), coding(THO + "iso-21089-lifecycle", "disclose"), action, agents, [PATIENT, DATA, DATA])


def authorization() -> Resource:
    authorizer = agent(coding(THO + "extra-security-role-type", "authserver"), who=HOME)
    agents = [agent(APPLICATION, network=True, policy=["urn:example:policy:1"]), user(IRCP), ORGANISATION, authorizer]
    token = {"type": OAUTH_USER, "what": {"identifier": {"value": JTI}}}
    kind = coding(BALP + "AuthZsubType", "AuthZ-Consent")
    return event(coding(DCM, "110113"), kind, "E", agents, [PATIENT, CONSENT, token])


def token_use(who: Resource, client: Resource | None = None) -> Resource:
    made = rest("read", "R", DESTINATION, SOURCE, IRCP, [DATA, PATIENT])
    made["agent"] = [client or agent(DESTINATION, network=True), agent(SOURCE, network=True, who=HOME), who, ORGANISATION]
    return made


def saml_comprehensive() -> Resource:
    kinds = ((BALP + "OtherIdentifierTypes", "SAML-subject-id"), (THO + "v2-0203", "NPI"), (THO + "v2-0203", "PRN"))
    other = [
        {"url": CANONICAL + "ihe-otherId", "valueIdentifier": {"type": concept(coding(*kind)), "value": "J. Vliet"}}
        for kind in kinds
    ]
    level = concept(coding(THO + "v3-ObservationValue", "LOAAP4"))
    extensions = [{"url": CANONICAL + "ihe-assuranceLevel", "valueCodeableConcept": level}, *other]
    community = coding("urn:ihe:iti:xca:2010", "homeCommunityId")
    made = token_use(user(SAML_USER, IRCP, policy=["_5a6b51b7"], extension=extensions))
    made["agent"].append(agent(community, value="urn:oid:2.16.840.1.113883.2.4.99"))
    details = ("urn:ihe:iti:xua:2012:acp", "urn:oasis:names:tc:xacml:2.0:resource:resource-id")
    made["entity"].append(CONSENT | {"detail": [{"type": name, "valueString": "urn:oid:2.16.1"} for name in details]})
    return made


def token_request() -> Resource:
    agents = [agent(APPLICATION, network=True, policy=["urn:example:policy:1"]), agent(TOKEN_SERVICE, network=True), user(IRCP)]
    query = base64.b64encode(b"POST /token\n\ngrant_type=authorization_code&code_verifier=***").decode()
    kind = coding("urn:ihe:event-type-code", "ITI-71")
    return event(coding(DCM, "110114"), kind, "E", agents, [entity("2", "24", query=query)])


def rest_examples(patient: list[Resource], name: str) -> dict[str, Resource]:
    data = DATA if patient else entity("2", "4", what={"reference": "Organization/1"})
    return {
        f"IHE.BasicAudit.{name}Read": rest("read", "R", DESTINATION, SOURCE, IRCP, [data, *patient]),
        f"IHE.BasicAudit.{name}Create": rest("create", "C", SOURCE, DESTINATION, AUT, [data, *patient]),
        f"IHE.BasicAudit.{name}Update": rest("update", "U", SOURCE, DESTINATION, AUT, [data, *patient]),
        f"IHE.BasicAudit.{name}Delete": rest("delete", "D", APPLICATION, CUSTODIAN, AUT, [data, *patient]),
        f"IHE.BasicAudit.{name}Query": rest("search-type", "E", SOURCE, DESTINATION, IRCP, [QUERY, *patient]),
    }


EXAMPLES: dict[str, Resource] = {
    **rest_examples([], ""),
    **rest_examples([PATIENT], "Patient"),
    "IHE.BasicAudit.PrivacyDisclosure.Source": disclosure("110106", "R", 0),
    "IHE.BasicAudit.PrivacyDisclosure.Recipient": disclosure("110107", "C", 1),
    "IHE.BasicAudit.AuthZconsent": authorization(),
    "IHE.BasicAudit.OAUTHaccessTokenUse.Opaque": token_use(user(IRCP, OAUTH_USER, policy=["Zk3" * 10])),
    "IHE.BasicAudit.OAUTHaccessTokenUse.Minimal": token_use(user(IRCP, OAUTH_USER, policy=[JTI])),
    "IHE.BasicAudit.OAUTHaccessTokenUse.Comprehensive": token_use(
        user(IRCP, OAUTH_USER, policy=[JTI]), agent(DESTINATION, APPLICATION, value="ura:90000101", network=True)
    ),
    "IHE.BasicAudit.SAMLaccessTokenUse.Minimal": token_use(user(IRCP, SAML_USER, policy=["_5a6b51b7"])),
    "IHE.BasicAudit.SAMLaccessTokenUse.Comprehensive": saml_comprehensive(),
    "IHE.IUA.71": token_request(),
}
