"""The kinds of event that the network logs, as NEN 7513 codes in the form of IHE BALP 1.1.5."""

from dataclasses import dataclass, replace
from typing import Literal

Coding = dict[str, str]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_AGENT = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"


def dcm(code: str, display: str) -> Coding:
    """Return a code of DICOM PS3.16 annex D."""
    return {"system": _DCM, "code": code, "display": display}


REST: Coding = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "RESTful Operation"}
APPLICATION = dcm("110150", "Application")
DESTINATION = dcm("110152", "Destination Role ID")
SOURCE = dcm("110153", "Source Role ID")
CUSTODIAN: Coding = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "custodian"}
AUTHORIZER: Coding = {"system": "http://terminology.hl7.org/CodeSystem/extra-security-role-type", "code": "authserver"}
TOKEN_SERVICE: Coding = {"system": _AGENT, "code": "AuthzOauthService"}
BEARER: Coding = {"system": _AGENT, "code": "UserOauthAgent"}
RECIPIENT: Coding = {"system": _PARTICIPATION, "code": "IRCP"}
AUTHOR: Coding = {"system": _PARTICIPATION, "code": "AUT"}
EMERGENCY = dcm("110127", "Emergency Override Started")
EMERGENCY_PURPOSES = frozenset({"ETREAT", "BTG"})
CREATED, IMPORTED, AMENDED, USED, REMOVED, ERASED = "1", "2", "3", "6", "14", "15"  # dicom-audit-lifecycle
APPLICATION_SERVER, SECURITY_SERVER = "4", "6"  # security-source-type
AUTHZ_CONSENT, IUA_71 = "IHE.BasicAudit.AuthZconsent", "IHE.IUA.71"


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the BALP table: `action` C R U D E, the roles of both systems and of the user, and what belongs to the kind.

    `profile` is the id of the BALP profile of a success, of which a REST one has a Patient variant. `bearer`: who used
    the token that an event names: the user (the client when there is none), the client alone, or nobody, since the event is about
    the token. `purpose` is the v3-ActReason of a success that names none, `lifecycle` what happens to the data, `source` the kind
    of system that serves, `about` what it is about when neither data nor a query is named.
    """

    type: Coding
    subtype: Coding
    action: str
    client: Coding
    server: Coding
    user: Coding
    profile: str | None = None
    bearer: Literal["user", "client", "none"] = "user"
    purpose: str | None = "HOPERAT"
    lifecycle: str | None = None
    source: str = APPLICATION_SERVER
    about: str | None = None

    @property
    def is_rest(self) -> bool:
        """Whether it is of the BALP profiles of a RESTful interaction."""
        return self.type is REST

    def profile_url(self, *, patient: bool) -> str | None:
        """Return the canonical of the profile, in its Patient variant when there is one."""
        if self.profile is None:
            return None
        return _BALP + (self.profile.replace("BasicAudit.", "BasicAudit.Patient") if patient and self.is_rest else self.profile)


def token_use(*, user: bool, recipient: bool) -> list[str]:
    """Return the canonicals of the profiles on the use of an OAuth token, by a `user` (the recipient of data) or by no user."""
    minimal, comprehensive = (f"{_BALP}IHE.BasicAudit.OAUTHaccessTokenUse.{name}" for name in ("Minimal", "Comprehensive"))
    return [*([minimal] if user else []), *([comprehensive] if recipient or not user else [])]


def _rest(
    code: str, action: str, client: Coding, server: Coding, user: Coding, profile: str, lifecycle: str | None = None
) -> EventType:
    subtype = {"system": _INTERACTION, "code": code}
    return EventType(REST, subtype, action, client, server, user, f"IHE.BasicAudit.{profile}", lifecycle=lifecycle)


READ = _rest("read", "R", DESTINATION, SOURCE, RECIPIENT, "Read", USED)
SEARCH = _rest("search-type", "E", SOURCE, DESTINATION, RECIPIENT, "Query")
CREATE = _rest("create", "C", SOURCE, DESTINATION, AUTHOR, "Create", CREATED)
UPDATE = _rest("update", "U", SOURCE, DESTINATION, AUTHOR, "Update", AMENDED)
RECIPIENT_KEY = replace(UPDATE, about="public key of a recipient")
DELETE = _rest("delete", "D", APPLICATION, CUSTODIAN, AUTHOR, "Delete", REMOVED)
HISTORY = EventType(REST, {"system": _INTERACTION, "code": "history-type"}, "E", SOURCE, DESTINATION, RECIPIENT)
TRANSACTION = EventType(
    REST, {"system": _INTERACTION, "code": "transaction"}, "E", SOURCE, DESTINATION, AUTHOR, lifecycle=IMPORTED, about="Bundle"
)

_PROEFTUIN = "https://proeftuin.example/CodeSystem/event"
TOKEN_REQUEST = EventType(
    dcm("110114", "User Authentication"),
    {"system": "urn:ihe:event-type-code", "code": "ITI-71", "display": "Get Access Token"},
    "E", APPLICATION, TOKEN_SERVICE, RECIPIENT, IUA_71, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
INTROSPECTION = EventType(
    dcm("110114", "User Authentication"),
    {"system": "urn:ihe:event-type-code", "code": "ITI-102", "display": "Introspect Token"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
REVOCATION = EventType(
    dcm("110113", "Security Alert"), dcm("110137", "User security Attributes Changed"), "E", APPLICATION, AUTHORIZER, RECIPIENT,
    bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
GRANTS_SEEN = EventType(
    dcm("110112", "Query"), {"system": _PROEFTUIN, "code": "grants", "display": "Live grants seen"}, "R",
    DESTINATION, SOURCE, RECIPIENT, bearer="none", source=SECURITY_SERVER, lifecycle=USED, about="live grants",
)  # fmt: skip
KEY_ROTATION = EventType(
    dcm("110113", "Security Alert"), dcm("110131", "Security Configuration"), "U", APPLICATION, AUTHORIZER, RECIPIENT,
    bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
LOGIN = EventType(
    dcm("110114", "User Authentication"), dcm("110122", "Login"), "E", APPLICATION, AUTHORIZER, RECIPIENT,
    bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
ISSUANCE = EventType(
    dcm("110113", "Security Alert"), {"system": _PROEFTUIN, "code": "issue-credential", "display": "Issue verifiable credential"},
    "C", APPLICATION, AUTHORIZER, RECIPIENT, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
OFFER = EventType(
    dcm("110113", "Security Alert"), {"system": _PROEFTUIN, "code": "offer-credential", "display": "Offer verifiable credentials"},
    "C", APPLICATION, AUTHORIZER, RECIPIENT, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
CREDENTIAL_REVOCATION = EventType(
    dcm("110113", "Security Alert"), {"system": _PROEFTUIN, "code": "revoke-credential", "display": "Revoke verifiable credential"},
    "U", APPLICATION, AUTHORIZER, RECIPIENT, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
HOLDING = EventType(
    dcm("110113", "Security Alert"), {"system": _PROEFTUIN, "code": "hold-credential", "display": "Load or remove a credential"},
    "U", APPLICATION, CUSTODIAN, RECIPIENT, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
PRESENTATION = EventType(
    dcm("110114", "User Authentication"), {"system": _PROEFTUIN, "code": "present", "display": "Present verifiable credentials"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT, bearer="none", source=SECURITY_SERVER,
)  # fmt: skip
DECISION = EventType(
    dcm("110113", "Security Alert"),
    {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT, AUTHZ_CONSENT, bearer="client", purpose=None,
    source=SECURITY_SERVER,
)  # fmt: skip
POLICY_DECISION = EventType(  # of the decision point, or of the enforcement point that asked it and let through
    dcm("110113", "Security Alert"), {"system": _PROEFTUIN, "code": "policy-decision", "display": "Policy decision"},
    "E", APPLICATION, AUTHORIZER, RECIPIENT,
)  # fmt: skip
EVALUATION = EventType(
    REST,
    {"system": _PROEFTUIN, "code": "evaluate", "display": "Evaluate blinded pseudonym"},
    "E",
    APPLICATION,
    SOURCE,
    RECIPIENT,
    about="blinded pseudonym",
)
NOTIFICATION = EventType(
    REST, {"system": _PROEFTUIN, "code": "notify", "display": "Notify a subscriber"}, "E", SOURCE, DESTINATION, AUTHOR
)
VALIDATED_QUESTION = EventType(
    dcm("110112", "Query"), {"system": _PROEFTUIN, "code": "validated-question", "display": "KIK-V validated question"},
    "E", SOURCE, DESTINATION, RECIPIENT, about="validated question",
)  # fmt: skip
AUDIT_LOG_USED = EventType(
    dcm("110101", "Audit Log Used"), {"system": _INTERACTION, "code": "search-type"}, "R", DESTINATION, SOURCE, RECIPIENT,
    lifecycle=USED, about="audit log",
)  # fmt: skip
AUDIT_EVENT_READ = replace(AUDIT_LOG_USED, subtype={"system": _INTERACTION, "code": "read"})
AUDIT_LOG_CONFIGURED = EventType(
    dcm("110113", "Security Alert"), dcm("110129", "Security Configuration"), "U", APPLICATION, CUSTODIAN, AUTHOR,
    about="audit log",
)  # fmt: skip
ERASURE = EventType(  # of content of the log itself, after its retention or by order; never names whom it was about
    dcm("110101", "Audit Log Used"), {"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "destroy"},
    "D", APPLICATION, CUSTODIAN, AUTHOR, lifecycle=ERASED, about="audit log",
)  # fmt: skip
ARCHIVE = EventType(  # of a year of the log itself
    dcm("110106", "Export"), {"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "archive"},
    "C", APPLICATION, CUSTODIAN, AUTHOR, about="audit log",
)  # fmt: skip
EXPORT = EventType(  # of a party's own events, out of the log
    dcm("110106", "Export"), {"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", "code": "extract"},
    "R", DESTINATION, SOURCE, RECIPIENT,
)  # fmt: skip
NODE_AUTHENTICATION = EventType(
    dcm("110113", "Security Alert"), dcm("110126", "Node Authentication"), "E", APPLICATION, SOURCE, RECIPIENT
)
REFUSAL = EventType(  # a request that was refused at a route which logs nothing when it succeeds
    dcm("110113", "Security Alert"), dcm("110132", "Use of Restricted Function"), "E", APPLICATION, SOURCE, RECIPIENT
)
