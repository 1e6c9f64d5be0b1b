"""The iWlz rows that need more than one certificate: tokens that do not hold, and what lies behind the enforcement point."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from proeftuin.pki.authority import Authority
from proeftuin.sandbox.home import Home
from tests.contract.iwlz_matrix import ID, MESSAGES, N_ZA, OTHER, OWN, ZA, ZK, message, spec
from tests.contract.iwlz_target import BR, GRAPHQL, NOWHERE, VECOZO, Iwlz, Resource, refused, serving
from tests.contract.proofs import proves
from tests.contract.target import Target, connected

READ = spec(OWN, "zzpCode")
INVALID, EXPIRED, CERTIFICATE = "Jwt is invalid", "Jwt is expired", "Invalid Client Certificate"


def read(iwlz: Iwlz, token: str | None, profile: str, by: str = ZA) -> httpx.Response:
    return iwlz.pep(token, READ, profile, {"agb": iwlz.identity[ZA]}, by)


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


@proves("iwlz token: bad signature", "iwlz token: alg none", "iwlz token: another issuer")
def test_iwlz_4_a_token_that_this_network_did_not_sign(iwlz: Iwlz, target: Target) -> None:
    token = iwlz.token()
    head, body, signature = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kid = jwt.get_unverified_header(token).get("kid")
    forged = jwt.encode(claims(token), stranger, "RS256", headers={"kid": kid} if kid else None)
    public = jwt.encode(claims(token), "the public key as a secret of enough bytes for it", "HS256", headers={"kid": kid or "x"})
    changed = base64.urlsafe_b64encode(json.dumps(claims(token) | {"client_id": "uzovi:9901"}).encode()).rstrip(b"=").decode()
    other = target.token("localization", "nvi:read").json()["access_token"]  # of another issuer, with its own key
    for raw in (f"{head}.{body}.{signature[:-8]}AAAAAAAA", f"{head}.{changed}.{signature}", f"{none}.{body}.",
                f"{none}.{body}.{signature}", forged, public, other):  # fmt: skip
        for profile in iwlz.profiles:
            refused(read(iwlz, raw, profile), profile, 401, INVALID)


@proves("iwlz token: another issuer")
def test_iwlz_4_a_token_of_another_issuer_with_the_networks_own_key(iwlz: Iwlz, own: Home) -> None:
    (file,) = own.path.glob("instances/*/tenants/vws/keys/iwlz-rs256.pem")
    key = file.read_bytes()
    token = iwlz.token()
    for name, value in (("iss", "auth.else"), ("iss", None), ("exp", None), ("exp", "later")):
        told = {member: content for member, content in (claims(token) | {name: value}).items() if content is not None}
        for profile in iwlz.profiles:
            refused(read(iwlz, jwt.api_jws.encode(json.dumps(told).encode(), key, "RS256"), profile), profile, 401, INVALID)
    assert read(iwlz, jwt.encode(claims(token), key, "RS256"), iwlz.profiles[0]).status_code == 502, "the key is the network's own"


@proves("iwlz token: of another certificate")
def test_iwlz_4_a_token_serves_with_the_certificate_that_it_was_given_to(iwlz: Iwlz) -> None:
    token = iwlz.token()
    for profile in iwlz.profiles:
        refused(read(iwlz, token, profile, "stranger"), profile, 403, CERTIFICATE)


@proves("iwlz token: expired", "iwlz token: nbf in the future")
def test_iwlz_4_a_token_holds_in_its_time(iwlz: Iwlz, time: Callable[[float], None]) -> None:
    token = iwlz.token()
    for moved in (3601, -180):
        time(moved)
        for profile in iwlz.profiles:
            refused(read(iwlz, token, profile), profile, 401, EXPIRED)
    time(0)
    assert read(iwlz, token, iwlz.profiles[0]).status_code == 502


@proves("iwlz token: after its mandate was withdrawn")
def test_iwlz_13_a_mandate_that_ended_ends_the_tokens_on_it(iwlz: Iwlz, time: Callable[[float], None]) -> None:
    """Configurable in the anchors: here what a token stands on is looked at with every request."""
    last = (datetime(2030, 12, 31, 23, 50, tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    principal = {"sub": f"uzovi:{iwlz.identity[ZK]}"}
    time(last)
    token = iwlz.token("actor", access_token=principal)
    assert read(iwlz, token, VECOZO, "actor").status_code == 400, "the token holds; the query is none of a zorgkantoor"
    time(last + 660)
    for profile in iwlz.profiles:
        refused(read(iwlz, token, profile, "actor"), profile, 401, INVALID)
    answer = iwlz.ask("actor", access_token=principal)
    assert (answer.status_code, answer.text) == (401, "authenticating with issuing authority")


@proves("iwlz server: unregistered address")
def test_iwlz_3_a_certificate_is_used_from_the_addresses_that_are_registered_with_it(iwlz: Iwlz) -> None:
    for answer in (iwlz.ask("elsewhere"), iwlz.pep(None, READ, VECOZO, by="elsewhere")):
        assert (answer.status_code, answer.headers.get("X-Reason", "address_unregistered")) == (403, "address_unregistered")


def turned_away(iwlz: Iwlz, ca: Path, identity: Path) -> None:
    """Assert that a certificate opens nothing: TLS refuses it with an alert, or the door says 403 in the words of the network."""
    content = {"grant_type": "client_credentials", "scope": BR, "audience": NOWHERE}
    with connected(ca, identity) as http:
        try:
            answer = http.post(f"{iwlz.base}/auth/token", json=content)
        except httpx.TransportError as error:
            told = str(error).lower()
        else:
            told = "alert" if (answer.status_code, answer.text) == (403, CERTIFICATE) else answer.text
    assert "alert" in told


@proves("iwlz server: foreign certificate")
def test_iwlz_3_a_certificate_of_another_ca_is_turned_away(iwlz: Iwlz, target: Target, own: Home, tmp_path: Path) -> None:
    foreign = Authority(tmp_path / "pki")
    foreign.create()
    foreign.issue(own.seed.party("ziekenhuis-de-linde"), folder=tmp_path)
    turned_away(iwlz, target.ca, tmp_path)


@proves("iwlz server: expired certificate")
def test_iwlz_3_an_expired_certificate_is_turned_away(iwlz: Iwlz, target: Target, own: Home, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    party = own.seed.party("ziekenhuis-de-linde")
    own.authority.issue(party, folder=tmp_path, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1))
    turned_away(iwlz, target.ca, tmp_path)


# --- what lies behind the enforcement point


@pytest.fixture
def resource(target: Target, request: pytest.FixtureRequest) -> Iterator[Resource]:
    """A resource server of the caller's own, to which the audience of a token leads."""
    host = request.config.getoption("--resource-host")
    if request.config.getoption("--base-url") and not host:
        pytest.skip("--resource-host does not say how the network reaches this machine")
    with serving(target.identity, host or "localhost") as server:
        yield server


@pytest.mark.parametrize(("status", "content", "media_type"), [
    (200, {"data": {"bemiddelingspecificatie": [{"zzpCode": None}]}, "errors": [{"message": "x", "path": ["zzpCode"]}]}, GRAPHQL),
    (200, {"data": {"bemiddelingspecificatie": [{"zzpCode": "063"}]}}, "application/json"),
    (406, {"errors": [{"message": "application/graphql-response+json is what there is"}]}, GRAPHQL), (503, {"errors": []}, GRAPHQL),
])  # fmt: skip
@proves("iwlz http: partial result", "iwlz http: Accept", "iwlz message: receiver fails")
def test_iwlz_5_what_the_resource_server_answers_comes_back_untouched(
    iwlz: Iwlz, resource: Resource, status: int, content: dict[str, object], media_type: str
) -> None:
    """RFC0040: a partial result is 200 with errors; `Accept: application/json` is honoured or 406, by whoever holds the data."""
    token = iwlz.token(audience=resource.at("/graphql", status, content, media_type))
    for profile in iwlz.profiles:
        answer = iwlz.pep(token, READ, profile, {"agb": iwlz.identity[ZA]}, Accept="application/json")
        assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (status, content, media_type)
        path, headers, body = resource.got[-1]
        assert (path, body) == ("/graphql", {"query": READ, "variables": {"agb": iwlz.identity[ZA]}})
        assert (headers["accept"], json.loads(headers["claims"])) == ("application/json", claims(token))
        assert "authorization" not in headers


@proves("iwlz record: foreign specification")
def test_iwlz_4_a_record_that_is_not_ones_own_is_not_found(iwlz: Iwlz, resource: Resource) -> None:
    """The filter on one's own agb is a condition on the record, so that a register finds nothing by a foreign id."""
    nothing: dict[str, object] = {"data": {"bemiddelingspecificatie": []}}
    token = iwlz.token(audience=resource.at("/graphql", 200, nothing))
    for profile in iwlz.profiles:
        answer = iwlz.pep(token, READ.replace(ID, OTHER), profile, {"agb": iwlz.identity[ZA]})
        assert (answer.status_code, answer.json()) == (200, nothing)
        assert resource.got[-1][2] == {"query": READ.replace(ID, OTHER), "variables": {"agb": iwlz.identity[ZA]}}


@proves("iwlz message: duplicate delivery", "iwlz message: receiver fails")
def test_iwlz_6_a_notification_is_delivered_as_often_as_it_is_sent(iwlz: Iwlz, resource: Resource) -> None:
    """The receiver knows a duplicate by afzender, eventType, subjectList and timestamp, which arrive as they were sent."""
    row = next(row for row in MESSAGES if row.proves == "message: wrong afzenderID")
    text, variables = message(row, iwlz.identity)
    variables["i"]["afzenderID"] = iwlz.identity[ZK]
    told = {"data": {"zendNotificatie": {"notificatieID": ID}}}
    token = iwlz.token(ZK, scope=N_ZA, audience=resource.at("/graphql", 200, told))
    for profile in iwlz.profiles:
        for _ in range(2):
            assert iwlz.pep(token, text, profile, variables, ZK).json() == told
        assert resource.got[-1] == resource.got[-2] or resource.got[-1][2] == resource.got[-2][2] == {
            "query": text,
            "variables": variables,
        }
        resource.at("/graphql", 500, {"errors": [{"message": "down"}]})
        assert iwlz.pep(token, text, profile, variables, ZK).status_code == 500
        resource.at("/graphql", 200, told)


@proves("iwlz token: wrong audience")
def test_iwlz_1_an_audience_where_nobody_answers(iwlz: Iwlz) -> None:
    for profile in iwlz.profiles:
        answer = read(iwlz, iwlz.token(), profile)
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (502, "The resource server could not be reached")
