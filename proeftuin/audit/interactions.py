"""Which kind of event a request is, by its method and address. Both ends ask this one table, so they cannot log differently.

A service whose route declares something else does not start (access/route.py); a call that stands nowhere here is not made.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from proeftuin.audit import events
from proeftuin.audit.events import EventType
from proeftuin.identifiers import is_bsn

UNLOGGED = None  # success is logged at neither end; a refusal is, at both


@dataclass(frozen=True, slots=True)
class Interaction:
    """A request as an audit event tells it: the kind, and the resource type and the reference that the address names."""

    event: EventType | None
    resource_type: str | None = None
    reference: str | None = None


class UndeclaredInteractionError(LookupError):
    """Nothing says what is logged of this method and address."""


_FHIR: dict[tuple[str, str], EventType | None] = {  # what follows the resource type; {} stands for an id
    ("GET", ""): events.SEARCH,
    ("POST", "/_search"): events.SEARCH,
    ("POST", ""): events.CREATE,
    ("GET", "/{}"): events.READ,
    ("PUT", "/{}"): events.UPDATE,
    ("DELETE", "/{}"): events.DELETE,
    ("GET", "/_history"): events.HISTORY,
    ("GET", "/{}/_history"): events.HISTORY,
    ("GET", "/{}/_history/{}"): events.READ,
    ("GET", "/$processingStatus"): UNLOGGED,
    ("POST", "/$convert"): UNLOGGED,
}
_LOG: dict[tuple[str, str], EventType | None] = {  # of AuditEvent: the log does not log its own intake
    ("POST", ""): UNLOGGED,
    ("GET", ""): events.AUDIT_LOG_USED,
    ("POST", "/_search"): events.AUDIT_LOG_USED,
    ("GET", "/{}"): events.AUDIT_EVENT_READ,
    ("POST", "/$validate"): UNLOGGED,
    ("GET", "/{}/$validate"): events.AUDIT_EVENT_READ,
}
_OTHERS: tuple[tuple[str, str, EventType | None], ...] = (  # method, end of the path, event
    ("POST", "/fhir", events.TRANSACTION),
    ("GET", "/fhir/metadata", UNLOGGED),
    ("POST", "/token", events.TOKEN_REQUEST),
    ("POST", "/introspect", events.INTROSPECTION),
    ("POST", "/revoke", events.REVOCATION),
    ("POST", "/introspect_extended", events.INTROSPECTION),
    ("POST", "/login", events.LOGIN),
    ("POST", "/par", UNLOGGED),
    ("GET", "/authorize", UNLOGGED),
    ("POST", "/authorize", events.LOGIN),
    ("GET", "/userinfo", events.LOGIN),
    ("GET", "/grants", events.GRANTS_SEEN),
    ("DELETE", "/grants/[^/]+", events.REVOCATION),
    ("POST", "/ended", events.REVOCATION),
    ("POST", "/keys", events.KEY_ROTATION),
    ("GET", "/jwks", UNLOGGED),
    ("GET", "/.well-known/.*", UNLOGGED),
    ("GET", "/presentation_definition|/oauth-client", UNLOGGED),
    ("GET", "/did.json|/status/[^/]+/[^/]+", UNLOGGED),
    ("POST", "/issuer/vc", events.ISSUANCE),
    ("GET", "/issuer/vc", UNLOGGED),
    ("DELETE", "/issuer/vc/[^/]+", events.CREDENTIAL_REVOCATION),
    ("POST", "/issuer/offers", events.OFFER),
    ("GET", "/offers/[^/]+", UNLOGGED),
    ("POST", "/nonce", UNLOGGED),
    ("POST", "/credential", events.ISSUANCE),
    ("POST", "/holder/offers", events.HOLDING),
    ("POST", "/holder/vc", events.HOLDING),
    ("GET", "/holder/vc", UNLOGGED),
    ("DELETE", "/holder/vc/[^/]+", events.HOLDING),
    ("POST", "/holder/vp", events.PRESENTATION),
    ("POST", "/decisions", events.DECISION),
    ("POST", "/access/v1/evaluations?|/v1/data/.+|/pdp|/explain|/netwerkmodel/v3/pep", events.POLICY_DECISION),
    ("POST", "/mitz/geslotenautorisatievraag/xacml3", events.DECISION),
    ("POST", "/mitz/openautorisatievraag", events.SEARCH),
    ("POST", "/mitz/check/.+", UNLOGGED),
    ("GET", "/sandbox/levers", UNLOGGED),
    ("PUT", "/sandbox/levers/[^/]+", UNLOGGED),
    ("POST", "/evaluate", events.EVALUATION),
    ("POST", "/oprf/eval", events.EVALUATION),
    ("PUT", "/recipients/[^/]+", events.RECIPIENT_KEY),
    ("POST", "/sparql", events.VALIDATED_QUESTION),
    ("GET", "/sparql/questions", UNLOGGED),
    ("POST", "/inzage/logging", events.AUDIT_LOG_USED),
    ("POST", "/audit/patterns", events.AUDIT_LOG_USED),
    ("POST", "/audit/watched", events.AUDIT_LOG_CONFIGURED),
    ("POST", "/retention/erase", events.ERASURE),
    ("POST", "/retention/archive", events.ARCHIVE),
    ("GET", "/ldv", events.EXPORT),
    ("POST", "/ldv", events.EXPORT),
    ("GET", "/key|/checkpoint(/witnessed)?|/tile/.+|/proof/[a-z]+", UNLOGGED),
    ("POST", "/add-checkpoint", UNLOGGED),
    ("GET", "/health|/metrics|/openapi.json", UNLOGGED),
)
_RESOURCE = re.compile(r"/(?P<type>[A-Z][A-Za-z]+)(?P<rest>(/[^/]+)*)$")


def of(method: str, url: str) -> Interaction:
    """Return what a request is; raises UndeclaredInteractionError.

    `url` may be a whole address or a path, also one with its variable parts in braces, as a route declares it.
    """
    path = urlsplit(url).path.replace("{resource_type}", "Resource")
    match = _RESOURCE.search(path)
    if match is None:
        for its_method, end, event in _OTHERS:
            if its_method == method and re.search(f"(?:{end})$", path):
                return Interaction(event)
        raise UndeclaredInteractionError(f"{method} {path}: add what is logged of it to proeftuin/audit/interactions.py")
    kind, rest = match["type"], match["rest"]
    table = _LOG if kind == "AuditEvent" else _FHIR
    shape = re.sub(r"/(?![_$])[^/]+", "/{}", rest)
    if (method, shape) not in table:
        raise UndeclaredInteractionError(f"{method} {path}: no interaction of FHIR that this network has")
    named = "{}" in shape and not any(map(is_bsn, rest.split("/")))
    return Interaction(table[method, shape], kind, f"{kind}{rest.partition('/$')[0]}" if named else None)


def reference_in(location: str) -> str | None:
    """Return the reference ("List/1") in the Location header of something that was created, None where there is none."""
    match = re.search(r"/([A-Z][A-Za-z]+/[^/]+)(/_history/[^/]+)?$", urlsplit(location).path)
    return match[1] if match else None
