"""What must be logged of each route, written down from IHE BALP 1.1.5, not from the code.

A row is `<type> <subtype> <action>`, or None where success is logged at neither end. A refusal has the row's own kind, and
`REFUSED` where there is none; a handshake that TLS refuses is `NODE` for both. Every route that there is stands here.
"""

REFUSED, NODE = "110113 110132 E", "110113 110126 E"
READ, CREATE, UPDATE, DELETE = "rest read R", "rest create C", "rest update U", "rest delete D"
SEARCH, HISTORY, TRANSACTION = "rest search-type E", "rest history-type E", "rest transaction E"
TOKEN, INTROSPECT, REVOKE, LOGIN = "110114 ITI-71 E", "110114 ITI-102 E", "110113 110137 E", "110114 110122 E"
DECISION, EVALUATION, QUESTION = "110113 AuthZ-Consent E", "rest evaluate E", "110112 validated-question E"
GRANTS, ROTATED, POLICY = "110112 grants R", "110113 110131 U", "110113 policy-decision E"
ISSUED, OFFERED, CREDENTIAL_REVOKED = "110113 issue-credential C", "110113 offer-credential C", "110113 revoke-credential U"
HELD, PRESENTED = "110113 hold-credential U", "110114 present E"
LOG_USED, LOG_READ, LOG_ERASED = "110101 search-type R", "110101 read R", "110101 destroy D"
LOG_CONFIGURED = "110113 110129 U"
LOG_ARCHIVED, LOG_EXPORTED = "110106 archive C", "110106 extract R"

Rows = dict[tuple[str, str], str | None]
_OPERATIONS: Rows = {("GET", "/health"): None, ("GET", "/metrics"): None, ("GET", "/openapi.json"): None}
_DIRECTORY: Rows = {
    key: kind
    for name in ("Organization", "Endpoint")
    for key, kind in {
        ("GET", f"/fhir/{name}"): SEARCH,
        ("POST", f"/fhir/{name}/_search"): SEARCH,
        ("GET", f"/fhir/{name}/_history"): HISTORY,
        ("GET", f"/fhir/{name}/{{resource_id}}"): READ,
        ("GET", f"/fhir/{name}/{{resource_id}}/_history/{{version}}"): READ,
        ("PUT", f"/fhir/{name}/{{resource_id}}"): UPDATE,
    }.items()
}
ROUTES: dict[str, Rows] = {
    "addressing": _OPERATIONS | _DIRECTORY | {("GET", "/fhir/metadata"): None, ("POST", "/fhir"): TRANSACTION},
    "localization": _OPERATIONS | {
        ("GET", "/fhir/List"): SEARCH, ("POST", "/fhir/List/_search"): SEARCH, ("POST", "/fhir/List"): CREATE,
        ("GET", "/fhir/List/{list_id}"): READ, ("DELETE", "/fhir/List/{list_id}"): DELETE, ("POST", "/fhir"): TRANSACTION,
    },
    "pseudonymisation": _OPERATIONS | {
        ("POST", "/evaluate"): EVALUATION, ("POST", "/oprf/eval"): EVALUATION, ("PUT", "/recipients/{scope}"): UPDATE,
    },
    "consent": _OPERATIONS | {
        ("POST", "/fhir/Consent"): CREATE, ("GET", "/fhir/Consent"): SEARCH, ("GET", "/fhir/Consent/{consent_id}"): READ,
        ("PUT", "/fhir/Consent/{consent_id}"): UPDATE, ("POST", "/decisions"): DECISION,
        ("POST", "/fhir/Consent/$convert"): None, ("POST", "/mitz/geslotenautorisatievraag/xacml3"): DECISION,
        ("POST", "/mitz/openautorisatievraag"): SEARCH, ("POST", "/mitz/check/{kind}"): None,
        ("POST", "/mitz/abonnementen/fhir/Subscription"): CREATE,
        ("DELETE", "/mitz/abonnementen/fhir/Subscription/{subscription_id}"): DELETE,
        ("GET", "/mitz/abonnementen/fhir/Subscription/$processingStatus"): None,
        ("GET", "/sandbox/levers"): None, ("PUT", "/sandbox/levers/{name}"): None,
    },
    "logging": _OPERATIONS | {
        ("POST", "/fhir/AuditEvent"): None, ("POST", "/fhir"): None,
        ("GET", "/fhir/AuditEvent"): LOG_USED, ("POST", "/fhir/AuditEvent/_search"): LOG_USED,
        ("GET", "/fhir/AuditEvent/{event_id}"): LOG_READ, ("GET", "/fhir/AuditEvent/{event_id}/$validate"): LOG_READ,
        ("POST", "/audit/AuditEvent/_search"): LOG_USED, ("POST", "/audit/patterns"): LOG_USED,
        ("POST", "/audit/watched"): LOG_CONFIGURED, ("POST", "/fhir/AuditEvent/$validate"): None,
        ("POST", "/inzage/logging"): LOG_USED,
        ("POST", "/retention/archive"): LOG_ARCHIVED, ("GET", "/ldv"): LOG_EXPORTED, ("POST", "/ldv"): LOG_EXPORTED,
        ("POST", "/retention/erase"): LOG_ERASED, ("GET", "/checkpoint"): None, ("GET", "/checkpoint/witnessed"): None,
        ("GET", "/key"): None, ("GET", "/tile/{level}/{position:path}"): None, ("GET", "/proof/inclusion"): None,
        ("GET", "/proof/consistency"): None,
    },
    "witness": _OPERATIONS | {("POST", "/add-checkpoint"): None, ("GET", "/checkpoint"): None, ("GET", "/key"): None},
    "authorization": _OPERATIONS | {
        ("GET", "/.well-known/oauth-authorization-server/oauth2/{party}"): None, ("GET", "/oauth2/{party}/jwks"): None,
        ("POST", "/oauth2/{party}/token"): TOKEN, ("POST", "/oauth2/{party}/introspect"): INTROSPECT,
        ("POST", "/oauth2/{party}/revoke"): REVOKE, ("POST", "/oauth2/{party}/login"): LOGIN,
        ("GET", "/oauth2/{party}/.well-known/openid-configuration"): None, ("POST", "/oauth2/{party}/par"): None,
        ("GET", "/oauth2/{party}/authorize"): None, ("POST", "/oauth2/{party}/authorize"): LOGIN,
        ("GET", "/oauth2/{party}/userinfo"): LOGIN, ("POST", "/oauth2/{party}/introspect_extended"): INTROSPECT,
        ("GET", "/oauth2/{party}/grants"): GRANTS, ("DELETE", "/oauth2/{party}/grants/{jti}"): REVOKE,
        ("GET", "/oauth2/{party}/client/grants"): GRANTS, ("DELETE", "/oauth2/{party}/client/grants/{jti}"): REVOKE,
        ("POST", "/oauth2/{party}/ended"): REVOKE, ("POST", "/oauth2/{party}/keys"): ROTATED,
        ("GET", "/.well-known/authzen-configuration"): None, ("POST", "/access/v1/evaluation"): POLICY,
        ("POST", "/access/v1/evaluations"): POLICY, ("POST", "/rfc0052/access/v1/evaluations"): POLICY,
        ("POST", "/v1/data/authz/result"): POLICY, ("POST", "/explain"): POLICY,
        ("POST", "/pdp"): POLICY, ("POST", "/pdp/v1/data/knooppunt/authz"): POLICY,
        ("GET", "/oauth2/{party}/.well-known/oauth-authorization-server"): None,
        ("GET", "/oauth2/{party}/presentation_definition"): None, ("GET", "/oauth2/{party}/oauth-client"): None,
    },
    "iwlz": {  # which the national authorization server has beside those of every authorization server
        ("POST", "/netwerkmodel/v3/auth/token"): TOKEN, ("GET", "/netwerkmodel/v3/auth/jwks"): None,
        ("POST", "/netwerkmodel/v3/pep"): POLICY,
    },
    "wallet": _OPERATIONS | {
        ("GET", "/iam/{party}/did.json"): None, ("GET", "/iam/{party}/status/{dialect}/{page}"): None,
        ("POST", "/iam/{party}/issuer/vc"): ISSUED, ("GET", "/iam/{party}/issuer/vc"): None,
        ("DELETE", "/iam/{party}/issuer/vc/{credential_id}"): CREDENTIAL_REVOKED,
        ("GET", "/.well-known/openid-credential-issuer/iam/{party}"): None,
        ("GET", "/.well-known/oauth-authorization-server/iam/{party}"): None,
        ("POST", "/iam/{party}/issuer/offers"): OFFERED, ("GET", "/iam/{party}/offers/{offer_id}"): None,
        ("POST", "/iam/{party}/token"): TOKEN, ("POST", "/iam/{party}/nonce"): None, ("POST", "/iam/{party}/credential"): ISSUED,
        ("POST", "/iam/{party}/holder/offers"): HELD,
        ("POST", "/iam/{party}/holder/vc"): HELD, ("GET", "/iam/{party}/holder/vc"): None,
        ("DELETE", "/iam/{party}/holder/vc/{credential_id}"): HELD, ("POST", "/iam/{party}/holder/vp"): PRESENTED,
    },
    "datastation": _OPERATIONS | {
        ("GET", "/{party}/fhir/metadata"): None, ("GET", "/{party}/fhir/{resource_type}"): SEARCH,
        ("POST", "/{party}/fhir/{resource_type}/_search"): SEARCH,
        ("GET", "/{party}/fhir/{resource_type}/{resource_id}"): READ, ("POST", "/{party}/fhir"): TRANSACTION,
        ("GET", "/{party}/sparql/questions"): None, ("POST", "/{party}/sparql"): QUESTION,
    },
}  # fmt: skip
