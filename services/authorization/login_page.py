"""The login page of the sandbox: one form, no script, nothing from elsewhere."""

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from starlette.responses import Response

from proeftuin.parties import Party
from services.authorization.codes import Authorization
from services.authorization.people import Kind

_TEMPLATE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
    (Path(__file__).parent / "login_page.html").read_text(encoding="utf-8")
)
STYLE = (Path(__file__).parent / "login_page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def show(kind: Kind | None, client: Party, choices: list[tuple[str, str]], handle: str, asked: Authorization) -> Response:
    """Return the page on which a person of `choices` (number, name) logs in for `client`."""
    target = urlsplit(asked.redirect_uri)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self' {target.scheme}://{target.netloc}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }  # fmt: skip
    page = _TEMPLATE.render(
        style=STYLE,
        professional=kind == "professional",
        client=client.name,
        choices=choices,
        handle=handle,
        scopes=asked.scope.split(),
    )
    return Response(page, media_type="text/html", headers=headers)
