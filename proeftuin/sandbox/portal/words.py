"""Decisions in words: plain Dutch, level B1; `whose` says whose data it is about."""

import tomllib
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from proeftuin.overview.table import DUTCH_TIME, WORDS
from proeftuin.parties import Client, Seed, SeedError
from proeftuin.representation import Standing
from proeftuin.sandbox.portal.choices import ANYONE, Choice
from proeftuin.sandbox.portal.effects import Effect
from proeftuin.sandbox.portal.network import Declined

CONSENT: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "consent.toml").read_text(encoding="utf-8"))
_SINGULAR = {ANYONE, "thuiszorg"}
WHOSE_OWN = "uw gegevens"


def name(client: Client) -> str:
    """Return the name of a client."""
    return f"{client.given} {client.family}"


def whose(client: Client, about: Client) -> str:
    """Return whose data it is about for `client`, who is logged in."""
    return WHOSE_OWN if client == about else f"de gegevens van {name(about)}"


def holder(whom: str, seed: Seed) -> str:
    """Return who keeps the data, as it follows "van"."""
    return CONSENT["holder"].get(whom) or _organisation(whom, seed)


def user(whom: str, seed: Seed) -> str:
    """Return who may see the data, as a sentence begins with it."""
    return CONSENT["user"].get(whom) or _organisation(whom, seed)


def categories(codes: Iterable[str]) -> str:
    """Return what categories of data are called."""
    return ", ".join(category(code) for code in codes)


def category(code: str) -> str:
    """Return what a category of data is called."""
    return WORDS["category"].get(code, code)


def sentence(choice: Choice, seed: Seed, data: str = WHOSE_OWN) -> str:
    """Return a decision as one sentence; `data` as `whose` gives it."""
    seen = f"{data} van {holder(choice.holder, seed)}" if data == WHOSE_OWN else f"{data} bij {holder(choice.holder, seed)}"
    if choice.user == ANYONE and not choice.permit:
        return f"Niemand mag {seen} zien."
    may = "mogen" if choice.user in CONSENT["user"] and choice.user not in _SINGULAR else "mag"
    return f"{user(choice.user, seed)} {may} {seen} {'zien' if choice.permit else 'niet zien'}."


def effect(told: Effect, new: Choice, seed: Seed, data: str = WHOSE_OWN) -> str:
    """Return what a new decision does to an earlier one that says the opposite."""
    before, now = ("ja", "nee") if told.held.choice.permit else ("nee", "ja")
    earlier = f"U zei eerder {before}: “{sentence(told.held.choice, seed, data)}”"
    about = categories(told.categories)
    if told.wins:
        why = "is preciezer en gaat" if new.permit else "gaat"
        return f"{earlier} Uw nieuwe {now} {why} hierbij voor. Dit gaat over: {about}."
    if new.permit:
        return f"{earlier} Dat nee blijft gelden, want uw nieuwe ja is niet preciezer. Dit gaat over: {about}. " \
            "Wilt u dat niet? Trek dat nee dan eerst in."  # fmt: skip
    return f"{earlier} Dat ja is preciezer en blijft gelden. Dit gaat over: {about}. Wilt u dat niet? Trek dat ja dan ook in."


def givers(by: Iterable[str], client: Client, seed: Seed) -> str:
    """Return who gave a decision (BSNs), as `client` (logged in) reads it."""
    names = []
    for bsn in by:
        known = seed.client(bsn)
        names.append("uzelf" if bsn == client.bsn else name(known) if known else "iemand anders")
    return " en ".join(sorted(names, key="uzelf".__ne__)) or "niet bekend"


def standing_of(client: Client, about: Client, today: date) -> str:
    """Return how `client` (logged in) may decide for `about` today; empty when alone, which needs no words."""
    found = about.standing(client.bsn, today)
    if found is Standing.TOGETHER:
        other = "een ouder of voogd" if client == about else about.given
        return f"U beslist dit samen met {other}. Een ja geldt pas als u allebei ja zegt. Een nee, of intrekken, geldt meteen."
    return CONSENT["refusal"]["representation"] if found is None else ""


def refusal(error: Exception) -> str:
    """Return why the network refused, and what to do."""
    reason = error.reason if isinstance(error, Declined) else "unreachable"
    reason = "unreachable" if reason.startswith("http_5") else reason
    return CONSENT["refusal"].get(reason) or f"{CONSENT['refusal']['other']} ({reason})"


def day(when: date | datetime) -> str:
    """Return a day as Dutch writes it; of a moment, the day that it is in the Netherlands."""
    return f"{when.astimezone(DUTCH_TIME) if isinstance(when, datetime) else when:%d-%m-%Y}"


def _organisation(whom: str, seed: Seed) -> str:
    try:
        return seed.party(whom).name
    except SeedError:
        return f"een organisatie met nummer {whom.removeprefix('ura:')}"
