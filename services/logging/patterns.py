"""Patterns in the use of records that deserve a look: pure functions of uses, with thresholds and words as data (patterns.toml)."""

import tomllib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

RULES: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "patterns.toml").read_text(encoding="utf-8"))
LOOK_BACK = timedelta(days=max(RULES["night-burst"]["nights"], RULES["emergency-unexplained"]["days_before"]) + 1)
LOOK_AHEAD = timedelta(days=RULES["emergency-unexplained"]["days_after"])
_DUTCH_TIME = ZoneInfo("Europe/Amsterdam")
_TREATMENT = {"TREAT", "COC"}
Place = tuple[int, str]  # of an event: place in the log, and id
Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """One request by a professional (`agent`, of `organization`) about one client (token), told by one or both of its ends.

    `what`: viewed, requested or refused. `role`: UZI role code.
    """

    at: datetime
    organization: str
    agent: str
    client: str
    what: str
    events: tuple[Place, ...]
    purpose: str | None = None
    emergency: bool = False
    role: str | None = None

    @property
    def who(self) -> tuple[str, str]:
        """The professional: a number is one person's within an organisation."""
        return self.organization, self.agent


@dataclass(frozen=True, slots=True)
class Finding:
    """What deserves a look: which pattern, who, when, `count` of what the pattern counts, on how many clients, in which events."""

    pattern: str
    organization: str
    agent: str
    since: datetime
    until: datetime
    count: int
    clients: int
    events: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the uses: the moment, the period asked for, and who is watched over: (organization, client) -> kinds."""

    now: datetime
    since: datetime
    until: datetime
    watched: dict[tuple[str, str], set[str]]


def find(uses: Iterable[Use], known: Known, names: Collection[str] = RULES.keys()) -> list[Finding]:
    """Return the findings of the patterns `names` that touch the period of `known`, newest first.

    `uses` reach LOOK_BACK before the period and LOOK_AHEAD after it: what is ordinary is seen there.
    """
    ordered = sorted(uses, key=lambda use: (use.at, use.events))
    found = (finding for name in names for finding in PATTERNS[name](ordered, RULES[name], known))
    touching = [each for each in found if known.since <= each.until and each.since < known.until]
    return sorted(touching, key=lambda each: (each.until, each.pattern, each.events), reverse=True)


def many_clients(uses: Sequence[Use], rule: Rule, _known: Known) -> Iterator[Finding]:
    """One professional, `clients` or more different clients within `minutes` (the last moment included)."""
    window = timedelta(minutes=rule["minutes"])
    for own in _by(uses, lambda use: use.who):
        run: tuple[int, int] | None = None
        start, inside = 0, defaultdict[str, int](int)
        for end, use in enumerate(own):
            inside[use.client] += 1
            while use.at - own[start].at > window:
                inside[own[start].client] -= 1
                if not inside[own[start].client]:
                    del inside[own[start].client]
                start += 1
            if len(inside) < rule["clients"]:
                continue
            if run is not None and start > run[1]:
                yield _clients_in("many-clients", own[run[0] : run[1] + 1])
                run = None
            run = (run[0] if run else start), end
        if run is not None:
            yield _clients_in("many-clients", own[run[0] : run[1] + 1])


def watched(uses: Sequence[Use], rule: Rule, known: Known) -> Iterator[Finding]:
    """A professional and a client whom the professional's own organisation watches over: `uses` or more in the period."""
    inside = [use for use in uses if known.since <= use.at < known.until and (use.organization, use.client) in known.watched]
    for own in _by(inside, lambda use: (*use.who, use.client)):
        if len(own) >= rule["uses"]:
            yield _finding("watched", own, len(own))


def night_burst(uses: Sequence[Use], rule: Rule, _known: Known) -> Iterator[Finding]:
    """One professional, `uses` or more viewed in one night, and more than `factor` times the mean of the `nights` before."""
    for own in _by((use for use in uses if use.what == "viewed"), lambda use: use.who):
        nights: dict[date, list[Use]] = defaultdict(list)
        for use in own:
            night = _night(use, rule)
            if night is not None:
                nights[night].append(use)
        for night, those in nights.items():
            before = sum(len(others) for day, others in nights.items() if 0 < (night - day).days <= rule["nights"])
            if len(those) >= rule["uses"] and len(those) > rule["factor"] * before / rule["nights"]:
                yield _finding("night-burst", those, len(those))


def denied_then_given(uses: Sequence[Use], rule: Rule, _known: Known) -> Iterator[Finding]:
    """One professional and client: `denials` or more refusals within `minutes` before data was given."""
    window = timedelta(minutes=rule["minutes"])
    for own in _by(uses, lambda use: (*use.who, use.client)):
        denials: list[Use] = []
        for use in own:
            if use.what == "refused":
                denials.append(use)
                continue
            recent = [denial for denial in denials if use.at - denial.at <= window]
            if len(recent) >= rule["denials"]:
                yield _finding("denied-then-given", [*recent, use], len(recent))
            denials = []


def emergency_unexplained(uses: Sequence[Use], rule: Rule, known: Known) -> Iterator[Finding]:
    """Emergency access while the organisation gave this client no other treatment, `days_before` to `days_after`.

    Nothing is said before `days_after` have passed.
    """
    before, after = timedelta(days=rule["days_before"]), timedelta(days=rule["days_after"])
    for about in _by((use for use in uses if use.what != "refused"), lambda use: (use.organization, use.client)):
        treated = [use.at for use in about if use.purpose in _TREATMENT and not use.emergency]
        alone = [
            use for use in about
            if use.emergency and known.now >= use.at + after and not any(use.at - before <= at <= use.at + after for at in treated)
        ]  # fmt: skip
        for own in _by(alone, lambda use: use.who):
            yield _finding("emergency-unexplained", own, len(own))


Pattern = Callable[[Sequence[Use], Rule, Known], Iterator[Finding]]
PATTERNS: dict[str, Pattern] = {
    "many-clients": many_clients, "watched": watched, "night-burst": night_burst, "denied-then-given": denied_then_given,
    "emergency-unexplained": emergency_unexplained,
}  # fmt: skip


def _by(uses: Iterable[Use], key: Callable[[Use], Any]) -> Iterator[list[Use]]:
    """Yield the uses that have the same key, in their order."""
    groups: dict[Any, list[Use]] = defaultdict(list)
    for use in uses:
        groups[key(use)].append(use)
    yield from groups.values()


def _night(use: Use, rule: Rule) -> date | None:
    """The day on whose evening the night of this use began; None within the working hours of the role."""
    hours = rule["role"].get((use.role or "").partition(".")[0], rule["hours"])
    begin, end = (timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in hours)
    local = use.at.astimezone(_DUTCH_TIME).replace(tzinfo=None)
    moment = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return None if begin <= moment < end else (local - begin).date()


def _clients_in(pattern: str, uses: Sequence[Use]) -> Finding:
    return _finding(pattern, uses, len({use.client for use in uses}))


def _finding(pattern: str, uses: Sequence[Use], count: int) -> Finding:
    events = tuple(sorted({place for use in uses for place in use.events}))
    clients = len({use.client for use in uses})
    return Finding(pattern, *uses[0].who, uses[0].at, uses[-1].at, count, clients, events)
