"""The authorization endpoint (RFC 6749 §4.1, OpenID Connect Core §3.1.2): a person logs in, and the client gets a code.

PKCE with S256 always (RFC 7636), the redirect address exactly as registered, `iss` in every answer (RFC 9207), and the request
pushed beforehand where it has something that no URL may show (RFC 9126). The login is the sandbox's: it stands where Dezi
(professionals) and DigiD (clients) stand, and asks no password. The certificate of the organisation is the proof, as at `login.py`:
a browser shows the one of the client that began the authorization.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, oauth
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import LOGIN
from proeftuin.parties import Party, Seed
from proeftuin.reasons import (
    IDENTIFIER_IN_URL,
    INVALID_REQUEST,
    LOGIN_ENDED,
    LOGIN_REQUIRED,
    NOT_FOUND,
    PKCE,
    REDIRECT_URI,
    RESPONSE_TYPE,
    SCOPE_UNKNOWN,
    Reason,
    Refused,
)
from services.authorization import codes, details, login_page, people
from services.authorization.authentication import CLIENT, client_of, party_of
from services.authorization.clients import Clients
from services.authorization.codes import CODE, PUSHED, SHOWN, Authorization
from services.authorization.issuer import Issuer

REQUEST_URI = "urn:ietf:params:oauth:request_uri:"
PUSHED_LIFETIME, LOGIN_LIFETIME, CODE_LIFETIME = 60, 600, 60  # seconds
REQUEST = {
    "client_id": "of the certificate, such as ura:90000101; required", "response_type": "code",
    "response_mode": "query, or left out", "redirect_uri": "one that is registered, to the letter",
    "scope": "openid, and scopes of the resource", "state": "comes back",
    "code_challenge": "RFC 7636: base64url of the SHA-256 of code_verifier", "code_challenge_method": "S256",
    "nonce": "comes back in the ID token", "resource": "the audience of the token (RFC 8707)", "dpop_jkt": "RFC 9449 §10",
    "prompt": "login, or left out", "request": "refused: push the request",
    "authorization_details": "RFC 9396: in a pushed request alone",
}  # fmt: skip
REFERRED = {"request_uri": "of a pushed request (RFC 9126)"}
PUSHED_ONLY = {"request_uri": "refused: a pushed request refers to no other"}
CHOICE = {"login": "of the page", "person": "who was chosen", "cancel": "nobody logs in"}
MOST = 2048  # characters of a parameter
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def router(issuers: dict[str, Issuer], clients: Clients, seed: Seed) -> APIRouter:
    """Return the routes of the authorization endpoint, at the issuers at which persons log in."""
    routes = guarded(oauth)

    @routes.post("/oauth2/{party}/par")
    @require(form=CLIENT | REQUEST | PUSHED_ONLY, max_body=16384)
    async def push(admission: Admitted, party: str) -> Response:
        """Take an authorization request beforehand, from the authenticated client (RFC 9126)."""
        issuer = _login_at(issuers, party)
        form = await admission.form()
        if "request_uri" in form:
            raise Refused(INVALID_REQUEST, "a pushed request refers to no other")
        client = await client_of(admission, issuer, clients, form)
        asked = _checked(issuer, client, form, _redirect_uri(clients, client, form), pushed=True)
        now = issuer.tenant.clock.now()
        handle = await issuer.tenant.database.write(codes.put, PUSHED, asked, now, PUSHED_LIFETIME)
        content = {"request_uri": REQUEST_URI + handle, "expires_in": PUSHED_LIFETIME}
        return json_response(content, 201, headers={"Cache-Control": "no-store"})

    @routes.get("/oauth2/{party}/authorize")
    @require(query=REQUEST | REFERRED)
    async def begin(admission: Admitted, party: str) -> Response:
        """Show the login page to the browser of the client."""
        issuer = _login_at(issuers, party)
        query = admission.query()
        client = party_of(admission, issuer, query.get("client_id"))
        now = issuer.tenant.clock.now()
        if uri := query.get("request_uri"):
            taken = await issuer.tenant.database.write(codes.take, PUSHED, uri.removeprefix(REQUEST_URI), now)
            if taken is None or taken.client_id != client.client_id:
                raise Refused(LOGIN_ENDED, "the request_uri is unknown, too old, or served before")
            asked = taken
        else:
            asked = _checked(issuer, client, query, _redirect_uri(clients, client, query), pushed=False)
        handle = await issuer.tenant.database.write(codes.put, SHOWN, asked, now, LOGIN_LIFETIME)
        return login_page.show(issuer.logs_in, client, people.choices(seed, issuer.logs_in, client), handle, asked)

    @routes.post("/oauth2/{party}/authorize")
    @require(event=LOGIN, form=CHOICE, max_body=4096)
    async def log_in(admission: Admitted, party: str) -> Response:
        """Take the choice on the login page, and send the browser back with a code."""
        issuer = _login_at(issuers, party)
        form = await admission.form()
        now = issuer.tenant.clock.now()
        asked = await issuer.tenant.database.write(codes.take, SHOWN, form.get("login", ""), now)
        if asked is None:
            raise Refused(LOGIN_ENDED, "this login is unknown, too old, or was used")
        client = party_of(admission, issuer, asked.client_id)
        if "cancel" in form:
            _refuse(asked.redirect_uri, asked.state, issuer, Refused(LOGIN_ENDED, "the person did not log in"))
        person = people.person(seed, issuer.logs_in, client, form.get("person", ""))
        admission.record.person = person
        known = replace(asked, person=(person.system, person.identifier), logged_in_at=int(now.timestamp()))
        code = await admission.write(codes.put, CODE, known, now, CODE_LIFETIME)
        return _back(asked.redirect_uri, {"code": code, "state": asked.state, "iss": issuer.url})

    return routes


def _login_at(issuers: dict[str, Issuer], party: str) -> Issuer:
    issuer = issuers[party]
    if issuer.logs_in is None:
        raise Refused(NOT_FOUND, "nobody logs in at this issuer; its metadata has no authorization_endpoint")
    return issuer


def _redirect_uri(clients: Clients, client: Party, given: Mapping[str, str]) -> str:
    """Return the address to answer to; raises Refused, to the browser itself, unless it is one of the registered, to the letter."""
    uri = given.get("redirect_uri", "")
    if uri not in clients.redirect_uris(client):
        raise Refused(REDIRECT_URI, f"redirect_uri is not one that {client.client_id} registered")
    return uri


def _checked(issuer: Issuer, client: Party, given: Mapping[str, str], redirect_uri: str, *, pushed: bool) -> Authorization:
    """Return the request when it can be granted; raises Refused, which tells the client and not the browser (§4.1.2.1)."""

    def refuse(reason: Reason, detail: str) -> NoReturn:
        refused = Refused(reason, detail)
        if pushed:
            raise refused
        _refuse(redirect_uri, given.get("state"), issuer, refused)

    if any(len(value) > MOST for value in given.values()):
        refuse(INVALID_REQUEST, f"a parameter is longer than {MOST} characters")
    if given.get("response_type") != "code" or given.get("response_mode", "query") != "query":
        refuse(RESPONSE_TYPE, "response_type is not code, or response_mode not query")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        refuse(PKCE, "there is no code_challenge with code_challenge_method S256")
    if "request" in given:
        refuse(INVALID_REQUEST, "request objects are not taken: push the request")
    if given.get("prompt") == "none":
        refuse(LOGIN_REQUIRED, "nobody stays logged in here")
    if "authorization_details" in given and not pushed:
        refuse(IDENTIFIER_IN_URL, "authorization_details name a client of care: push the request")
    scopes = given.get("scope", "").split()
    if unknown := sorted(set(scopes) - issuer.policies.scopes.keys()):
        refuse(SCOPE_UNKNOWN, f"this server does not issue {' '.join(unknown)[:100]}")
    if not scopes:
        refuse(SCOPE_UNKNOWN, "the request asks for no scope")
    try:
        details.read(given.get("authorization_details"))
    except Refused as refused:
        refuse(refused.reason, refused.detail)
    return Authorization(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scope=" ".join(scopes),
        code_challenge=given["code_challenge"],
        state=given.get("state"),
        nonce=given.get("nonce"),
        resource=given.get("resource"),
        authorization_details=given.get("authorization_details"),
        dpop_jkt=given.get("dpop_jkt"),
    )


def _refuse(redirect_uri: str, state: str | None, issuer: Issuer, refused: Refused) -> NoReturn:
    """Send the browser back with an error (§4.1.2.1); it is a refusal like any other, so it is logged as one."""
    answer = {"error": refused.reason.oauth, "error_description": refused.detail, "state": state, "iss": issuer.url}
    location = _back(redirect_uri, answer).headers["Location"]
    raise Refused(refused.reason, refused.detail, status=303, headers={"Location": location}) from refused


def _back(redirect_uri: str, answer: dict[str, str | None]) -> Response:
    joint = "&" if urlsplit(redirect_uri).query else "?"
    location = redirect_uri + joint + urlencode({name: value for name, value in answer.items() if value is not None})
    return Response(status_code=303, headers={"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
