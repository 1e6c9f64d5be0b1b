"""The kinds of event that the network logs, as NEN 7513 codes in BALP form (logging-consent.md §2 and §3)."""

from dataclasses import dataclass

Coding = dict[str, str]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_INTERACTION = "http://hl7.org/fhir/restful-interaction"


def dcm(code: str, display: str) -> Coding:
    """Return a code of DICOM PS3.16 annex D."""
    return {"system": _DCM, "code": code, "display": display}


REST: Coding = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "RESTful Operation"}
APPLICATION = dcm("110150", "Application")
DESTINATION = dcm("110152", "Destination Role ID")
SOURCE = dcm("110153", "Source Role ID")
CUSTODIAN: Coding = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "custodian"}
AUTHORIZER: Coding = {"system": "http://terminology.hl7.org/CodeSystem/extra-security-role-type", "code": "authserver"}
RECIPIENT: Coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
AUTHOR: Coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "AUT"}


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the BALP table: `action` C R U D E, the roles of both systems and of the user, and the profile when it succeeds.

    `profile` is the id after `IHE.BasicAudit.`; with `per_patient` it has a Patient variant, used when a patient is named.
    """

    type: Coding
    subtype: Coding
    action: str
    client: Coding
    server: Coding
    user: Coding
    profile: str | None = None
    per_patient: bool = True
    needs_user: bool = False

    def profile_url(self, *, patient: bool, user: bool) -> str | None:
        """Return the canonical of the profile that a successful event of this kind conforms to."""
        if self.profile is None or (self.needs_user and not user):
            return None
        return f"{_BALP}{'Patient' if patient and self.per_patient else ''}{self.profile}"


def _rest(code: str, action: str, client: Coding, server: Coding, user: Coding, profile: str) -> EventType:
    return EventType(REST, {"system": _INTERACTION, "code": code}, action, client, server, user, profile)


READ = _rest("read", "R", DESTINATION, SOURCE, RECIPIENT, "Read")
SEARCH = _rest("search-type", "E", SOURCE, DESTINATION, RECIPIENT, "Query")
CREATE = _rest("create", "C", SOURCE, DESTINATION, AUTHOR, "Create")
UPDATE = _rest("update", "U", SOURCE, DESTINATION, AUTHOR, "Update")
DELETE = _rest("delete", "D", APPLICATION, CUSTODIAN, AUTHOR, "Delete")
HISTORY = EventType(REST, {"system": _INTERACTION, "code": "history-type"}, "E", SOURCE, DESTINATION, RECIPIENT)
TRANSACTION = EventType(REST, {"system": _INTERACTION, "code": "transaction"}, "E", SOURCE, DESTINATION, AUTHOR)

_PROEFTUIN = "https://proeftuin.example/CodeSystem/event"
TOKEN_REQUEST = EventType(
    dcm("110114", "User Authentication"),
    {"system": "urn:ihe:event-type-code", "code": "ITI-71", "display": "Get Access Token"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT,
)  # fmt: skip
INTROSPECTION = EventType(
    dcm("110114", "User Authentication"),
    {"system": "urn:ihe:event-type-code", "code": "ITI-102", "display": "Introspect Token"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT,
)  # fmt: skip
REVOCATION = EventType(
    dcm("110113", "Security Alert"), dcm("110137", "User security Attributes Changed"), "E", APPLICATION, AUTHORIZER, RECIPIENT
)
GRANTS_SEEN = EventType(
    dcm("110112", "Query"),
    {"system": _PROEFTUIN, "code": "grants", "display": "Live grants seen"},
    "R",
    DESTINATION,
    SOURCE,
    RECIPIENT,
)
KEY_ROTATION = EventType(
    dcm("110113", "Security Alert"), dcm("110131", "Security Configuration"), "U", APPLICATION, AUTHORIZER, RECIPIENT
)
LOGIN = EventType(dcm("110114", "User Authentication"), dcm("110122", "Login"), "E", APPLICATION, AUTHORIZER, RECIPIENT)
DECISION = EventType(
    dcm("110113", "Security Alert"),
    {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT, "AuthZconsent", per_patient=False, needs_user=True,
)  # fmt: skip
POLICY_DECISION = EventType(  # of the decision point, or of the enforcement point that asked it and let through
    dcm("110113", "Security Alert"), {"system": _PROEFTUIN, "code": "policy-decision", "display": "Policy decision"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT,
)  # fmt: skip
EVALUATION = EventType(
    REST, {"system": _PROEFTUIN, "code": "evaluate", "display": "Evaluate blinded pseudonym"}, "E", APPLICATION, SOURCE, RECIPIENT
)
VALIDATED_QUESTION = EventType(
    dcm("110112", "Query"), {"system": _PROEFTUIN, "code": "validated-question", "display": "KIK-V validated question"},
    "E", SOURCE, DESTINATION, RECIPIENT,
)  # fmt: skip
AUDIT_LOG_USED = EventType(
    dcm("110101", "Audit Log Used"), {"system": _INTERACTION, "code": "search-type"}, "R", DESTINATION, SOURCE, RECIPIENT
)
ERASURE = EventType(  # of content of the log itself, after its retention or by order; never names whom it was about
    dcm("110101", "Audit Log Used"), {"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "destroy"},
    "D", APPLICATION, CUSTODIAN, AUTHOR,
)  # fmt: skip
NODE_AUTHENTICATION = EventType(
    dcm("110113", "Security Alert"), dcm("110126", "Node Authentication"), "E", APPLICATION, SOURCE, RECIPIENT
)
REFUSAL = EventType(  # a request that was refused at a route which logs nothing when it succeeds
    dcm("110113", "Security Alert"), dcm("110132", "Use of Restricted Function"), "E", APPLICATION, SOURCE, RECIPIENT
)
