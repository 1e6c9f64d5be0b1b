"""Pages from templates: everything escaped, one frame with the sections of the console around each of them."""

from pathlib import Path
from typing import Any

import jinja2
from starlette.responses import HTMLResponse

FOLDER = Path(__file__).parent
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - whatever the template shows
    """Return the page that `template` makes of `values`; a section elsewhere adds its folder of templates to ENVIRONMENT.loader."""
    return HTMLResponse(ENVIRONMENT.get_template(template).render(values), status)
