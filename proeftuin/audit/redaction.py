"""What an event shows of a request: all that tells what was asked, and nothing that opens a door or names a client (rule 7)."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote_plus

from proeftuin.fhir.search import carries_bsn

HIDDEN = "***"
LONGEST = 2000  # characters of one value
_PLAIN = re.compile(rf"[A-Za-z0-9_.~/:|,$*-]{{0,{LONGEST}}}")  # what needs no quoting
_SHOWN = frozenset({  # parameters of a token request that hold no secret and no person; a new one is hidden until it stands here
    "grant_type", "client_id", "scope", "resource", "audience", "response_type", "redirect_uri", "code_challenge_method",
    "client_assertion_type", "requested_token_type", "subject_token_type", "actor_token_type",
})  # fmt: skip


def token_request(path: str, form: Mapping[str, str]) -> bytes:
    """Return a token request in raw form for IHE.IUA.71: without code_verifier, assertions, secrets and authorization_details."""
    shown = ((name, value if name in _SHOWN else HIDDEN) for name, value in form.items())
    return f"POST {path}\n\n{_joined(shown)}".encode(errors="replace")


def search_request(resource_type: str, pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return a search in raw form for BALP Query: a BSN is hidden, since the event names the client in its own entity."""
    return f"{resource_type}?{_joined(pairs)}".encode(errors="replace")


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{_shown(name)}={_shown(value)}" for name, value in pairs)


def _shown(text: str) -> str:
    if text == HIDDEN or carries_bsn(text):
        return HIDDEN
    return text if _PLAIN.fullmatch(text) else quote_plus(text[:LONGEST], safe="/:|,$*", errors="replace")
