"""The door of the authorization code (RFC 6749 §4.1.3, RFC 7636), and what its issuer says of the person (OpenID Connect)."""

import hmac
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import LOGIN
from proeftuin.parties import Party, Seed
from proeftuin.reasons import (
    CODE_INVALID,
    CODE_REPLAYED,
    IDENTITY_INVALID,
    PKCE,
    REDIRECT_URI,
    TOKEN_REVOKED,
    UNKNOWN_CLIENT,
    Refused,
)
from proeftuin.tokens import identity
from proeftuin.tokens.access_token import Person
from proeftuin.tokens.dpop import digest
from services.authorization import codes, details, people, store
from services.authorization.api.token import Asked, Door
from services.authorization.codes import Authorization
from services.authorization.grants import CODE, GrantRequest, Ground
from services.authorization.issuer import Issuer

GRANT_TYPE = "authorization_code"
OPENID = "openid"
CLAIMS = ["sub", "acr", "auth_time", "nonce", *identity.PROFESSIONAL_CLAIMS, *identity.CLIENT_CLAIMS]
ACR = "urn:proeftuin:acr:test-login"  # no assurance that eIDAS knows: nobody proved to be who they say


def door(seed: Seed) -> Door:
    """Return the door."""

    async def read(asked: Asked) -> tuple[GrantRequest, Mapping[str, Any]]:
        """Take the code, which serves whatever comes of it, and translate what the person agreed to; raises Refused."""
        issuer, form = asked.issuer, asked.form
        client = await asked.client()
        code = form.get("code", "")
        agreed = await _take(issuer, code, client)
        if form.get("redirect_uri") != agreed.redirect_uri:
            raise Refused(REDIRECT_URI, "redirect_uri is not the one of the authorization request")
        if not hmac.compare_digest(digest(form.get("code_verifier", "")), agreed.code_challenge):
            raise Refused(PKCE, "code_verifier does not belong to the code_challenge")
        if agreed.dpop_jkt is not None and (asked.confirmation.method, asked.confirmation.value) != ("jkt", agreed.dpop_jkt):
            raise Refused(CODE_INVALID, "the code was asked for another DPoP key (dpop_jkt)")
        _, number = agreed.person or ("", "")
        person = people.person(seed, issuer.logs_in, client, number)
        wanted = details.read(agreed.authorization_details)
        scopes = agreed.scope.split()
        opens = [scope for scope in scopes if scope != OPENID]
        request = GrantRequest(
            door=GRANT_TYPE,
            client=client,
            confirmation=asked.confirmation,
            scopes=tuple(opens or scopes),
            resource=(agreed.resource or form.get("resource", "")) if opens else issuer.url,
            patient=(wanted.patient or (person.identifier if person.is_client else None)) if opens else None,
            purpose=(wanted.purpose or ("PATRQT" if person.is_client else None)) if opens else None,
            lifetime=wanted.lifetime,
            emergency=wanted.reason,
            not_before=wanted.not_before,
            person=person,
            stands_on=(Ground(CODE, digest(code)),),
        )
        return request, {"id_token": id_token(issuer, seed, client, person, agreed)} if OPENID in scopes else {}

    return read


async def _take(issuer: Issuer, code: str, client: Party) -> Authorization:
    now = issuer.tenant.clock.now()
    agreed = await issuer.tenant.database.write(codes.take, codes.CODE, code, now)
    if agreed is None and await issuer.tenant.database.read(codes.has_served, code):
        await issuer.tenant.database.write(store.end, Ground(CODE, digest(code)), client.client_id, now)
        raise Refused(CODE_REPLAYED, "this code has served before")
    if agreed is None or agreed.client_id != client.client_id:
        raise Refused(CODE_INVALID, "the code is unknown, too old, or of another client")
    return agreed


def id_token(issuer: Issuer, seed: Seed, client: Party, person: Person, agreed: Authorization) -> str:
    """Return the ID token (OpenID Connect Core §2); it is an identity statement too, for the `id_token` of a token request."""
    about = people.stated(seed, person, client)
    about |= {"sub": subject(issuer, person), "acr": ACR, "auth_time": agreed.logged_in_at}
    if agreed.nonce is not None:
        about["nonce"] = agreed.nonce
    return identity.state(issuer.keys, issuer.url, client, about, issuer.tenant.clock, media_type=identity.ID_TOKEN)


def subject(issuer: Issuer, person: Person) -> str:
    """Return the `sub` of a person at this provider: the UZI number, or what stands for the BSN."""
    return person.identifier if not person.is_client else store.pseudonym(issuer.pseudonym_key, person.identifier) or ""


def userinfo(issuers: dict[str, Issuer], seed: Seed) -> APIRouter:
    """Return the UserInfo endpoint (OpenID Connect Core §5.3)."""
    routes = guarded(oauth)

    @routes.get("/oauth2/{party}/userinfo")
    @require(OPENID, event=LOGIN)
    async def info(admission: Admitted, party: str) -> Response:
        """What the provider says of the person who logged in, as long as the token's grant lives."""
        issuer, token = issuers[party], admission.token
        person, client = token.grant.person, issuer.known_clients.get(token.grant.client_id)
        if not await issuer.grounds_of(token):
            raise Refused(TOKEN_REVOKED, "the grant of this token ended")
        if person is None:
            raise Refused(IDENTITY_INVALID, "nobody logged in for this token")
        if client is None:
            raise Refused(UNKNOWN_CLIENT, f"{token.grant.client_id} is no party of this network")
        content = {"sub": subject(issuer, person)} | people.stated(seed, person, client)
        return json_response(content, headers={"Cache-Control": "no-store"})

    return routes
