"""The overview as a page: plain Dutch, nothing fetched from elsewhere, no script that runs; the whole proof goes along in it."""

import base64
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from proeftuin.overview.table import COLUMNS, apart, period, records, standing

MEDIA_TYPE = "text/html"
FOLDER = Path(__file__).parent
CSS = (FOLDER / "overview.css").read_text(encoding="utf-8")
_STYLE = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
_PROOF = "bewijs"


POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE}'; base-uri 'none'; form-action 'none'"  # our style, and nothing else


def environment(*folders: Path) -> Environment:
    """Return the templates of `folders` and of the overview itself; every value in them is escaped."""
    made = Environment(
        loader=FileSystemLoader([*folders, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"css": Markup(CSS), "columns": COLUMNS}  # noqa: S704 - our own stylesheet
    return made


_PAGE = environment().get_template("overview.html")


def values(overview: dict[str, Any], asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the template shows of an overview; `asked` may say in other words what was asked."""
    words = period({"asked": overview["asked"] | (asked or {})})
    uses, steps = apart(records(overview))
    return {
        "overview": overview, "uses": uses, "steps": steps, "period": words, "standing": standing(overview),
        "complete": overview["complete"],
    }  # fmt: skip


def render(overview: dict[str, Any]) -> bytes:
    """Return the page, whole in itself."""
    return _PAGE.render(values(overview), policy=POLICY).encode("utf-8", "replace")


def proof(page: bytes) -> dict[str, Any]:
    """Return the overview that a saved page carries; raises ValueError when it carries none."""
    reader = _Reader()
    reader.feed(page.decode("utf-8", "replace"))
    found = json.loads(reader.text or "null")
    if not isinstance(found, dict):
        raise ValueError("the page carries no proof")
    return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self._inside = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and ("id", _PROOF) in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text += data
