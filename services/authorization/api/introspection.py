"""Introspection (RFC 7662), plain and extended: the party's own resource server asks whether a token still holds, and for what."""

import json
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import INTROSPECTION
from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.parties import KINDS
from proeftuin.tokens.access_token import AccessToken, act_claim
from proeftuin.tokens.access_token import inspect as token_of
from services.authorization import store
from services.authorization.details import Details
from services.authorization.grants import Ground
from services.authorization.issuer import Issuer

TOKEN = {"token": "the access token", "token_type_hint": "is not needed"}
NO_STORE = {"Cache-Control": "no-store"}


def router(issuers: dict[str, Issuer]) -> APIRouter:
    """Return the routes that tell about tokens."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/introspect")
    @require(own_party=True, event=INTROSPECTION, form=TOKEN, required=("token",), max_body=16384)
    async def introspect(admission: Admitted, party: str) -> Response:
        """Answer `{"active": false}` for everything that is not a live token of this issuer."""
        token, _ = await _judged(admission, issuers[party])
        return json_response(describe(issuers[party], token) if token else {"active": False}, headers=NO_STORE)

    @routes.post("/oauth2/{party}/introspect_extended")
    @require(own_party=True, event=INTROSPECTION, form=TOKEN, required=("token",), max_body=16384)
    async def introspect_extended(admission: Admitted, party: str) -> Response:
        """The same, with what the grant stands on and what was shown for it (nuts-node's introspect_extended)."""
        issuer = issuers[party]
        token, grounds = await _judged(admission, issuer)
        if token is None:
            return json_response({"active": False}, headers=NO_STORE)
        stored = await issuer.tenant.database.read(store.read, token.jti) or {}
        extended = {
            "grant_type": stored.get("door"), "legal_basis": stored.get("legal_basis"),
            "stands_on": [ground._asdict() for ground in sorted(grounds)],
        }  # fmt: skip
        evidence = json.loads(stored["evidence"]) if stored.get("evidence") else {}
        return json_response(evidence | describe(issuer, token) | extended, headers=NO_STORE)

    return routes


async def _judged(admission: Admission, issuer: Issuer) -> tuple[AccessToken | None, list[Ground]]:
    """Return the live token of the form with its grounds, and note in the audit event which it is."""
    token = token_of((await admission.form())["token"], issuer.keys)
    grounds = await issuer.grounds_of(token) if token else []
    if token is None or not grounds:
        admission.record.details["active"] = "false"
        return None, []
    admission.record.token, admission.record.person = token.policy, token.grant.person
    admission.record.patients = [token.patient] if token.patient else []
    return token, grounds


def describe(issuer: Issuer, token: AccessToken) -> dict[str, Any]:
    """Return the members of RFC 7662 §2.2 and RFC 9396 §9.2, and the claims by the names that nuts-knooppunt's PDP reads."""
    grant = token.grant
    content: dict[str, Any] = {
        "active": True, "iss": issuer.url, "client_id": grant.client_id, "sub": grant.acts_for, "aud": grant.audience,
        "scope": " ".join(sorted(grant.scopes)), "iat": token.issued_at, "exp": token.expires_at, "jti": token.jti,
        "token_type": grant.confirmation.scheme, "cnf": {grant.confirmation.method: grant.confirmation.value},
    }  # fmt: skip
    further = {"nbf": grant.not_before, "act": act_claim(grant)}
    content |= {name: value for name, value in further.items() if value is not None}
    if details := Details(grant.patient, grant.purpose).as_json():
        content["authorization_details"] = details
        content["patient_enrollment_identifier"] = f"{BSN_SYSTEM}|{grant.patient}"
    party = issuer.known_clients.get(grant.acts_for)
    if party is not None:
        about = {"ura": party.ura, "name": party.name, "city": party.city, "facility_type": KINDS[party.kind].nictiz}
        content |= {f"organization_{name}": value for name, value in about.items() if value}
    if grant.person is not None and not grant.person.is_client:
        content["user_id"] = grant.person.identifier
        content |= {"user_role": grant.person.role} if grant.person.role else {}
    return dict(grant.claims) | content
