"""The overview as a table in plain Dutch: one record for each line, the same in every form."""

import base64
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from proeftuin.overview.reading import moment
from proeftuin.transparency import merkle

WORDS: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
DUTCH_TIME = ZoneInfo("Europe/Amsterdam")
_UNKNOWN = "Niet bekend"


@dataclass(frozen=True, slots=True)
class Record:
    """One line, as it is read: texts, whether it is a `step` (see lines), and the proof of each row: place, leaf hash in hex."""

    when: str
    organisation: str
    who: str
    what: str
    data: str
    asked_of: str
    basis: str
    purpose: str
    emergency: str
    told_by: str
    step: bool
    places: tuple[int, ...]
    hashes: tuple[str, ...]


COLUMNS = {  # field -> heading
    "when": "Wanneer", "organisation": "Organisatie", "who": "Functie", "what": "Wat", "data": "Welke gegevens",
    "asked_of": "Gegevens van", "basis": "Waarom mocht het", "purpose": "Doel", "emergency": "Spoed", "told_by": "Vastgelegd door",
}  # fmt: skip


def records(overview: dict[str, Any]) -> list[Record]:
    """Return the lines of an overview (README of services/logging) as texts; raises KeyError or TypeError when it is none."""
    return [_record([overview["rows"][place] for place in line["rows"]], line) for line in overview["lines"]]


def apart(lines: list[Record]) -> tuple[list[Record], list[Record]]:
    """Return the uses of the client's data, and the steps that systems took on account of them."""
    return [line for line in lines if not line.step], [line for line in lines if line.step]


def standing(overview: dict[str, Any]) -> str:
    """Return the checkpoint that the rows stand under: origin, size and root, without its signature."""
    return " ".join(str(overview["checkpoint"]).splitlines()[:3])


def period(overview: dict[str, Any]) -> str:
    """Return which days the overview is about, in words."""
    asked = overview["asked"]
    since, until = asked.get("from"), asked.get("to")
    words = f"van {_day(since)}" if since else "vanaf het begin"
    words += f" tot en met {_day(until)}" if until else " tot nu"
    return f"{words}, alleen organisatie {asked['organisation']}" if asked.get("organisation") else words


def _record(rows: list[dict[str, Any]], line: dict[str, Any]) -> Record:
    first = rows[0]
    refused = next((row for row in rows if row["what"] == "refused"), None)
    what = _word("what", (refused or first)["what"])
    if refused is not None:
        what += f": {WORDS['reason'].get(refused['reason'], WORDS['reason']['other'])}" if refused["reason"] else ""
    elif line["times"] > 1:
        what += f" ({line['times']} keer)"
    basis = next((row["basis"] for row in rows if row["basis"]["kind"] != "none"), first["basis"])
    ground = "Er is niets gegeven" if refused is not None else _word("basis", basis["kind"])
    if basis["consents"] and refused is None:
        ground += f" ({', '.join(each.removeprefix('Consent/')[:8] for each in basis['consents'])})"
    categories = sorted({_word("category", each) for row in rows for each in row["categories"]})
    tellers = ", ".join(dict.fromkeys(row["logged_by"] or _UNKNOWN for row in rows))
    return Record(
        when=_moment(first["when"]),
        organisation=_organisation(first["organisation"]),
        who=_who(rows),
        what=what,
        data=", ".join(categories) or _UNKNOWN,
        asked_of=", ".join(dict.fromkeys(_organisation(row["asked_of"]) for row in rows)),
        basis=ground,
        purpose=next((_word("purpose", row["purpose"]) for row in rows if row["purpose"]), _UNKNOWN),
        emergency=_emergency(rows),
        told_by=f"{tellers}. {WORDS['ends'][line['ends'] if line['agree'] else 'disagree']}",
        step=line["step"],
        places=tuple(row["proof"]["index"] for row in rows),
        hashes=tuple(merkle.leaf_hash(base64.b64decode(row["proof"]["entry"])).hex() for row in rows),
    )


def _emergency(rows: list[dict[str, Any]]) -> str:
    """Whether it was an emergency, and what whoever opened the data said of it."""
    reason = next((row["emergency_reason"] for row in rows if row["emergency_reason"]), None)
    if reason:
        return f"Ja: {reason}"
    return "Ja" if any(row["emergency"] for row in rows) else "Nee"


_CLIENTS = {"representative": "Iemand die voor u mag beslissen", "own request": "Uzelf"}


def _who(rows: list[dict[str, Any]]) -> str:
    role = next((row["role"] for row in rows if row["role"]), None)
    name = next((row["person"] for row in rows if row.get("person")), None)
    if role:
        words = WORDS["role"].get(role) or WORDS["role"].get(role.partition(".")[0], role)
    else:
        kinds = {row["basis"]["kind"] for row in rows}
        words = next((said for kind, said in _CLIENTS.items() if kind in kinds), "Een systeem")
    return f"{name}, {words}" if name else words


def _organisation(told: dict[str, Any]) -> str:
    number = told["identifier"]
    return f"{told['name'] or _UNKNOWN} ({number})" if number else told["name"] or _UNKNOWN


def _word(table: str, code: str | None) -> str:
    return WORDS[table].get(code, code) if code else _UNKNOWN


def _moment(instant: str) -> str:
    try:
        return f"{moment(instant).astimezone(DUTCH_TIME):%d-%m-%Y %H:%M:%S}"
    except OverflowError:  # the last hours of the year 9999
        return instant


def _day(text: str) -> str:
    return "-".join(reversed(text.split("-")))
