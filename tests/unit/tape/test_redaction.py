"""Nothing of the tape can be used again: no signature of a token, no assertion, no key, wherever it came in."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from proeftuin.sandbox.web.har import archive
from proeftuin.tape.redaction import is_secret, redact
from tests.unit.sandbox.web.exchanges import exchange
from tests.unit.tape.taping import entry, text

PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
KEY_LINE = PEM.splitlines()[1]


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


claims = st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(), max_size=4)
signatures = st.binary(min_size=32, max_size=64).map(segment)


def token(claims: dict[str, Any], signature: str, header: bytes = b'{"alg":"ES256","typ":"at+jwt"}') -> str:
    return f"{segment(header)}.{segment(json.dumps(claims).encode())}.{signature}"


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "bearer": lambda raw: {"headers": {"authorization": f"Bearer {raw}"}},
    "other scheme": lambda raw: {"headers": {"authorization": f"DPoP {raw}"}},
    "two of it": lambda raw: {"headers": {"Authorization": f"bearer  {raw} {raw}"}},
    "proof header": lambda raw: {"headers": {"dpop": raw}},
    "cookie": lambda raw: {"headers": {"cookie": f"a=b; t={raw}"}},
    "form": lambda raw: {"asked": f"a=b&token={raw}".encode(), "content_type": "application/x-www-form-urlencoded"},
    "form, twice": lambda raw: {"asked": f"x={raw}&x={raw}&x={raw}".encode(), "content_type": "application/x-www-form-urlencoded"},
    "json in a form": lambda raw: {
        "asked": b"details=" + json.dumps([{"vc": raw}]).encode(), "content_type": "application/x-www-form-urlencoded",
    },
    "json": lambda raw: {"answered": json.dumps({"access_token": raw, "n": [{"deep": raw}]}).encode()},
    "json, escaped": lambda raw: {"answered": json.dumps({"x": raw}).replace(".", "\\u002e").encode()},
    "json, as a name": lambda raw: {"answered": json.dumps({raw: 1}).encode()},
    "cut off json": lambda raw: {"answered": json.dumps({"x": raw, "y": "z" * 4000}).encode(), "most": len(raw) + 8},
    "cut off in the token": lambda raw: {"answered": json.dumps({"x": raw}).encode(), "most": len(raw) - 3},
    "malformed json": lambda raw: {"asked": f'{{"access_token": "{raw}"'.encode()},
    "text": lambda raw: {"asked": f"see {raw}, please".encode(), "content_type": "text/plain"},
    "within a token": lambda raw: {"headers": {"authorization": f"Bearer {token({'vp': [raw]}, 'AAAA')}"}},
    "path": lambda raw: {"path": f"/fhir/{raw}"},
    "query": lambda raw: {"query": f"access_token={raw}"},
    "detail": lambda raw: {"reason": "malformed", "detail": f"got {raw}"},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@given(claims=claims, signature=signatures)
def test_no_signature_of_a_token_is_kept(place: str, claims: dict[str, Any], signature: str) -> None:
    raw = token(claims, signature)
    made = entry(**PLACES[place](raw))
    shown = text(made) + text(archive(exchange([made])))
    assert signature not in shown
    assert signature[:20] not in shown


@pytest.mark.parametrize("place", PLACES)
def test_the_rest_of_an_entry_is_kept(place: str) -> None:
    made = entry(**PLACES[place](token({"aud": "https://localhost:8471"}, segment(b"s" * 64))))
    assert made["request"]["method"] == "POST"
    assert made["response"] is not None


def test_the_claims_of_the_token_are_shown() -> None:
    made = entry(
        headers={"authorization": "Bearer " + token({"aud": "https://here", "person_id": "999900006"}, segment(b"s" * 64))}
    )
    assert made["bearer"]["claims"] == {"aud": "https://here", "person_id": "999900006"}
    assert made["bearer"]["header"]["alg"] == "ES256"


@given(st.text(min_size=12, max_size=60, alphabet=st.characters(codec="ascii", min_codepoint=48)))
def test_opaque_secrets_are_not_kept(secret: str) -> None:
    form = "application/x-www-form-urlencoded"
    for name in ("client_assertion", "client_secret", "password", "refresh_token", "assertion", "vp_token", "db_passphrase"):
        assert secret not in text(redact({name: secret, "a": {name.upper(): secret}})).replace("\\\\", "\\")
        made = entry(headers={f"x-{name}": secret, "authorization": f"Basic {secret}"}, query=f"{name}=whatever")
        assert secret not in text(made["request"]["headers"]) + text(made["bearer"])
    made = entry(asked=f"client_assertion={segment(secret.encode())}&scope=a".encode(), content_type=form)
    assert segment(secret.encode()) not in text(made)
    assert made["request"]["body"]["content"]["scope"] == "a"


@pytest.mark.parametrize("cut", [10_000, len(PEM) - 40])
def test_no_private_key_is_kept(cut: int) -> None:
    jwk = {"kty": "EC", "crv": "P-256", "x": "x" * 43, "d": "D" * 43}
    shown = text(
        [
            entry(asked=PEM.encode(), content_type="application/x-pem-file", most=cut),
            entry(asked=json.dumps({"pem": PEM, "jwk": jwk}).encode()),
        ]
    )
    assert KEY_LINE not in shown
    assert KEY_LINE[:30] not in shown
    assert "D" * 43 not in shown
    assert "x" * 43 in shown


def test_an_xml_signature_loses_its_value() -> None:
    xml = b'<Assertion><ds:SignatureValue Id="a">\nc2lnbmF0dXJl\n</ds:SignatureValue><Name>Linde</Name></Assertion>'
    shown = text(entry(asked=xml, content_type="application/soap+xml"))
    assert "c2lnbmF0dXJl" not in shown
    assert "Linde" in shown


def test_what_is_no_token_stays_as_it_is() -> None:
    plain = {"url": "https://www.example.nl/a.b.c", "version": "1.20.300", "code": "Condition", "text": "a=b"}
    assert redact(plain) == plain


def test_nothing_is_too_deep() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    assert "too deep" in text(redact(deep))


@pytest.mark.parametrize("name", ["Set-Cookie", "CLIENT_ASSERTION", "privateKey", "passwd", "Authorization"])
def test_secret_names(name: str) -> None:
    assert is_secret(name)
