"""The catalogue of refusals: one code for each thing that can be wrong, and what the caller must change.

Each interface renders a refusal in its own form (OAuth error RFC 6749 §5.2, FHIR OperationOutcome, problem+json RFC 9457);
the code and the remedy are the same in all of them, in the audit event and in docs/reasons.md.
"""

from dataclasses import dataclass
from typing import Any

CATALOGUE: dict[str, "Reason"] = {}


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason to refuse.

    `code` is the stable machine-readable name; `status` the HTTP status; `oauth` the error code of RFC 6749 §5.2, RFC 6750 §3.1
    or RFC 8707 §2; `issue` the FHIR issue-type code; `remedy` one sentence that says what the caller must change.
    """

    code: str
    status: int
    oauth: str
    issue: str
    remedy: str

    def __post_init__(self) -> None:
        """Enter the catalogue; two reasons cannot share a code."""
        if CATALOGUE.setdefault(self.code, self) is not self:
            raise ValueError(f"reason {self.code} stands in the catalogue twice")


class Refused(Exception):  # noqa: N818 - a refusal is an outcome of the network, not an error of the program
    """A request is refused: `reason` from the catalogue, `detail` says what was found, without personal data.

    `oauth` and `status` are another than the reason's where a specification gives the same thing two names, or two statuses.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        status: int | None = None,
        oauth: str | None = None,
    ) -> None:
        super().__init__(f"{reason.code}: {detail}")
        self.reason = reason
        self.detail = detail
        self.headers = headers or {}
        self.status = status or reason.status
        self.oauth = oauth or reason.oauth


class Unmatched(Refused):
    """A refusal with an `explanation`: for each input descriptor every candidate, and why it did not match."""

    def __init__(self, reason: Reason, detail: str, explanation: list[dict[str, Any]], *, oauth: str | None = None) -> None:
        super().__init__(reason, detail, oauth=oauth)
        self.explanation = explanation


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation of a message from what a rule wants, without what was sent where that may be personal.

    `rule` and the `clause` that it is from; `severity` error or warning; `text` what was found and wanted; `at` FHIRPath, if any.
    """

    rule: str
    clause: str
    severity: str
    text: str
    at: str | None = None
    reason: Reason | None = None

    def as_json(self) -> dict[str, str]:
        """Return it as answers tell it."""
        found = {"rule": self.rule, "clause": self.clause, "severity": self.severity, "text": self.text}
        return found | ({"expression": self.at} if self.at else {})

    def __str__(self) -> str:
        """Return it as one sentence."""
        return f"{self.rule} ({self.clause}) {self.text}"


MOST_TOLD = 20  # findings in one sentence, and so in the audit event


class Deviating(Refused):
    """A message is refused for its `findings`, of which the first gives the reason."""

    def __init__(self, reason: Reason, findings: list[Finding]) -> None:
        more = f"; and {len(findings) - MOST_TOLD} more" if len(findings) > MOST_TOLD else ""
        super().__init__(reason, "; ".join(map(str, findings[:MOST_TOLD])) + more)
        self.findings = findings


# who is it: certificate
CERTIFICATE_MISSING = Reason(
    "certificate_missing", 401, "invalid_client", "login", "Present your client certificate and key (curl: --cert, --key)."
)
CERTIFICATE_UNKNOWN_CA = Reason(
    "certificate_unknown_ca",
    401,
    "invalid_client",
    "login",
    "Use a certificate that this network's CA issued (proeftuin pki issue), and send the issuing CA with it.",
)
CERTIFICATE_EXPIRED = Reason("certificate_expired", 401, "invalid_client", "login", "Renew the certificate: proeftuin pki rotate.")
CERTIFICATE_REVOKED = Reason(
    "certificate_revoked",
    401,
    "invalid_client",
    "login",
    "This certificate stands on the revocation list; ask for a new one (proeftuin pki issue).",
)
CERTIFICATE_INVALID = Reason(
    "certificate_invalid",
    401,
    "invalid_client",
    "login",
    "The TLS handshake failed; send a TLS 1.3 client certificate with its issuing CA.",
)
CRL_EXPIRED = Reason(
    "crl_expired",
    503,
    "temporarily_unavailable",
    "transient",
    "The network's revocation list is past its nextUpdate; the operator runs: proeftuin pki crl.",
)

# who is it: token
TOKEN_MISSING = Reason("token_missing", 401, "invalid_token", "login", "Send the access token as 'Authorization: Bearer <token>'.")
TOKEN_MALFORMED = Reason(
    "token_malformed", 401, "invalid_token", "login", "Send the access token exactly as the token endpoint gave it."
)
TOKEN_SIGNATURE = Reason(
    "token_signature",
    401,
    "invalid_token",
    "login",
    "The signature does not verify with the issuer's JWKS; ask the issuer for a token.",
)
TOKEN_ISSUER = Reason(
    "token_issuer",
    401,
    "invalid_token",
    "login",
    "Ask for the token at the authorization server that addressing lists for this party.",
)
TOKEN_AUDIENCE = Reason(
    "token_audience",
    401,
    "invalid_token",
    "login",
    "Ask for a token with this service's base address as 'resource' (RFC 8707).",
)
TOKEN_EXPIRED = Reason("token_expired", 401, "invalid_token", "expired", "Ask for a new token; its life is short on purpose.")
TOKEN_NOT_YET = Reason("token_not_yet", 401, "invalid_token", "login", "Wait until the moment from which the token holds (nbf).")
TOKEN_REVOKED = Reason(
    "token_revoked", 401, "invalid_token", "login", "The token was revoked; ask for a new one if the ground still exists."
)
TOKEN_BINDING = Reason(
    "token_binding",
    401,
    "invalid_token",
    "login",
    "The token is bound to another certificate (cnf.x5t#S256, RFC 8705 §3); use it over the connection of its owner.",
)
TOKEN_SCHEME = Reason(
    "token_scheme",
    401,
    "invalid_token",
    "login",
    "Send a token under its token_type: DPoP with a proof when it is bound to a key (cnf.jkt), else Bearer.",
)
DPOP_PROOF = Reason(
    "dpop_proof", 400, "invalid_dpop_proof", "login", "Make the proof as RFC 9449 §4.2 says: a new one, signed for each request."
)
DPOP_NONCE = Reason(
    "dpop_nonce", 400, "use_dpop_nonce", "login", "Make the proof again, now, with the nonce of the DPoP-Nonce header in it."
)
DPOP_REPLAYED = Reason(
    "dpop_replayed", 400, "invalid_dpop_proof", "duplicate", "Make a new proof, with a new jti, for each request."
)
INSUFFICIENT_SCOPE = Reason(
    "insufficient_scope", 403, "insufficient_scope", "forbidden", "Ask for a token with the scope that this request needs."
)
SUBJECT_MISSING = Reason(
    "subject_missing", 403, "invalid_token", "forbidden", "Ask for a token for one client (authorization_details)."
)
SUBJECT_MISMATCH = Reason(
    "subject_mismatch", 403, "access_denied", "forbidden", "Ask for a token for the client whose data you want."
)
PARTY_MISMATCH = Reason(
    "party_mismatch", 403, "access_denied", "forbidden", "Act only for the organisation that your certificate names."
)

# token request
INVALID_REQUEST = Reason(
    "invalid_request", 400, "invalid_request", "invalid", "Send the parameters that the contract names, each of them once."
)
UNSUPPORTED_GRANT_TYPE = Reason(
    "unsupported_grant_type",
    400,
    "unsupported_grant_type",
    "not-supported",
    "Use a grant_type that the metadata lists in grant_types_supported.",
)
UNKNOWN_CLIENT = Reason(
    "unknown_client",
    401,
    "invalid_client",
    "login",
    "Send the client_id that belongs to your certificate, and add your organisation to parties.toml.",
)
CLIENT_ASSERTION = Reason(
    "client_assertion",
    401,
    "invalid_client",
    "login",
    "Sign the client assertion as RFC 7523 §3 says, with a key of your registered JWKS, for this server, for at most a minute.",
)
CLIENT_ASSERTION_REPLAYED = Reason(
    "client_assertion_replayed",
    401,
    "invalid_client",
    "duplicate",
    "Sign a new client assertion, with a new jti, for each request.",
)
SCOPE_UNKNOWN = Reason(
    "scope_unknown", 400, "invalid_scope", "invalid", "Ask for scopes that the metadata lists in scopes_supported."
)
SCOPE_NOT_ALLOWED = Reason(
    "scope_not_allowed", 400, "invalid_scope", "forbidden", "Ask only for scopes that are open to your kind of organisation."
)
RESOURCE_UNKNOWN = Reason(
    "resource_unknown",
    400,
    "invalid_target",
    "invalid",
    "Send as 'resource' the address of the service you will call as addressing lists it, up to '/fhir' (RFC 8707).",
)
ROLE_NOT_ALLOWED = Reason(
    "role_not_allowed", 403, "access_denied", "forbidden", "This role may not use this scope; ask for what the role may see."
)
PURPOSE_NOT_ALLOWED = Reason(
    "purpose_not_allowed", 403, "access_denied", "forbidden", "Send a purpose of use that this scope is open for."
)
IDENTITY_MISSING = Reason(
    "identity_missing",
    400,
    "invalid_request",
    "required",
    "Send the identity statement of the acting person as 'id_token' (log in at the identity provider first).",
)
IDENTITY_INVALID = Reason(
    "identity_invalid",
    400,
    "invalid_request",
    "login",
    "Log in again at the identity provider and send the new statement as 'id_token'.",
)
MANDATE_MISSING = Reason(
    "mandate_missing", 403, "access_denied", "forbidden", "Show the mandate of the party for which you act, or act for yourself."
)
ADDRESS_UNREGISTERED = Reason(
    "address_unregistered",
    403,
    "access_denied",
    "forbidden",
    "Call from an address that is registered with your certificate, or register this one.",
)
SUBJECT_TOKEN = Reason(
    "subject_token",
    400,
    "invalid_request",
    "login",
    "Exchange a live access token of this server that was given to you, over the connection or with the key it is bound to.",
)
SCOPE_WIDER = Reason(
    "scope_wider", 400, "invalid_scope", "forbidden", "Ask for scopes that the exchanged token has; it can only narrow."
)
REDIRECT_URI = Reason(
    "redirect_uri",
    400,
    "invalid_request",
    "invalid",
    "Send a redirect_uri exactly as it is registered (proeftuin client register).",
)
PKCE = Reason(
    "pkce", 400, "invalid_grant", "security", "Send the code_verifier whose S256 challenge began this authorization (RFC 7636)."
)
CODE_INVALID = Reason(
    "code_invalid",
    400,
    "invalid_grant",
    "expired",
    "Begin the authorization again, or ask for a new offer; a code is short-lived, and for one client.",
)
CODE_REPLAYED = Reason(
    "code_replayed",
    400,
    "invalid_grant",
    "duplicate",
    "A code serves once. Begin the authorization again, or ask for a new offer.",
)
RESPONSE_TYPE = Reason(
    "response_type",
    400,
    "unsupported_response_type",
    "not-supported",
    "Use response_type=code, with PKCE (code_challenge_method=S256).",
)
LOGIN_REQUIRED = Reason(
    "login_required", 400, "login_required", "login", "A person logs in each time: leave prompt=none out (OpenID Connect §3.1.2.1)."
)
LOGIN_ENDED = Reason(
    "login_ended", 403, "access_denied", "login", "Begin the authorization again; the login was ended or took too long."
)
GRANT_BY_LAW = Reason(
    "grant_by_law",
    403,
    "access_denied",
    "forbidden",
    "This grant rests on the law and not on consent; turn to the party that gave it.",
)
NO_CONSENT = Reason(
    "no_consent", 403, "access_denied", "forbidden", "The client has not consented to this; ask the client, who decides."
)
CONSENT_WITHDRAWN = Reason(
    "consent_withdrawn", 403, "access_denied", "forbidden", "The client has withdrawn the consent; ask the client, who decides."
)
CONSENT_OBJECTION = Reason("consent_objection", 403, "access_denied", "forbidden", "The client objects to this use; respect it.")
CONSENT_EXPIRED = Reason(
    "consent_expired", 403, "access_denied", "forbidden", "The period of the consent has passed; ask the client for a new one."
)
CONSENT_CATEGORY = Reason(
    "consent_category", 403, "access_denied", "forbidden", "The client consented to other categories of data than this one."
)
CONSENT_OBJECTION_PART = Reason(
    "consent_objection_part",
    403,
    "access_denied",
    "forbidden",
    "The client objects to a part of this category: ask, category by category, for the parts that you need.",
)
LEGAL_BASIS_APPLIES = Reason(
    "legal_basis_applies",
    403,
    "access_denied",
    "business-rule",
    "This use stands on a law, not on a consent: name the legal basis in the token request and do not ask for consent.",
)
LEGAL_BASIS_UNKNOWN = Reason(
    "legal_basis_unknown",
    400,
    "invalid_request",
    "code-invalid",
    "Name a legal basis that this network knows, and that is open to your kind of organisation (legal_bases.toml).",
)
EMERGENCY_AT_HOLDER = Reason(
    "emergency_at_holder",
    403,
    "access_denied",
    "business-rule",
    "Consent decides nothing in an emergency: the holder does, with a reason in words, for a short time.",
)
AUTHORIZATION_DETAILS = Reason(
    "authorization_details",
    400,
    "invalid_authorization_details",
    "invalid",
    "Send authorization_details (RFC 9396) as a JSON list with one object of type client_data, with the fields that it has.",
)
EMERGENCY_REASON = Reason(
    "emergency_reason",
    400,
    "invalid_authorization_details",
    "required",
    "Say in words why this cannot wait: 'reason' in authorization_details, 10 to 500 characters, which the client will read.",
)
REPRESENTATION = Reason(
    "representation",
    403,
    "access_denied",
    "forbidden",
    "Act for yourself, or as a representative whom the register knows, for a client of an age at which that is allowed.",
)
SIGNATURE_INVALID = Reason(
    "signature_invalid",
    400,
    "invalid_request",
    "security",
    "Sign what you send with the key of the certificate of your connection, and change nothing after.",
)
CONSENT_UNAVAILABLE = Reason(
    "consent_unavailable",
    503,
    "temporarily_unavailable",
    "transient",
    "No decision could be had from consent, and without it nothing is given; try again later.",
)

# credentials and presentations
PRESENTATION_MALFORMED = Reason(
    "presentation_malformed",
    400,
    "invalid_request",
    "structure",
    "Send the presentation as a JWT (VC data model 1.1 §6.3.1): typ JWT, kid a DID URL, iss, sub, jti, aud, nbf, exp, nonce, vp.",
)
PRESENTATION_VALIDITY = Reason(
    "presentation_validity",
    400,
    "invalid_request",
    "expired",
    "Make a presentation for this request: nbf now, exp 5 seconds later.",
)
PRESENTATION_SIGNER = Reason(
    "presentation_signer",
    400,
    "invalid_request",
    "security",
    "Sign the presentation with a key of the DID to which every credential in it was issued.",
)
PRESENTATION_AUDIENCE = Reason(
    "presentation_audience", 400, "invalid_request", "security", "Put the issuer identifier of this authorization server in aud."
)
PRESENTATION_NONCE = Reason("presentation_nonce", 400, "invalid_request", "required", "Put a fresh nonce in the presentation.")
PRESENTATION_REPLAYED = Reason(
    "presentation_replayed", 400, "invalid_request", "duplicate", "Make a new presentation with a fresh nonce for each request."
)
PRESENTATION_SIGNATURE = Reason(
    "presentation_signature",
    400,
    "invalid_request",
    "security",
    "Sign with the key that the DID document lists under assertionMethod, with an algorithm that fits it.",
)
PRESENTATION_BINDING = Reason(
    "presentation_binding",
    400,
    "invalid_request",
    "security",
    "The presentations must belong together: the same value in every constraint field with the same id.",
)
SUBMISSION_INVALID = Reason(
    "submission_invalid",
    400,
    "invalid_request",
    "invalid",
    "Send a presentation_submission (DIF PEX v2 §6) that maps every required input descriptor; the explanation names which.",
)
DEFINITION_INVALID = Reason(
    "definition_invalid", 400, "invalid_presentation_definition_uri", "invalid", "Mend the presentation definition (DIF PEX v2 §5)."
)
CREDENTIAL_MALFORMED = Reason(
    "credential_malformed",
    400,
    "invalid_request",
    "structure",
    "Send the credential as its issuer gave it (jwt_vc, VC 1.1 §6.3.1).",
)
CREDENTIAL_SIGNATURE = Reason(
    "credential_signature",
    400,
    "invalid_request",
    "security",
    "Ask the issuer for the credential again; its signature does not hold.",
)
CREDENTIAL_EXPIRED = Reason("credential_expired", 400, "invalid_request", "expired", "Ask the issuer for a new credential.")
CREDENTIAL_REVOKED = Reason(
    "credential_revoked",
    400,
    "invalid_request",
    "security",
    "The issuer revoked this credential; ask for one if the ground exists.",
)
CREDENTIAL_STATUS = Reason(
    "credential_status",
    503,
    "temporarily_unavailable",
    "transient",
    "The status list of the credential gives no answer, and without it nothing is given; try again later.",
)
CREDENTIAL_SHAPE = Reason(
    "credential_shape", 400, "invalid_request", "invariant", "Give the credential the content that its type prescribes."
)
CREDENTIAL_MISSING = Reason(
    "credential_missing", 412, "invalid_request", "not-found", "Load the credential that is asked for into the wallet first."
)
ISSUANCE_NOT_ALLOWED = Reason(
    "issuance_not_allowed", 403, "access_denied", "forbidden", "Issue only what issuance.toml lets this kind of party issue."
)
OFFER_MALFORMED = Reason(
    "offer_malformed", 400, "invalid_request", "structure", "Send a credential offer as its issuer made it (OpenID4VCI 1.0 §4.1)."
)
OFFER_SPENT = Reason(
    "offer_spent",
    400,
    "credential_request_denied",
    "duplicate",
    "Ask the issuer for a new offer; each credential of an offer is given once.",
)
CREDENTIAL_REQUEST = Reason(
    "credential_request",
    400,
    "invalid_credential_request",
    "structure",
    "Send credential_configuration_id and one key proof in proofs.jwt (OpenID4VCI 1.0 §8.2).",
)
CREDENTIAL_UNKNOWN = Reason(
    "credential_unknown",
    400,
    "unknown_credential_configuration",
    "not-supported",
    "Ask for a key of credential_configurations_supported in the metadata of the issuer.",
)
CREDENTIAL_NOT_GIVEN = Reason(
    "credential_not_given",
    502,
    "server_error",
    "processing",
    "The issuer did not give what it offered; mend what its answer names, or ask it for a new offer.",
)
TX_CODE = Reason(
    "tx_code", 400, "invalid_grant", "security", "Send the transaction code that the issuer gave; after three tries the offer ends."
)
KEY_PROOF = Reason(
    "key_proof",
    400,
    "invalid_proof",
    "security",
    "Prove the key of the DID that the credential is offered to, for this issuer and now (OpenID4VCI 1.0 appendix F.1).",
)
KEY_PROOF_NONCE = Reason(
    "key_proof_nonce",
    400,
    "invalid_nonce",
    "security",
    "Make the proof with a new c_nonce of the nonce endpoint; it serves once.",
)
DID_UNRESOLVABLE = Reason(
    "did_unresolvable",
    400,
    "invalid_request",
    "not-found",
    "Publish the DID document where the DID says (did:web), or send the chain that did:x509 names.",
)

# what is asked
CONTENT_TYPE = Reason("content_type", 415, "invalid_request", "not-supported", "Send the media type that the contract names.")
NOT_ACCEPTABLE = Reason(
    "not_acceptable", 406, "invalid_request", "not-supported", "Accept one of the media types that the contract names."
)
TOO_LARGE = Reason("too_large", 413, "invalid_request", "too-long", "Send a smaller message, or several.")
MALFORMED = Reason("malformed", 400, "invalid_request", "structure", "Send well-formed content of the declared media type.")
PROFILE = Reason("profile", 422, "invalid_request", "invariant", "Mend each element that the issues name.")
NOT_CONFORMING = Reason(
    "not_conforming",
    422,
    "invalid_request",
    "invariant",
    "Mend what the report names, or send the event without Prefer: handling=strict: the log takes it as it is.",
)
PARAMETER_UNKNOWN = Reason(
    "parameter_unknown", 400, "invalid_request", "not-supported", "Use the search parameters of the CapabilityStatement."
)
PARAMETER_INVALID = Reason("parameter_invalid", 400, "invalid_request", "value", "Give the parameter a value of its type.")
IDENTIFIER_IN_URL = Reason(
    "identifier_in_url",
    400,
    "invalid_request",
    "security",
    "A BSN never stands in a URL: send the search by POST to _search.",
)
NOT_FOUND = Reason("not_found", 404, "invalid_request", "not-found", "Check the id; what is not yours is not shown either.")
METHOD_NOT_ALLOWED = Reason(
    "method_not_allowed", 405, "invalid_request", "not-supported", "Use a method that the contract gives this path."
)
CONFLICT = Reason("conflict", 409, "invalid_request", "conflict", "It is there already; read it before you write.")
VERSION_STALE = Reason(
    "version_stale", 412, "invalid_request", "conflict", "Read the newest version, apply your change to it and send its ETag."
)
PSEUDONYM_INVALID = Reason(
    "pseudonym_invalid",
    400,
    "invalid_request",
    "invalid",
    "Have the pseudonym evaluated for this register (recipient and scope) and send the answer with its blind factor.",
)
PSEUDONYM_EXPIRED = Reason(
    "pseudonym_expired", 400, "invalid_request", "expired", "Have the pseudonym evaluated again; the answer lives for minutes."
)
PSEUDONYM_REPLAYED = Reason(
    "pseudonym_replayed", 400, "invalid_request", "duplicate", "Have the pseudonym evaluated again; each answer serves once."
)
QUESTION_UNKNOWN = Reason(
    "question_unknown", 403, "access_denied", "forbidden", "Ask a validated question, unchanged; the catalogue lists them."
)
POLICY_DENIED = Reason(
    "policy_denied", 403, "access_denied", "forbidden", "Change what each failing rule names; POST the same request to /explain."
)
PROFILE_UNKNOWN = Reason(
    "profile_unknown", 400, "invalid_request", "not-supported", "Name a profile of the network that this server knows."
)
OVERLOADED = Reason(
    "overloaded", 503, "temporarily_unavailable", "throttled", "Wait for as long as Retry-After says, then send it again."
)
THROTTLED = Reason(
    "throttled", 429, "temporarily_unavailable", "throttled", "Ask less often, and again after the seconds in Retry-After."
)
UPSTREAM = Reason(
    "upstream", 503, "temporarily_unavailable", "transient", "A service that this one needs did not answer; try again later."
)
# the log and its witness
STANDBY = Reason(
    "standby",
    503,
    "temporarily_unavailable",
    "transient",
    "Another process writes the log; wait as long as Retry-After says.",
)
CHECKPOINT_UNSIGNED = Reason(
    "checkpoint_unsigned", 403, "access_denied", "security", "Show a checkpoint that the log's own, pinned key signed."
)
CHECKPOINT_STALE = Reason(
    "checkpoint_stale", 409, "invalid_request", "conflict", "Start the consistency proof from the size that the answer names."
)
SPLIT_VIEW = Reason(
    "split_view", 422, "access_denied", "security", "The log was rewritten since it was last witnessed; find out by whom."
)

LEGAL_BASIS = Reason(
    "legal_basis", 403, "access_denied", "forbidden", "State the law that the supervision stands on, and the case it is for."
)
# the console, which browsers on the machine of the sandbox look at
UNKNOWN_HOST = Reason(
    "unknown_host", 421, "invalid_request", "security", "Open the console by the address that `proeftuin up` prints."
)
FOREIGN_ORIGIN = Reason(
    "foreign_origin", 403, "access_denied", "security", "Send what changes something from the console's own pages (Origin)."
)

INTERNAL = Reason("internal", 500, "server_error", "exception", "This is a fault of ours; report it with the trace id.")


def page() -> str:
    """Return the catalogue as Markdown: docs/reasons.md is made from it, and a test compares them."""
    rows = [
        f"| `{reason.code}` | {reason.status} | `{reason.oauth}` | {reason.issue} | {reason.remedy} |"
        for reason in sorted(CATALOGUE.values(), key=lambda each: each.code)
    ]
    head = "| reason | HTTP | OAuth error | FHIR issue | what to change |\n|---|---|---|---|---|\n"
    return (
        "# Reasons\n\nEvery refusal carries one of these, in the body, in `X-Reason` and in its audit event.\n"
        "The iWlz doors, whose bodies are prescribed, carry it in `X-Reason`, with `X-Detail` and `X-Remedy`.\n\n"
        + head
        + "\n".join(rows)
    )


if __name__ == "__main__":
    print(page())  # noqa: T201 - it is the output of the command
