"""What a refusal means: which checks were made in which order, which one failed, and exactly what to change."""

from datetime import UTC, datetime
from typing import Any

from proeftuin.sandbox.web.exchange import Hop

GATE = (  # as proeftuin/access makes them, in this order
    ("there is a client certificate", ("certificate_missing",)),
    ("it is a certificate of this network, of an organisation", ("certificate_unknown_ca", "certificate_invalid")),
    ("the certificate is in time and not revoked", ("certificate_expired", "crl_expired", "certificate_revoked")),
)
TOKEN = (
    ("there is a token", ("token_missing",)),
    ("the token is a JWT access token (RFC 9068)", ("token_malformed",)),
    ("this service trusts its issuer (iss)", ("token_issuer",)),
    ("the signature verifies with the issuer's key", ("token_signature",)),
    ("it is for this service (aud)", ("token_audience",)),
    ("it is in time (exp)", ("token_expired",)),
    ("it is bound to this certificate (cnf.x5t#S256)", ("token_binding",)),
    ("certificate and token are of the same organisation", ("party_mismatch",)),
    ("it opens this (scope)", ("insufficient_scope",)),
    ("it names a client where one is needed (person_id)", ("subject_missing",)),
)
GRANT = (  # as services/authorization makes them
    ("the form is complete", ("invalid_request", "unsupported_grant_type", "malformed", "content_type", "too_large")),
    ("client_id is that of the certificate, and known", ("unknown_client",)),
    ("the scopes exist and are for this resource", ("scope_unknown", "resource_unknown")),
    ("the scopes are open to this kind of organisation", ("scope_not_allowed",)),
    ("it says for which client it is", ("subject_missing",)),
    ("the person logged in, through this organisation",
     ("identity_missing", "identity_invalid", "party_mismatch", "subject_mismatch")),
    ("the person's role may use the scopes", ("role_not_allowed",)),
    ("the purpose of use is one that the scopes are for", ("purpose_not_allowed",)),
    ("the client has consented",
     ("no_consent", "consent_withdrawn", "consent_objection", "consent_expired", "consent_category", "consent_unavailable")),
)  # fmt: skip
IUA = {
    "person_id": "the one client whose data it opens",
    "purpose_of_use": "what for",
    "national_provider_identifier": "the acting person",
    "subject_role": "role of the acting person",
    "subject_organization_id": "organisation of the acting person (URA)",
}
PASSED, FAILED, NOT_REACHED = "passed", "failed", "not reached"


def explain(hop: Hop) -> dict[str, Any] | None:
    """Return of a refused hop `checks` (text, state), `found` (beside what should be) and `change`; of another None."""
    if not hop.refused:
        return None
    change = [text for text in (hop.remedy, _change(hop)) if text]
    return {"checks": _checks(hop), "found": found(hop), "change": change or ["The answer itself says what is wrong."]}


def found(hop: Hop) -> list[str]:
    """Return what the service found, in its own words and from token and certificate."""
    entry = hop.entry or {}
    claims, certificate = claims_of(entry), entry.get("certificate") or {}
    said = [hop.detail] if hop.detail else []
    match hop.reason:
        case "token_binding":
            said.append(f"token cnf.x5t#S256: {_at(claims, 'cnf', 'x5t#S256')}")
            said.append(f"certificate x5t#S256: {certificate.get('thumbprint')} ({certificate.get('subject')})")
        case "token_expired":
            said.append(f"exp: {moment(claims.get('exp'))}, the request came at {moment(hop.started)}")
        case "token_issuer":
            said.append(f"iss: {claims.get('iss')}")
        case "token_audience":
            said.append(f"aud: {claims.get('aud')}")
        case "insufficient_scope":
            said.append(f"scope of the token: {claims.get('scope')}")
        case "certificate_revoked" | "certificate_expired" if certificate:
            said.append(f"certificate: serial {certificate.get('serial')}, until {certificate.get('not_after')}")
        case "subject_mismatch" if claims:
            said.append(f"person_id of the token: {_at(claims, 'extensions', 'ihe_iua', 'person_id')}")
    return said


def claims_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the claims of the token that came with a request."""
    claims = (entry.get("bearer") or {}).get("claims")
    return claims if isinstance(claims, dict) else {}


def token_headline(bearer: dict[str, Any]) -> str:
    """Return the scheme, and algorithm, type and key id of the token."""
    header = bearer.get("header", {})
    return ", ".join([bearer["scheme"], *(f"{name} {header[name]}" for name in ("alg", "typ", "kid") if name in header)])


def token_rows(entry: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what the token says as (claim, value, what it means here)."""
    claims, certificate = claims_of(entry), entry.get("certificate") or {}
    if not claims:
        return []
    bound, shown = _at(claims, "cnf", "x5t#S256"), certificate.get("thumbprint")
    late = isinstance(claims.get("exp"), int | float) and claims["exp"] <= entry["started"]
    known = {
        "iss": "who gave it",
        "aud": "for which service it is",
        "scope": "what it opens",
        "sub": "which organisation holds it",
        "client_id": "must be the organisation of the certificate",
        "iat": f"given at {moment(claims.get('iat'))}",
        "exp": f"ends at {moment(claims.get('exp'))}: {'had ended' if late else 'in time'} when the request came",
        "jti": "names the token in audit events",
        "cnf": "bound to the certificate of this connection" if bound and bound == shown
        else "NOT bound to the certificate of this connection",
    }  # fmt: skip
    rows = [(name, _shown(value), known.get(name, "")) for name, value in claims.items() if name != "extensions"]
    iua = _at(claims, "extensions", "ihe_iua")
    return rows + [(name, _shown(value), IUA.get(name, "")) for name, value in (iua if isinstance(iua, dict) else {}).items()]


def moment(seconds: Any) -> str:  # noqa: ANN401 - a claim may be anything
    """Return a time in seconds since 1970 as UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (TypeError, ValueError, OverflowError, OSError):
        return f"no time: {seconds!r}"[:60]


def _checks(hop: Hop) -> list[dict[str, str]]:
    at_issuer = hop.target.role == "authorization" and hop.what.endswith("/token")
    with_token = bool(hop.entry and hop.entry.get("bearer")) or hop.reason == "token_missing"
    steps = [*GATE, *(GRANT if at_issuer else TOKEN if with_token else ())]
    if not any(hop.reason in codes for _, codes in steps):
        of_grant = hop.reason in {code for _, codes in GRANT for code in codes}
        steps.append(("it may, here and now" if of_grant else "what is asked itself holds", (hop.reason or "",)))
    failed = next(index for index, (_, codes) in enumerate(steps) if (hop.reason or "") in codes)
    states = [PASSED if index < failed else FAILED if index == failed else NOT_REACHED for index in range(len(steps))]
    return [{"check": text, "state": state} for (text, _), state in zip(steps, states, strict=True)]


def _change(hop: Hop) -> str | None:
    """Return the change in terms of this very request, where it can be told."""
    entry = hop.entry or {}
    claims, certificate = claims_of(entry), entry.get("certificate") or {}
    match hop.reason:
        case "token_binding":
            bound = _at(claims, "cnf", "x5t#S256")
            return f"Send it over the connection with certificate x5t#S256 {bound}, or ask a token over this one."
        case "token_expired" if all(isinstance(claims.get(name), int | float) for name in ("exp", "iat")):
            life, late = claims["exp"] - claims["iat"], hop.started - claims["exp"]
            return f"The token lived {life:.0f} seconds and came {late:.1f} seconds too late: ask it shortly before its use."
        case "token_issuer" | "token_audience":
            return f"This is the {hop.target.role} of {hop.target.party}: ask the token there, with this address as resource."
        case "certificate_revoked" | "certificate_expired" if certificate:
            return f"Replace certificate {certificate.get('serial')} of {certificate.get('client_id')}."
        case "unknown_client" if certificate:
            return f"Send client_id={certificate.get('client_id')}."
    return None


def _at(value: Any, *path: str) -> Any:  # noqa: ANN401 - claims may have any shape
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON is any
    return value if isinstance(value, str) else str(value)
