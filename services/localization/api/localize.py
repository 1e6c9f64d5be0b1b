"""Localize: who holds data of a category on this client? By subject for everyone's, by source for one's own (ITI-66 like)."""

import re
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, json_response
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import SEARCH
from proeftuin.fhir.search import carries_bsn
from proeftuin.parties import CATEGORIES
from proeftuin.reasons import IDENTIFIER_IN_URL, INSUFFICIENT_SCOPE, PARAMETER_INVALID, PARAMETER_UNKNOWN, Refused
from services.localization import store
from services.localization.lists import CATEGORY_SYSTEM, CLIENT_SYSTEM, SUBJECT_SYSTEM, write_list
from services.localization.pseudonyms import Pseudonyms

SUBJECT, SOURCE, CODE = "subject:identifier", "source:identifier", "code"
PARAMETERS = {
    SUBJECT: f"{SUBJECT_SYSTEM}|<blinded pseudonym>: everyone's registrations", SOURCE: f"{CLIENT_SYSTEM}|<id>: one's own",
    CODE: f"{CATEGORY_SYSTEM}|<category>",
}  # fmt: skip
SCOPES = ("nvi:localize", "nvi:read")


def router(pseudonyms: Pseudonyms) -> APIRouter:
    """Return the routes of the search."""
    routes = guarded(fhir)

    @routes.get("/fhir/List")
    @require(*SCOPES, event=SEARCH, query=PARAMETERS)
    async def search(admission: Admitted) -> Response:
        """Search with the parameters in the URL; a BSN there is refused."""
        pairs = parse_qsl(admission.request.url.query, keep_blank_values=True)
        if any(carries_bsn(name) or carries_bsn(value.removeprefix(f"{SUBJECT_SYSTEM}|")) for name, value in pairs):
            raise Refused(IDENTIFIER_IN_URL, "the URL carries a BSN")
        return await _search(admission, pseudonyms, pairs)

    @routes.post("/fhir/List/_search")
    @require(*SCOPES, event=SEARCH, form=PARAMETERS, max_body=16384)
    async def search_by_form(admission: Admitted) -> Response:
        """Search with the parameters in a form."""
        pairs = parse_qsl((await admission.body()).decode("utf-8", "replace"), keep_blank_values=True)
        return await _search(admission, pseudonyms, pairs)

    return routes


async def _search(admission: Admission, pseudonyms: Pseudonyms, pairs: list[tuple[str, str]]) -> Response:
    """Answer a search: with nvi:localize everyone's registrations; with a source as well, or nvi:read alone, the caller's own."""
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or parameters.keys() - PARAMETERS.keys():
        raise Refused(PARAMETER_UNKNOWN, f"List is searched by {SUBJECT} or {SOURCE}, and {CODE}, each once")
    code = _token(parameters, CODE, CATEGORY_SYSTEM) if CODE in parameters else None
    if code is not None and code not in CATEGORIES:
        raise Refused(PARAMETER_INVALID, f"code: one of {', '.join(sorted(CATEGORIES))}")
    admission.record.query = f"List?code={code or ''}".encode()
    admission.record.details["category"] = code or "all"
    source = _token(parameters, SOURCE, CLIENT_SYSTEM) if SOURCE in parameters else None
    own = None if source is None and "nvi:localize" in admission.token.grant.scopes else admission.peer.ura or ""
    if SUBJECT in parameters:
        evaluation = pseudonyms.open(_token(parameters, SUBJECT, SUBJECT_SYSTEM))
        now = admission.tenant.clock.now()
        found = await admission.write(store.localize, evaluation, code, own, source, now)
    elif source is not None:
        if "nvi:read" not in admission.token.grant.scopes:
            raise Refused(INSUFFICIENT_SCOPE, "a search without a subject needs scope nvi:read")
        found = await admission.tenant.database.read(store.of_source, own or "", source, code)
    else:
        raise Refused(PARAMETER_INVALID, f"{SUBJECT} or {SOURCE} is required")
    base = f"{admission.tenant.audience}/fhir/List"
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": [{"relation": "self", "url": base}]}
    entries = [{"fullUrl": f"{base}/{each.id}", "resource": write_list(each), "search": {"mode": "match"}} for each in found]
    return json_response(bundle | ({"entry": entries} if entries else {}), media_type="application/fhir+json")


def _token(parameters: dict[str, str], name: str, expected: str) -> str:
    system, _, value = parameters[name].rpartition("|")
    if (system and system != expected) or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise Refused(PARAMETER_INVALID, f"{name}: {expected}|<value>")
    return value
