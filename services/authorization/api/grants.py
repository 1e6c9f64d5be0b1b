"""Live grants: seen and ended by the party that gave them, the client that holds them, and the client of care whom they open.

And the notices by which a grant dies with what it stands on: the register of consents tells of a withdrawal, the party itself of
the end of a mandate or a credential. Certificates need no notice: the revocation list is looked at.
"""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.enforcement import is_client_self
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import GRANTS_SEEN, REVOCATION
from proeftuin.reasons import GRANT_BY_LAW, INVALID_REQUEST, NOT_FOUND, PARTY_MISMATCH, SUBJECT_MISMATCH, TOKEN_REVOKED, Refused
from services.authorization import store
from services.authorization.grants import CONSENT, CREDENTIAL, GRANT, MANDATE, Ground, is_name
from services.authorization.issuer import Issuer

SCOPE = "patient/Grant.rd"
LONGEST_KEY = 100  # characters
MOST = 1000  # grants in one list: those that live longest


def router(issuers: dict[str, Issuer], consent_party: str) -> APIRouter:
    """Return the routes; `consent_party` is the client_id of the register of consents."""
    routes = guarded(oauth)

    @routes.get("/oauth2/{party}/grants")
    @require(event=GRANTS_SEEN)
    async def listed(admission: Admitted, party: str) -> Response:
        """The live grants that the caller holds, or to the party itself all that it gave."""
        issuer = issuers[party]
        holder = None if _is_giver(admission, issuer) else admission.peer.client_id
        found = await issuer.tenant.database.read(store.live, issuer.tenant.clock.now(), MOST, client_id=holder)
        return _list(found)

    @routes.delete("/oauth2/{party}/grants/{jti}")
    @require(event=REVOCATION)
    async def ended(admission: Admitted, party: str, jti: str) -> Response:
        """End a grant that the caller holds, or to the party itself any that it gave."""
        issuer = issuers[party]
        found = await issuer.tenant.database.read(store.read, jti)
        if found is None or not (_is_giver(admission, issuer) or found["client_id"] == admission.peer.client_id):
            raise Refused(NOT_FOUND, "the caller holds no grant with this jti")
        return await _end(admission, issuer, Ground(GRANT, jti))

    @routes.get("/oauth2/{party}/client/grants")
    @require(SCOPE, patient=True, event=GRANTS_SEEN)
    async def of_client(admission: Admitted, party: str) -> Response:
        """The live grants of this party that open the data of the token's client of care."""
        issuer = issuers[party]
        found = await issuer.tenant.database.read(
            store.live, issuer.tenant.clock.now(), MOST, subject=await _self(admission, issuer)
        )
        return _list(found)

    @routes.delete("/oauth2/{party}/client/grants/{jti}")
    @require(SCOPE, patient=True, event=REVOCATION)
    async def ended_by_client(admission: Admitted, party: str, jti: str) -> Response:
        """End a grant that opens the own data, unless it rests on the law: against that a client objects at the party."""
        issuer = issuers[party]
        own = await _self(admission, issuer)
        found = await issuer.tenant.database.read(store.read, jti)
        if found is None or found["subject"] != own:
            raise Refused(NOT_FOUND, "no grant with this jti opens the client's data")
        if "law" in found["legal_basis"].split():
            raise Refused(GRANT_BY_LAW, f"the grant rests on {found['legal_basis']}")
        return await _end(admission, issuer, Ground(GRANT, jti))

    @routes.post("/oauth2/{party}/ended")
    @require(event=REVOCATION, media_types=("application/json",), max_body=4096)
    async def notified(admission: Admitted, party: str) -> Response:
        """Take the notice `{"kind": "consent", "id": "Consent/<id>"}`: whatever stands on it now dies now.

        Header Idempotency-Key makes a repeat harmless to what was given since.
        """
        issuer = issuers[party]
        ground = _ground(await admission.json_object())
        if not _is_giver(admission, issuer) and (ground.kind, admission.peer.client_id) != (CONSENT, consent_party):
            raise Refused(PARTY_MISMATCH, "the party itself tells this, or of a consent its register")
        notice = admission.request.headers.get("idempotency-key")
        if notice is not None and not (is_name(notice) and len(notice) <= LONGEST_KEY):
            raise Refused(INVALID_REQUEST, f"Idempotency-Key is 1 to {LONGEST_KEY} printable characters")
        return await _end(admission, issuer, ground, notice)

    return routes


async def _end(admission: Admission, issuer: Issuer, ground: Ground, notice: str | None = None) -> Response:
    admission.record.details |= {"ended": ground.kind, "id": ground.id}
    if ground.kind == GRANT:
        admission.record.token = f"urn:ietf:params:oauth:jti:{ground.id}"
    stood = await admission.write(store.end, ground, admission.peer.client_id, issuer.tenant.clock.now(), notice)
    return json_response({"ended": stood}, headers={"Cache-Control": "no-store"})


def _ground(body: dict[str, Any]) -> Ground:
    kind, name = body.get("kind"), body.get("id")
    if kind not in (CONSENT, CREDENTIAL, MANDATE) or not is_name(name):
        raise Refused(INVALID_REQUEST, "kind is consent, credential or mandate, and id its name of 1 to 300 characters")
    return Ground(kind, name)


def _is_giver(admission: Admission, issuer: Issuer) -> bool:
    return admission.peer.client_id == issuer.tenant.party.client_id


async def _self(admission: Admission, issuer: Issuer) -> str | None:
    if not is_client_self(admission.token):
        raise Refused(SUBJECT_MISMATCH, "grants on a client of care are shown to that client alone")
    if not await issuer.grounds_of(admission.token):
        raise Refused(TOKEN_REVOKED, "the grant of this token ended")
    return store.pseudonym(issuer.pseudonym_key, admission.patient)


def _list(found: list[dict[str, Any]]) -> Response:
    return json_response({"grants": found, "complete": len(found) < MOST}, headers={"Cache-Control": "no-store"})
