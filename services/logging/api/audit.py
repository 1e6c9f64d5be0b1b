"""The auditor: a party's privacy officer over the party's own events, and the supervisor over all; each question is logged."""

import asyncio
import re
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admission, Admitted
from proeftuin.access.rendering import fhir, json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import AUDIT_LOG_CONFIGURED, AUDIT_LOG_USED
from proeftuin.clock import instant
from proeftuin.fhir.search import carries_bsn, date_range
from proeftuin.identifiers import is_bsn
from proeftuin.legal_bases import LEGAL_BASES
from proeftuin.parties import Seed
from proeftuin.reasons import INVALID_REQUEST, LEGAL_BASIS, PARAMETER_INVALID, PARAMETER_UNKNOWN, PARTY_MISMATCH, Refused
from services.logging import patterns, uses, watching
from services.logging.api.retrieval import PARAMETERS, parse, searchset
from services.logging.indexing import indexable, patient_token

OWN, ALL = "log:audit", "log:supervise"
LONGEST = timedelta(days=31)
USUAL = timedelta(days=7)
MOST_WATCHED = 10_000
SUPERVISION = "toezicht"
_GROUND = {
    "officer": "who looks, as the party itself knows this person", "legal_basis": "of a supervisor", "case": "of a supervisor",
}  # fmt: skip
_PARTY = {"party": "system|value, or a client_id such as ura:90000101"}
_SHORT = {"denied": ("outcome", "4,8,12"), "emergency": ("purpose", "ETREAT,BTG")}
_SEARCHED = PARAMETERS | dict.fromkeys(_SHORT, "true, or left out") | _PARTY | _GROUND
_FOUND = {
    "from": "a FHIR date; absent: a week before `to`", "to": "a FHIR date; absent: now",
    "pattern": f"names, with a comma between them: {', '.join(patterns.RULES)}; absent: all",
} | _PARTY  # fmt: skip
_PLACE = {"_cursor": "from the link next, unchanged"}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./:_-]{0,63}")
Pairs = list[tuple[str, str]]


def routers(index_key: bytes, seed: Seed) -> list[APIRouter]:
    """Return the routes by which the log is searched for what deserves a look; `seed` tells who is a supervisor."""
    searching, finding = guarded(fhir), guarded(problem)

    @searching.post("/audit/AuditEvent/_search")
    @require(OWN, ALL, event=AUDIT_LOG_USED, query=_PLACE, form=_SEARCHED)
    async def search(admission: Admitted) -> Response:
        """Search by the form of ITI-81 (README), `party`, `denied=true` and `emergency=true`; answers a searchset Bundle."""
        form, own = await _asked(admission, seed)
        pairs = [_long(seed, name, value) for name, value in form]
        query, patient = parse(pairs, index_key, own)
        admission.record.patients = [patient] if patient else []
        return await searchset(admission, query, pairs)

    @finding.post("/audit/patterns")
    @require(OWN, ALL, event=AUDIT_LOG_USED, form=_FOUND | _GROUND)
    async def find(admission: Admitted) -> Response:
        """Find what deserves a look; form `from`, `to` (FHIR dates; the last week), `pattern` (names, all), `party`."""
        form, own = await _asked(admission, seed)
        given = dict(form)
        if len(given) < len(form) or given.keys() - _FOUND.keys():
            raise Refused(PARAMETER_UNKNOWN, "the form has from, to, pattern and party, each once")
        known, within, names = _question(given, own, admission.tenant.clock.now(), seed)
        try:
            rows = await admission.tenant.database.read(uses.load, within)
        except uses.TooManyError:
            raise Refused(PARAMETER_INVALID, f"more than {uses.MOST} events: ask a shorter period, or one party") from None
        whose = own["observer"][0] if own else within.organization
        known.watched.update(await admission.tenant.database.read(watching.known, whose))
        looked_at, findings = await asyncio.to_thread(_find, rows, known, names)
        content = {
            "from": instant(known.since), "to": instant(known.until), "looked_at": looked_at,
            "rules": {name: patterns.RULES[name] for name in names},
            "findings": [_finding(each) for each in findings],
        }  # fmt: skip
        return json_response(content, headers={"Cache-Control": "no-store"})

    @finding.post("/audit/watched")
    @require(OWN, event=AUDIT_LOG_CONFIGURED, media_types=("application/json",))
    async def watch(admission: Admitted) -> Response:
        """Keep the party's list of clients to watch over, `{"staff": [BSN], "vip": [BSN]}`: it replaces the one before."""
        body = await admission.json_object()
        if not body.keys() <= set(watching.KINDS) or not all(isinstance(each, list) for each in body.values()):
            raise Refused(INVALID_REQUEST, f"the body has {' and '.join(watching.KINDS)}, each a list of BSNs")
        if sum(map(len, body.values())) > MOST_WATCHED:
            raise Refused(INVALID_REQUEST, f"a list has at most {MOST_WATCHED} clients")
        if not all(isinstance(bsn, str) and is_bsn(bsn) for bsns in body.values() for bsn in bsns):
            raise Refused(INVALID_REQUEST, "each client is a BSN of 9 digits that passes the 11-proef")
        tokens = {kind: {patient_token(index_key, bsn) for bsn in bsns} for kind, bsns in body.items()}
        counts = {kind: len(tokens.get(kind, ())) for kind in watching.KINDS}
        admission.record.details["watched"] = " ".join(f"{kind}={count}" for kind, count in counts.items())
        await admission.write(watching.replace, indexable("|".join(admission.peer.identifier)), tokens)
        return json_response(counts)

    return [searching, finding]


async def _asked(admission: Admission, seed: Seed) -> tuple[Pairs, dict[str, list[str]]]:
    """Return the form without its ground, and the columns that keep to the caller's own events (empty: all); logs what was asked.

    Raises Refused: PARTY_MISMATCH (no supervisor), LEGAL_BASIS (the supervisor states none) or INVALID_REQUEST (no officer).
    """
    body = (await admission.body()).decode("utf-8", "replace")
    place = parse_qsl(admission.request.url.query, keep_blank_values=True)
    if any(carries_bsn(name) or carries_bsn(value) for name, value in place) or {name for name, _ in place} - _PLACE.keys():
        raise Refused(PARAMETER_INVALID, "the parameters go in the form; the URL has only the _cursor of a link 'next'")
    pairs = [*place, *parse_qsl(body, keep_blank_values=True)]
    admission.record.query = f"{admission.request.url.path}?{body}".encode()
    ground = {name: value for name, value in pairs if name in _GROUND}
    if not all(_WORD.fullmatch(value) and not carries_bsn(value) for value in ground.values()):
        raise Refused(PARAMETER_INVALID, "officer, legal_basis and case: 1 to 64 letters, digits, spaces and . / : _ -; no BSN")
    admission.record.details |= ground
    rest = [pair for pair in pairs if pair[0] not in _GROUND]
    if ALL not in admission.token.grant.scopes:
        if "officer" not in ground:
            raise Refused(INVALID_REQUEST, "officer: who looks, as the party itself knows this person")
        return rest, {"source": [admission.peer.client_id], "observer": [indexable("|".join(admission.peer.identifier))]}
    party = seed.by_identifier(*admission.peer.identifier)
    if party is None or party.kind != "toezichthouder":
        raise Refused(PARTY_MISMATCH, "only a supervisor looks at the events of all")
    bases = [each.id for each in LEGAL_BASES.values() if each.programme == SUPERVISION and each.open_to(party.kind)]
    if ground.get("legal_basis") not in bases or "case" not in ground:
        raise Refused(LEGAL_BASIS, f"legal_basis is one of {', '.join(bases)}, and case says for which case")
    return rest, {}


def _long(seed: Seed, name: str, value: str) -> tuple[str, str]:
    """A parameter of our own as the one of ITI-81 that it stands for."""
    if name == "party":
        return "organization", _organization(seed, value)
    if name in _SHORT:
        if value != "true":
            raise Refused(PARAMETER_INVALID, f"{name}: true, or leave it out")
        return _SHORT[name]
    return name, value


def _organization(seed: Seed, value: str) -> str:
    """A party as it stands in the column: by system|value, client_id (ura:90000101) or id in the network."""
    if "|" in value:
        return indexable(value)
    party = next((each for each in seed.parties if value in (each.id, each.client_id)), None)
    if party is None:
        raise Refused(PARAMETER_INVALID, "party: system|value, or a client_id such as ura:90000101")
    return indexable("|".join(party.identifiers[0]))


def _question(
    form: dict[str, str], own: dict[str, list[str]], now: datetime, seed: Seed
) -> tuple[patterns.Known, uses.Within, list[str]]:  # fmt: skip
    try:
        until = datetime.fromisoformat(date_range(form["to"])[1]) if "to" in form else now
        since = datetime.fromisoformat(date_range(form["from"])[0]) if "from" in form else until - USUAL
        begin, end = since - patterns.LOOK_BACK, until + patterns.LOOK_AHEAD
    except (ValueError, OverflowError):
        raise Refused(PARAMETER_INVALID, "from and to are dates or instants") from None
    if not timedelta(0) < until - since <= LONGEST:
        raise Refused(PARAMETER_INVALID, f"from lies before to, at most {LONGEST.days} days")
    names = form["pattern"].split(",") if "pattern" in form else list(patterns.RULES)
    if unknown := set(names) - patterns.RULES.keys():
        raise Refused(PARAMETER_INVALID, f"pattern: {len(unknown)} unknown; there are {', '.join(patterns.RULES)}")
    organization = _organization(seed, form["party"]) if "party" in form else None
    columns = {name: values[0] for name, values in own.items()}
    return patterns.Known(now, since, until, {}), uses.Within(begin, end, organization=organization, **columns), names


def _find(rows: list[Any], known: patterns.Known, names: list[str]) -> tuple[int, list[patterns.Finding]]:
    found = list(uses.merged(rows))
    return len(found), patterns.find(found, known, names)


def _finding(found: patterns.Finding) -> dict[str, Any]:
    rule = patterns.RULES[found.pattern]
    return asdict(found) | {
        "since": instant(found.since), "until": instant(found.until),
        "title": rule["title"], "means": rule["means"], "innocent": rule["innocent"],
        "events": [{"index": index, "id": event_id} for index, event_id in found.events],
    }  # fmt: skip
