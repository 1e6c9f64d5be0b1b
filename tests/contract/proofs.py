"""Which test proves which row of a contract: `@proves(row)` says so, and test_proofs.py fails for a row that no test proves."""

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])

IWLZ = {  # what the iWlz network refuses (RFC0014, RFC0040, RFC0008, RFC0018, RFC0022a), row by row
    "token": (
        "expired", "nbf in the future", "bad signature", "another issuer", "none", "wrong audience", "of another certificate",
        "alg none", "after its mandate was withdrawn",
    ),
    "server": (
        "no audience", "http audience", "two audiences", "unknown beside a known scope", "empty scope", "form-encoded body",
        "actor without a mandate", "actor is oneself", "unregistered address", "foreign certificate", "expired certificate",
    ),
    "scope": ("read with a notification scope", "scope of another receiver"),
    "record": ("foreign agb", "foreign uzovi", "foreign specification", "no bemiddeling on the indicatie", "bsn on IR 2"),
    "wide": (
        "no id", "only in", "or around the filter", "alias", "fragment", "inline fragment", "directive", "second root field",
        "two operations", "nothing known",
        "introspection", "depth bomb", "overdracht by a provider", "client{bemiddeling}", "nested pgbPercentage",
        "subentity without filter", "fake date", "lte for ngt", "no toewijzingIngangsdatum", "no vaststellingMoment",
        "no toewijzingEinddatum", "open end not declared", "after 31 May", "after two years", "outside the matrix",
    ),
    "message": (
        "wrong afzenderID", "wrong afzenderIDType", "unknown event", "event for another receiver", "event of CIZ by a zorgkantoor",
        "sender is a provider", "duplicate argument", "malformed recordID", "unknown rule code", "autorisatieregel as subject",
        "duplicate delivery", "receiver fails",
    ),
    "http": ("GET", "content type", "Accept", "partial result", "parse error"),
    "trace": ("missing", "short", "upper case", "all zero"),
    "pip": ("register is down",),
}  # fmt: skip
NUTS = {  # a token by presentation, by part: request, response, DPoP, introspection (RFC021, RFC 9449, RFC 7662)
    "2.3": (
        "parameters", "presentation", "submission", "no dates", "valid too long", "expired", "signer", "one holder", "audience",
        "unknown scope", "ambiguous scope", "scope policy", "definition", "descriptor", "no nonce", "nonce used",
        "proof of possession", "signature", "credential", "status", "errors are JSON", "unknown subject",
    ),
    "2.4": ("response", "bound to a key"),
    "2.5": ("htm", "htu", "jti", "typ", "key", "ath", "once"),
    "2.6": ("active", "inactive", "extended", "own resource server"),
}  # fmt: skip
ROWS = {
    f"{source} {part}: {row}" for source, parts in (("iwlz", IWLZ), ("nuts", NUTS)) for part, rows in parts.items() for row in rows
}
PROVEN: set[str] = set()


def proves(*rows: str) -> Callable[[Test], Test]:
    """Mark a test as the proof of these rows; raises KeyError for one that there is not."""
    if unknown := set(rows) - ROWS:
        raise KeyError(f"no such row: {', '.join(sorted(unknown))}")
    PROVEN.update(rows)
    return lambda test: test
