"""The overview as CSV (RFC 4180, UTF-8 with a byte order mark: Excel reads it as such), safe to open in a spreadsheet."""

import csv
import io
from typing import Any

from proeftuin.overview.table import COLUMNS, records, standing

MEDIA_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets take the wide forms too
_PROOF = ("Soort", "Plaats in het logboek", "Vingerafdruk (SHA-256)", "Stand van het logboek")


def render(overview: dict[str, Any]) -> bytes:
    """Return a heading and one record for each line; places and hashes of both ends are separated by a space."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([*COLUMNS.values(), *_PROOF])
    under = standing(overview)
    for record in records(overview):
        texts = [getattr(record, name) for name in COLUMNS]
        kind = "Technische stap" if record.step else "Gebruik"
        writer.writerow(map(defused, [*texts, kind, " ".join(map(str, record.places)), " ".join(record.hashes), under]))
    return out.getvalue().encode("utf-8-sig", "replace")


def defused(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP, CSV injection): an apostrophe stands before what might be."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
