"""The overview as PDF to print or keep: the table on its pages, the whole proof attached to it as JSON."""

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from proeftuin.overview.table import COLUMNS, Record, apart, period, records, standing

MEDIA_TYPE = "application/pdf"
ATTACHMENT = "overzicht.json"
_FONTS = Path(__file__).parent / "fonts"
_WIDTHS = (20, 34, 26, 26, 32, 34, 28, 22, 13, 36)
_LONGEST = 250  # characters in a cell
_MARKS = 30  # places in a row
_HOW = (
    "Elke regel heeft een plaats in het logboek en een vingerafdruk (SHA-256). Bij dit bestand zit een bijlage: "
    f"{ATTACHMENT}. Daarmee controleert een computer of alles klopt: proeftuin log verify-overview overzicht.pdf"
)


class _Document(FPDF):
    def footer(self) -> None:
        """Number the pages."""
        self.set_y(-10)
        self.set_font("Roboto", size=8)
        self.cell(0, 5, f"Pagina {self.page_no()} van {{nb}}", align="C")


def render(overview: dict[str, Any]) -> bytes:
    """Return the document; it takes about a second for 500 lines, so run it in a thread."""
    document = _Document(orientation="landscape", format="A4")
    for style, name in (("", "Regular"), ("B", "Bold")):
        document.add_font("Roboto", style, _FONTS / f"Roboto-{name}.ttf")
    document.set_lang("nl-NL")
    document.set_title("Wie zag uw gegevens?")
    document.set_creation_date(datetime.fromisoformat(overview["made"]))
    document.set_margin(10)
    document.add_page()
    _paragraph(document, "Wie zag uw gegevens?", size=18, style="B")
    _paragraph(document, f"Overzicht {period(overview)}. De tijd is de Nederlandse tijd. De nieuwste regel staat bovenaan.")
    if not overview["complete"]:
        _paragraph(document, "Er is meer dan hier staat: vraag het overzicht van een eerdere periode.", style="B")
    uses, steps = apart(records(overview))
    if uses:
        _table(document, uses)
    else:
        _paragraph(document, "Er is in deze tijd niets vastgelegd.")
    if steps:
        _paragraph(document, "Technische stappen die hierbij hoorden", size=13, style="B")
        _table(document, steps)
    _paragraph(document, "Kunt u dit overzicht vertrouwen?", size=13, style="B")
    _paragraph(document, _HOW)
    _paragraph(document, f"Stand van het logboek: {standing(overview)}")
    content = json.dumps(overview, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    document.embed_file(bytes=content, basename=ATTACHMENT, mime_type="application/json")
    return bytes(document.output())


def proof(file: bytes) -> dict[str, Any]:
    """Return the overview that a document carries; raises ValueError when it carries none."""
    try:
        attached = PdfReader(io.BytesIO(file)).attachments.get(ATTACHMENT, [])
        found = json.loads(attached[0]) if len(attached) == 1 else None
    except (PyPdfError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the file is no PDF that can be read: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("the PDF carries no proof")
    return found


def text(file: bytes) -> list[str]:
    """Return what each page of a document says."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(file)).pages]


def _paragraph(document: FPDF, words: str, *, size: float = 10, style: str = "") -> None:
    document.set_font("Roboto", style, size)
    document.multi_cell(0, size * 0.5, _printable(words), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    document.ln(2)


def _table(document: FPDF, lines: list[Record]) -> None:
    document.set_font("Roboto", size=7)
    with document.table(col_widths=_WIDTHS, line_height=3.5, text_align="LEFT", padding=0.8) as table:
        table.row(list(COLUMNS.values()))
        for record in lines:
            table.row([_printable(getattr(record, name)) for name in COLUMNS])
            marks = [f"{place}: {hash_}" for place, hash_ in zip(record.places, record.hashes, strict=True)]
            for start in range(0, len(marks), _MARKS):
                table.row().cell("Bewijs   " + "   ".join(marks[start : start + _MARKS]), colspan=len(COLUMNS))
    document.ln(4)


def _printable(words: str) -> str:
    """Control characters have no place on a page, and no row is higher than one: what is cut off stands in the attachment."""
    words = words if len(words) <= _LONGEST else words[:_LONGEST] + "..."
    return "".join(letter if letter.isprintable() else " " for letter in words)
