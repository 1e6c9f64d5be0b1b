"""Tokens by presentation (Nuts RFC021), black box: each check of the token endpoint with status, code and words.

The party's own wallet makes the presentations, of which a copy is then changed: the cheap checks come before the signature, so
that each shows by its own words. At a target that is not ours `--issuer`, `--wallet`, `--professional` and `--client` say whose.
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from joserfc import jwk, jws

from proeftuin.identifiers import BSN_SYSTEM
from proeftuin.sandbox.exchange import cast
from proeftuin.sandbox.home import Home
from proeftuin.tokens.issuers import metadata_url
from tests.contract.proofs import proves
from tests.contract.target import Target
from tests.contract.test_grants import Holder

SCOPE = "zorginzage"
REQUIRED = "missing required parameters"
EMPTY = {"id": "a", "definition_id": "zorginzage-organization", "descriptor_map": []}


def read(raw: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return header, claims and signature of a JWT."""
    head, body, signature = raw.split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(each + "==")) for each in (head, body)]
    return decoded[0], decoded[1], signature


def changed(raw: str, **claims: Any) -> str:
    """Return a JWT with other claims (None: left out) under the signature that it had."""
    header, body, signature = read(raw)
    told = {name: value for name, value in (body | claims).items() if value is not None}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in (header, told)]
    return ".".join([*parts, signature])


@dataclass
class Nuts:
    """The server of a care provider at which the target's client presents."""

    target: Target
    issuer: str
    wallet: str
    professional: str
    client: str

    def definition(self, scope: str = SCOPE, owner: str = "organization") -> httpx.Response:
        params = {"scope": scope, "wallet_owner_type": owner}
        return self.target.http.get(f"{self.issuer}/presentation_definition", params=params)

    def presentation(self, audience: str = "") -> dict[str, str]:
        """Have the wallet answer what the server asks: the form's `assertion` and `presentation_submission`."""
        form = {"client_id": self.target.client_id, "professional": self.professional}
        statement = self.target.http.post(f"{self.target.services['identity-professionals']}/login", data=form).json()["id_token"]
        wanted = {"audience": audience or self.issuer, "presentation_definition": self.definition().json(), "id_token": statement}
        made = self.target.http.post(f"{self.wallet}/holder/vp", json=wanted)
        assert made.status_code == 200, made.text
        told = made.json()
        return {"assertion": told["vp"], "presentation_submission": json.dumps(told["presentation_submission"])}

    def ask(
        self, changes: Mapping[str, str | None], headers: dict[str, str] | None = None, http: httpx.Client | None = None
    ) -> httpx.Response:
        """Ask for a token with these members of the form; None: left out."""
        form = {"grant_type": "vp_token-bearer", "client_id": self.target.client_id, "scope": SCOPE, **changes}
        details = {"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": self.client}, "purpose_of_use": "TREAT"}
        form = {"authorization_details": json.dumps([details]), **form}
        sent = {name: value for name, value in form.items() if value is not None}
        return (http or self.target.http).post(f"{self.issuer}/token", data=sent, headers=headers)

    def introspect(self, token: str, *, extended: bool = False) -> Any:
        path = "introspect_extended" if extended else "introspect"
        answer = self.target.at("holder").post(f"{self.issuer}/{path}", data={"token": token})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        return answer.json()


@pytest.fixture
def nuts(target: Target, request: pytest.FixtureRequest) -> Nuts:
    option = request.config.getoption
    if option("--issuer"):
        return Nuts(target, option("--issuer"), option("--wallet"), option("--professional"), option("--client"))
    if option("--base-url") and not option("--home"):
        pytest.skip("--issuer, --wallet and --professional are not given")
    home: Home = request.getfixturevalue("network")
    parts = cast(home.seed)
    return Nuts(target, home.topology.issuer(parts.holder.id), home.topology.wallet(parts.hospital.id), parts.nurse, parts.client)


def refused(answer: httpx.Response, error: str, said: str, status: int = 400) -> None:
    """Assert an OAuth error, as JSON whatever the client accepts (nuts-node asks for an Accept header)."""
    assert answer.headers["content-type"] == "application/json", answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (answer.status_code, told["error"]) == (status, error), answer.text
    assert said in told["error_description"]


@pytest.mark.parametrize(("error", "said", "changes"), [
    *[("invalid_request", REQUIRED, {name: value}) for value in (None, "")
      for name in ("assertion", "presentation_submission", "scope", "client_id")],
    *[("invalid_request", "assertion parameter is invalid", {"assertion": value})
      for value in ("x", "a.b.c", "[]", "[", "{}", "[1]")],
    *[("invalid_request", "invalid presentation submission", {"presentation_submission": value})
      for value in ("x", "[]", "{}", "1")],
    ("invalid_scope", "unsupported scope (nothing) for presentation exchange", {"scope": "nothing"}),
    ("invalid_scope", "ambiguous", {"scope": "zorginzage medicatieoverdracht-gf"}),
    ("invalid_request", "is for definition 'else'", {"presentation_submission": json.dumps(EMPTY | {"definition_id": "else"})}),
    ("invalid_request", "input descriptor care-provider is not met", {"presentation_submission": json.dumps(EMPTY)}),
    ("unsupported_grant_type", "is not offered", {"grant_type": "vp_token"}),
])  # fmt: skip
@proves("nuts 2.3: parameters", "nuts 2.3: presentation", "nuts 2.3: submission", "nuts 2.3: unknown scope",
        "nuts 2.3: ambiguous scope", "nuts 2.3: definition", "nuts 2.3: descriptor", "nuts 2.3: errors are JSON")  # fmt: skip
def test_rfc021_4_a_form_that_does_not_hold(nuts: Nuts, error: str, said: str, changes: dict[str, str | None]) -> None:
    for accept in ("application/json", "text/html", "*/*"):
        refused(nuts.ask((nuts.presentation() | changes), {"Accept": accept}), error, said)


@pytest.mark.parametrize(("said", "claims"), [
    ("presentation is missing creation or expiration date", {"exp": None}),
    ("presentation is missing creation or expiration date", {"nbf": None, "iat": None}),
    ("presentation is valid for too long (max 5s)", {"nbf": 1, "iat": 1}),
    ("presentation is expired or not yet valid", {"nbf": 1, "iat": 1, "exp": 6}),
    ("presentation is expired or not yet valid", {"nbf": 4_000_000_000, "iat": 4_000_000_000, "exp": 4_000_000_005}),
    ("presentation audience/domain is missing or does not match", {"aud": None}),
    ("presentation audience/domain is missing or does not match", {"aud": "https://else.example/oauth2/x"}),
    ("presentation has invalid/missing nonce", {"nonce": None}), ("presentation has invalid/missing nonce", {"nonce": ""}),
    ("presentation has invalid/missing nonce", {"nonce": 1}), ("presentation has invalid/missing nonce", {"nonce": "x" * 129}),
    ("assertion parameter is invalid", {"sub": "did:web:else.example"}), ("assertion parameter is invalid", {"vp": None}),
])  # fmt: skip
@proves("nuts 2.3: no dates", "nuts 2.3: valid too long", "nuts 2.3: expired", "nuts 2.3: audience", "nuts 2.3: no nonce")
def test_rfc021_5_a_presentation_that_does_not_hold(nuts: Nuts, said: str, claims: dict[str, Any]) -> None:
    made = nuts.presentation()
    refused(nuts.ask(made | {"assertion": changed(made["assertion"], **claims)}), "invalid_request", said)


def by_another(made: dict[str, str]) -> str:
    """Return the presentation as another holder signs it."""
    key = jwk.ECKey.generate_key("P-256")
    did = f"did:jwk:{base64.urlsafe_b64encode(json.dumps(key.as_dict(private=False)).encode()).rstrip(b'=').decode()}"
    _, claims, _ = read(made["assertion"])
    claims |= {"iss": did, "sub": did, "vp": claims["vp"] | {"holder": did}}
    return jws.serialize_compact({"alg": "ES256", "typ": "JWT", "kid": f"{did}#0"}, json.dumps(claims).encode(), key)


@proves("nuts 2.3: signer", "nuts 2.3: one holder")
def test_rfc021_5_the_signer_is_the_subject_of_all_that_it_presents(nuts: Nuts) -> None:
    made = nuts.presentation()
    other = by_another(made)
    refused(nuts.ask(made | {"assertion": other}), "invalid_request", "presentation signer is not credential subject")
    nothing = by_another(
        {"assertion": changed(made["assertion"], vp=read(made["assertion"])[1]["vp"] | {"verifiableCredential": []})}
    )
    both = json.dumps([made["assertion"], nothing])
    refused(nuts.ask(made | {"assertion": both}), "invalid_request", "not all presentations have the same credential subject ID")


@proves("nuts 2.3: nonce used")
def test_rfc021_5_a_nonce_serves_once_and_is_burnt_by_a_refusal_too(nuts: Nuts) -> None:
    used, said = nuts.presentation(), "presentation nonce has already been used"
    assert nuts.ask(used).status_code == 200
    refused(nuts.ask(used), "invalid_request", said)
    burnt = nuts.presentation()
    refused(nuts.ask(burnt | {"client_id": "https://else.example"}), "invalid_client", "client_id is")
    refused(nuts.ask(burnt), "invalid_request", said)


@proves("nuts 2.3: signature")
def test_rfc021_5_the_signature_of_the_presentation(nuts: Nuts) -> None:
    made = nuts.presentation()
    refused(nuts.ask(made | {"assertion": changed(made["assertion"], nonce="another")}), "invalid_request", "signature")


@proves("nuts 2.3: credential")
def test_rfc021_5_what_is_presented_is_signed_by_its_issuer(nuts: Nuts) -> None:
    made = nuts.presentation()
    _, claims, _ = read(made["assertion"])
    given = claims["vp"]["verifiableCredential"]
    at = next(number for number, each in enumerate(given) if isinstance(each, str) and "x5c" not in read(each)[0])
    given[at] = changed(given[at], jti="urn:uuid:0f6b4a52-5b1e-4f1f-9d7e-0c6a8c1f4f11")
    answer = nuts.ask(made | {"assertion": changed(made["assertion"], vp=claims["vp"])})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text


def test_rfc021_5_what_is_overheard_serves_nobody_else(nuts: Nuts) -> None:
    """House rule: a presentation is taken over the connection of who presents."""
    answer = nuts.ask(nuts.presentation(), http=nuts.target.at("stranger"))
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied"), answer.text


@proves("nuts 2.3: scope policy")
def test_rfc021_2_2_scopes_beside_a_dynamic_profile_are_dropped_unless_they_are_open(nuts: Nuts) -> None:
    assert nuts.ask(nuts.presentation() | {"scope": f"{SCOPE} system/unknown"}).json()["scope"] == SCOPE


@proves("nuts 2.3: unknown subject")
def test_rfc021_an_unknown_subject_is_not_found(nuts: Nuts) -> None:
    """nuts-node#3974 answers 500, at both."""
    nobody = f"{nuts.issuer.rpartition('/')[0]}/nobody"
    for answer in (
        nuts.target.http.post(f"{nobody}/token", data={"grant_type": "vp_token-bearer"}),
        nuts.target.http.get(f"{nobody}/presentation_definition", params={"scope": SCOPE}),
    ):
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("proof", ["x", "wrong url", "wrong method"])
@proves("nuts 2.3: proof of possession")
def test_rfc021_4_a_proof_of_possession_that_does_not_hold(nuts: Nuts, proof: str) -> None:
    endpoint = f"{nuts.issuer}/token"
    made = {"x": "x", "wrong url": Holder().proof("POST", f"{endpoint}/x"), "wrong method": Holder().proof("GET", endpoint)}[proof]
    answer = nuts.ask(nuts.presentation(), {"DPoP": made})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@proves("nuts 2.4: response", "nuts 2.6: active", "nuts 2.6: inactive", "nuts 2.6: extended")
def test_rfc021_6_a_token_and_what_introspection_tells_of_it(nuts: Nuts) -> None:
    made = nuts.presentation()
    answer = nuts.ask(made)
    given = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert given.keys() == {"access_token", "token_type", "expires_in", "scope", "authorization_details"}, "no refresh token"
    assert (given["token_type"], given["scope"]) == ("Bearer", SCOPE)
    assert 0 < given["expires_in"] <= 900
    told = nuts.introspect(given["access_token"])
    assert (told["active"], told["iss"], told["scope"]) == (True, nuts.issuer, SCOPE)
    assert told["exp"] - told["iat"] <= 900
    assert abs(told["iat"] - time.time()) < 60
    assert told["client_id"].partition(":")[2] == told["organization_ura"]
    wanted = {"organization_name", "organization_city", "organization_facility_type", "user_id", "user_role"}
    assert wanted <= told.keys()
    assert not {"vps", "presentation_submissions", "presentation_definitions"} & told.keys()
    extended = nuts.introspect(given["access_token"], extended=True)
    assert extended["vps"] == [made["assertion"]]
    submission = json.loads(made["presentation_submission"])
    assert extended["presentation_submissions"] == {submission["definition_id"]: submission}
    assert extended["presentation_definitions"]["organization"] == nuts.definition().json()
    for raw in ("x", "x.y.z", given["access_token"][:-8] + "AAAAAAAA", made["assertion"]):
        assert nuts.introspect(raw) == nuts.introspect(raw, extended=True) == {"active": False}
    revoked = nuts.target.http.post(f"{nuts.issuer}/revoke", data={"token": given["access_token"]})
    assert revoked.status_code == 200
    assert nuts.introspect(given["access_token"]) == {"active": False}


@proves("nuts 2.6: own resource server")
def test_rfc7662_2_1_introspection_is_for_the_own_resource_server(nuts: Nuts) -> None:
    token = nuts.ask(nuts.presentation()).json()["access_token"]
    for path in ("introspect", "introspect_extended"):
        for http in (nuts.target.http, nuts.target.at("stranger")):
            answer = http.post(f"{nuts.issuer}/{path}", data={"token": token})
            assert (answer.status_code, answer.json().get("active")) == (403, None)
    assert nuts.target.at("holder").post(f"{nuts.issuer}/introspect", data={"x": "y"}).status_code == 400


@proves("nuts 2.4: bound to a key")
def test_nuts_2_4_with_a_proof_the_token_is_bound_to_its_key(nuts: Nuts) -> None:
    holder = Holder()
    answer = nuts.ask(nuts.presentation(), {"DPoP": holder.proof("POST", f"{nuts.issuer}/token")})
    assert answer.json()["token_type"] == "DPoP"
    assert nuts.introspect(answer.json()["access_token"])["cnf"] == {"jkt": holder.key.thumbprint()}


@pytest.mark.parametrize(("scope", "owner", "error", "said"), [
    ("", "organization", "invalid_request", REQUIRED), ("nothing", "organization", "invalid_scope", "unsupported scope (nothing)"),
    ("zorginzage medicatieoverdracht-gf", "organization", "invalid_scope", "ambiguous"),
    (SCOPE, "user", "invalid_request", "wallet_owner_type is"),
])  # fmt: skip
def test_nuts_2_2_what_a_presentation_definition_is_not_asked_by(nuts: Nuts, scope: str, owner: str, error: str, said: str) -> None:
    answer = nuts.definition(scope, owner)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert said in answer.json()["error_description"]


def test_nuts_2_1_metadata_and_definition(nuts: Nuts) -> None:
    told = nuts.target.http.get(metadata_url(nuts.issuer)).json()
    assert told["issuer"] == nuts.issuer
    assert told["presentation_definition_endpoint"] == f"{nuts.issuer}/presentation_definition"
    assert "vp_token-bearer" in told["grant_types_supported"]
    assert told["vp_formats"] == told["vp_formats_supported"]
    assert {"id", "input_descriptors"} <= nuts.definition().json().keys()
