"""What may stand on the tape: tokens decoded and without their signature, secrets not at all.

`redact` goes through any structure of dicts, lists and strings; what it returns can neither be replayed nor sign anything.
"""

import base64
import functools
import json
import math
import re
from typing import Any

DEEPEST = 40  # levels of nesting, those of tokens within tokens too
_NAME = (  # the name of a field or header that holds what could be used again
    r"[\w-]{0,40}(?:secret|passw|passphrase|private|api[-_]?key|cookie)[\w-]{0,40}|[\w-]{0,40}(?:token|assertion|authorization)"
    r"|id_token_hint|device_code|pre-authorized_code|tx_code|code_verifier|samlresponse"
)
_SECRET = re.compile(_NAME, re.IGNORECASE)
_PRIVATE_JWK = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 §6
_SEGMENT = r"[A-Za-z0-9_-]"
_COMPACT = re.compile(rf"(?<!{_SEGMENT}){_SEGMENT}{{4,}}\.{_SEGMENT}*(?:\.{_SEGMENT}*){{1,3}}")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_XML_SIGNATURE = re.compile(r"(<(?:[\w.-]+:)?SignatureValue\b[^>]{0,500}>)[^<]*")
_NAMED = re.compile(  # in what could not be parsed: a cut off body, a query
    rf'(?i)(?P<json>"(?:{_NAME})"\s*:\s*")(?:\\.|[^"\\])*|(?P<form>(?:^|[?&])(?:{_NAME})=)[^&\s]*'
)


def redact(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - whatever was sent
    """Return `value` in which each JWT is {"_jwt": {"header", "claims"}} and each secret says only how long it was."""
    if depth > DEEPEST:
        return "(nested too deep to be shown)"
    if isinstance(value, str):
        return _text(value, depth)
    if isinstance(value, list):
        return [redact(each, depth + 1) for each in value]
    if isinstance(value, dict):
        private = _PRIVATE_JWK if "kty" in value else frozenset()
        return {
            _name(str(name)): _hidden(each, depth) if name in private or is_secret(str(name)) else redact(each, depth + 1)
            for name, each in value.items()
        }
    return value


@functools.lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Tell whether a field or header of this name holds what could be used again."""
    return _SECRET.fullmatch(name) is not None


def decode(token: str) -> dict[str, Any] | None:
    """Return header and claims of a compact JWS, header alone of a JWE, None when `token` is neither; nothing is verified."""
    parts = token.split(".")
    header = _json(parts[0])
    if len(parts) not in (3, 5) or not isinstance(header, dict):
        return None
    if len(parts) == 5:
        return {"header": header, "claims": "(encrypted)"}
    claims = _json(parts[1])
    return {"header": header, "claims": claims if isinstance(claims, dict) else "(no JSON object)"}


def _hidden(value: Any, depth: int) -> Any:  # noqa: ANN401 - see redact
    if not isinstance(value, str):
        return redact(value, depth + 1) if isinstance(value, dict | list) else "(redacted)"
    if value.startswith("(redacted"):
        return value
    found = _text(value, depth)
    return found if isinstance(found, dict) else f"(redacted, {len(value)} characters)"


def _text(value: str, depth: int) -> Any:  # noqa: ANN401 - a token becomes a dict
    if value.count(".") in (2, 4) and (found := decode(value.strip())) is not None:
        return {"_jwt": redact(found, depth + 1)}
    return _string(value)


def _string(value: str) -> str:
    """Take out of a text what is secret in it; tokens lose their signature."""
    if not value.isascii():
        value = value.encode(errors="replace").decode()  # a page cannot hold half a surrogate pair
    if value.count(".") > 1:
        value = _COMPACT.sub(_unsigned, value)
    if "PRIVATE KEY" in value:
        value = _PEM.sub("(private key, redacted)", value)
    if "SignatureValue" in value:
        value = _XML_SIGNATURE.sub(r"\1(redacted)", value)
    if "=" in value or '"' in value:
        value = _NAMED.sub(lambda found: (found["json"] or found["form"]) + "(redacted)", value)
    return value


_name = functools.lru_cache(maxsize=4096)(_string)  # the same few names stand in most of what passes


def _unsigned(found: re.Match[str]) -> str:
    parts = found[0].split(".")
    if not isinstance(_json(parts[0]), dict):
        return found[0]
    return ".".join(parts[: 2 if len(parts) == 3 else 1]) + ".(signature dropped)"


def parse(text: str | bytes) -> Any:  # noqa: ANN401 - JSON is any
    """Return JSON, without the numbers that JSON does not have; raises ValueError or RecursionError."""

    def finite(number: str) -> float:
        if math.isinf(value := float(number)):
            raise ValueError(f"{number[:20]} is too large a number")
        return value

    def none(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_float=finite, parse_constant=none)


def _json(segment: str) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return parse(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError):
        return None
