"""The door of presentations: every check of Nuts RFC021 (§3-6) with status, code and words."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proeftuin.credentials import credential, dezi, dids, status
from proeftuin.tokens import dpop, identity
from proeftuin.transport.client import Answer
from tests.harness import BASE
from tests.unit.credentials.world import HOSPITAL, HOST, LOGIN, REGISTER, VENDOR
from tests.unit.services.authorization.presenting import CLIENT, HOME, ISSUER, JWT_BEARER, SCOPE, Presenting, refused

pytestmark = pytest.mark.anyio
LIST = f"{HOST}/iam/cibg/status/bitstring/1"
Make = Callable[[Presenting], str]


# --- what is given


async def test_a_presentation_gives_a_token_with_the_claims_of_its_fields(server: Presenting) -> None:
    """Nuts RFC021 §6: the names that knooppunt policies read."""
    answer = await server.ask()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    given = answer.json()
    assert given["token_type"] == "Bearer"
    assert given["expires_in"] == 300
    assert given["scope"] == SCOPE.split()[1] + " " + SCOPE.split()[0]
    told = await server.introspect(given["access_token"])
    assert told["active"] is True
    expected = {
        "iss": ISSUER,
        "client_id": "ura:90000101",
        "organization_ura": "90000101",
        "organization_name": "Ziekenhuis De Linde",
        "organization_city": "Lindenburg",
        "organization_facility_type": "V4",
        "user_role": "30.000",
    }
    assert {name: told[name] for name in expected} == expected
    extended = await server.introspect(given["access_token"], extended=True)
    assert extended["grant_type"] == "vp_token-bearer"
    assert len(extended["vps"]) == 1
    assert set(extended["presentation_definitions"]) == {"organization", "service_provider"}
    assert set(extended["presentation_submissions"]) == {"zorginzage-organization"}
    assert "vps" not in told  # RFC021 §6 says they are; the code, and we, split them off (drift)


async def test_an_enrollment_names_the_client_and_the_profile_the_purpose(server: Presenting) -> None:
    vp = server.vp([*server.held(), server.enrollment()])
    scope = "medicatieoverdracht-gf patient/MedicationRequest.rs"
    answer = await server.ask(
        vp, scope=scope, authorization_details=None, presentation_submission=await server.submission(vp, scope)
    )
    told = await server.introspect(answer.json()["access_token"])
    assert told["patient_enrollment_identifier"].endswith(f"|{CLIENT}")
    assert told["patient_enrollment_registered_by"] == "urn:oid:1.2|3"
    assert told["authorization_details"][0]["purpose_of_use"] == "TREAT"
    (event,) = [each for each in await server.logged() if CLIENT in json.dumps(each["entity"]) and "ITI-71" in json.dumps(each)]
    assert event["outcome"] == "0"
    vp = server.vp([*server.held(), server.enrollment("999918138")])
    other = await server.ask(vp, scope=scope, presentation_submission=await server.submission(vp, scope))
    assert refused(other)[2] == "subject_mismatch"


async def test_a_token_ends_with_the_first_of_its_credentials(server: Presenting) -> None:
    short = [server.held()[0], server.world.issue(days=60 / 86400), server.held()[2]]
    assert (await server.ask(server.vp(short))).json()["expires_in"] == 60


async def test_scopes_that_are_not_open_are_dropped_by_a_dynamic_profile_and_refused_by_another(server: Presenting) -> None:
    answer = await server.ask(scope="zorginzage patient/Condition.rs system/kik-v.s nothing")
    assert answer.json()["scope"] == "patient/Condition.rs zorginzage"
    vp = server.vp([*server.held(), server.enrollment()])
    scope = "medicatieoverdracht-gf nothing"
    answer = await server.ask(vp, scope=scope, presentation_submission=await server.submission(vp, scope))
    assert refused(answer)[:3] == (400, "invalid_scope", "scope_unknown")


async def test_a_profile_that_is_not_open_for_the_role_is_denied(server: Presenting) -> None:
    world, employer = server.world, server.seed.party(HOSPITAL)
    nurse = next(each for each in server.seed.professionals if each.employer == HOSPITAL)
    about = identity.of_professional(nurse, employer) | {"rol_code": "99.000"}
    statement = identity.state(world.login, LOGIN, employer, about, server.clock)
    vp = server.vp([*server.held()[:2], dezi.wrap(statement, world.did(HOSPITAL))])
    assert refused(await server.ask(vp))[:3] == (400, "access_denied", "role_not_allowed")


async def test_the_client_id_may_be_the_one_of_this_network(server: Presenting) -> None:
    server.world.web.pages[f"{HOST}/iam/{HOSPITAL}/did.json"] = bare(server)
    assert (await server.ask(client_id="ura:90000101")).status_code == 200
    assert refused(await server.ask())[2] == "unknown_client"  # its DID document names no authorization server


def bare(server: Presenting) -> Answer:
    world = server.world
    document = dids.write_document(world.did(HOSPITAL), world.keys[HOSPITAL].jwks()["keys"], {})
    return Answer(200, {}, json.dumps(document).encode())


async def test_consent_decides_here_too(server: Presenting) -> None:
    server.consent = "deny"
    assert (await server.ask()).json()["error"] == "access_denied"


# --- the order and the words of RFC021

REQUIRED = "missing required parameters"
LONG, MISSING = "presentation is valid for too long (max 5s)", "presentation is missing creation or expiration date"
SIGNER, AUDIENCE = "presentation signer is not credential subject", "presentation audience/domain is missing or does not match"
NONCE = "presentation has invalid/missing nonce"
UNSUPPORTED = "unsupported scope (nothing) for presentation exchange: not found"
CASES: list[tuple[str, str, str, Make, dict[str, Any]]] = [
    ("invalid_request", "invalid_request", REQUIRED, lambda s: s.vp(), {"assertion": None}),
    ("invalid_request", "invalid_request", REQUIRED, lambda s: s.vp(), {"presentation_submission": ""}),
    ("invalid_request", "invalid_request", REQUIRED, lambda s: s.vp(), {"scope": ""}),
    ("invalid_request", "invalid_request", REQUIRED, lambda s: s.vp(), {"client_id": None}),  # drift 5: code only
    ("invalid_request", "presentation_malformed", "assertion parameter is invalid", lambda s: s.vp(), {"assertion": "x"}),
    ("invalid_request", "presentation_malformed", "assertion parameter is invalid", lambda s: s.vp(), {"assertion": "[]"}),
    ("invalid_request", "presentation_malformed", "assertion parameter is invalid", lambda s: s.vp(), {"assertion": "[" * 9999}),
    ("invalid_request", "presentation_malformed", "assertion parameter is invalid", lambda s: s.vp(), {"assertion": "{}"}),
    (
        "invalid_request",
        "submission_invalid",
        "invalid presentation submission",
        lambda s: s.vp(),
        {"presentation_submission": "x"},
    ),
    ("invalid_request", "presentation_validity", MISSING, lambda s: s.vp(exp=None), {}),
    ("invalid_request", "presentation_validity", MISSING, lambda s: s.vp(nbf=None, iat=None), {}),
    ("invalid_request", "presentation_validity", LONG, lambda s: s.vp(nbf=1, iat=1), {}),
    ("invalid_request", "presentation_signer", SIGNER, lambda s: s.vp(by=VENDOR), {}),
    ("invalid_request", "presentation_audience", AUDIENCE, lambda s: s.vp(aud=None), {}),
    ("invalid_request", "presentation_audience", AUDIENCE, lambda s: s.vp(aud=f"{BASE}/oauth2/vws"), {}),
    ("invalid_scope", "scope_unknown", UNSUPPORTED, lambda s: s.vp(), {"scope": "nothing"}),
    ("invalid_scope", "scope_unknown", "ambiguous", lambda s: s.vp(), {"scope": "zorginzage medicatieoverdracht-gf"}),
    ("invalid_request", "presentation_nonce", NONCE, lambda s: s.vp(nonce=None), {}),
    ("invalid_request", "presentation_nonce", NONCE, lambda s: s.vp(nonce=""), {}),
    ("invalid_request", "presentation_validity", "presentation is expired or not yet valid", lambda s: s.vp(nbf=1, exp=3), {}),
    (
        "invalid_request",
        "submission_invalid",
        "is for definition 'else'",
        lambda s: s.vp(),
        {"presentation_submission": '{"id":"a","definition_id":"else","descriptor_map":[]}'},
    ),
    (
        "invalid_request",
        "submission_invalid",
        "input descriptor care-provider is not met",
        lambda s: s.vp(),
        {"presentation_submission": '{"id":"a","definition_id":"zorginzage-organization","descriptor_map":[]}'},
    ),
    ("invalid_client", "unknown_client", "client_id is ura:90000101", lambda s: s.vp(), {"client_id": f"{HOST}/oauth2/cibg"}),
    ("invalid_target", "resource_unknown", "is for", lambda s: s.vp(), {"resource": f"{BASE}/else"}),
    ("unsupported_grant_type", "unsupported_grant_type", "is not offered", lambda s: s.vp(), {"grant_type": "vp_token"}),
]


@pytest.mark.parametrize(("error", "reason", "said", "make", "changes"), CASES)
async def test_a_request_that_is_refused(
    server: Presenting, error: str, reason: str, said: str, make: Make, changes: dict[str, Any]
) -> None:
    vp = make(server)
    if reason == "presentation_signer":
        changes = changes | {"presentation_submission": await server.submission(server.vp())}
    answer = await server.ask(vp, **changes)
    code, told, why, description = refused(answer)
    assert (code, told, why) == (400, error, reason), answer.text
    assert said in description
    assert answer.headers["content-type"] == "application/json"  # also for a client that sends no Accept header (Nuts RFC021 §4.5)
    assert CLIENT not in answer.text
    event = (await server.logged())[-1]
    assert event["outcomeDesc"].startswith(f"{reason}:")


async def test_several_presentations_are_of_one_holder(server: Presenting) -> None:
    first, second, third = server.held()
    vps = [server.vp([first]), server.vp([second, third])]

    def at(name: str, vp: int, number: int, form: str = "jwt_vc") -> dict[str, Any]:
        nested = {"id": name, "format": form, "path": f"$.verifiableCredential[{number}]"}
        return {"id": name, "format": "jwt_vp", "path": f"$[{vp}]", "path_nested": nested}

    entries = [at("care-provider", 0, 0), at("provider-type", 1, 0), at("professional", 1, 1, "ldp_vc")]
    submitted = json.dumps({"id": "a", "definition_id": "zorginzage-organization", "descriptor_map": entries})
    assert (await server.ask(json.dumps(vps), presentation_submission=submitted)).status_code == 200
    mixed = [server.vp([first]), server.vp([], VENDOR)]
    answer = await server.ask(json.dumps(mixed), presentation_submission=submitted)
    assert refused(answer)[2:] == ("presentation_signer", "not all presentations have the same credential subject ID")
    answer = await server.ask(json.dumps(["x"] * 6), presentation_submission=submitted)
    assert refused(answer)[2] == "presentation_malformed"


async def test_a_nonce_serves_once_and_is_burnt_by_a_refusal_too(server: Presenting) -> None:
    vp = server.vp()
    assert (await server.ask(vp)).status_code == 200
    replayed = await server.ask(vp)
    assert refused(replayed) == (400, "invalid_request", "presentation_replayed", "presentation nonce has already been used")
    stolen = server.vp()
    assert refused(await server.ask(stolen, party=VENDOR))[2] == "party_mismatch"
    assert refused(await server.ask(stolen))[2] == "presentation_replayed"
    two = await asyncio.gather(*(server.ask(late) for late in [server.vp()] * 2))
    assert sorted(each.status_code for each in two) == [200, 400]


async def test_a_nonce_is_remembered_for_as_long_as_its_presentation_could_be_shown(server: Presenting) -> None:
    vp = server.vp()
    assert (await server.ask(vp)).status_code == 200
    for reason in ("presentation_replayed", "presentation_replayed", "presentation_replayed", "presentation_validity"):
        server.clock.forward(seconds=3)
        assert refused(await server.ask(vp))[2] == reason


async def test_what_is_presented_serves_only_over_the_connection_of_who_presents(server: Presenting) -> None:
    answer = await server.ask(party="ziekenhuis-oeverzicht")
    assert refused(answer)[:3] == (400, "access_denied", "party_mismatch")


async def test_an_organisation_that_is_no_party_of_the_network(server: Presenting) -> None:
    stranger = replace(server.seed.party(HOSPITAL), ura="90000998", name="Ziekenhuis Onbekend")
    server.world.rsa = server.authority.issue(stranger, folder=server.folder / "stranger", key_type="rsa2048")
    assert refused(await server.ask())[:3] == (400, "invalid_client", "unknown_client")


async def test_a_presentation_of_the_future_is_not_remembered(server: Presenting) -> None:
    far = int(server.clock.now().timestamp()) + 10**9
    assert refused(await server.ask(server.vp(nbf=far, iat=far, exp=far + 5)))[2] == "presentation_validity"


async def test_the_cheap_checks_come_before_any_key_is_asked(server: Presenting) -> None:
    server.world.web.asked.clear()
    for vp in (server.vp(aud="else"), server.vp(nonce=None), server.vp(exp=None)):
        await server.ask(vp)
    assert server.world.web.asked == []


async def test_credentials_that_do_not_hold(server: Presenting) -> None:
    world, (certificate, kind, person) = server.world, server.held()
    forged = world.keys[VENDOR].sign(
        jwt.decode(kind, options={"verify_signature": False}), typ="JWT", controller=world.did(REGISTER)
    )
    other = world.keys[HOSPITAL]
    own = other.sign(jwt.decode(kind, options={"verify_signature": False}), typ="JWT", controller=world.did(HOSPITAL))
    surplus = world.issue(by=VENDOR, days=-1)
    for reason, credentials in (
        ("did_unresolvable", [certificate, forged, person]),
        ("did_unresolvable", [certificate, own, person]),
        ("credential_expired", [certificate, world.issue(days=-1), person]),
        ("credential_expired", [certificate, kind, person, surplus]),  # also what no descriptor asks for is verified
    ):
        assert refused(await server.ask(server.vp(credentials)))[:3] == (400, "invalid_request", reason)
    vp = server.vp()
    head, body, signature = vp.split(".")
    answer = await server.ask(f"{head}.{body}.{signature[:-8]}AAAAAAAA", presentation_submission=await server.submission(vp))
    assert refused(answer)[2] == "presentation_signature"


async def test_without_the_keys_of_an_issuer_nothing_is_given(server: Presenting) -> None:
    server.world.web.pages.pop(f"{HOST}/iam/cibg/did.json")
    answer = await server.ask()
    assert (answer.status_code, answer.json()["reason"]) == (503, "upstream")


async def test_a_professional_of_another_organisation_does_not_ask_for_this_one(server: Presenting) -> None:
    world = server.world
    nurse = dezi.wrap(world.statement("ziekenhuis-oeverzicht"), world.did(HOSPITAL))
    answer = await server.ask(server.vp([*server.held()[:2], nurse]))
    assert answer.json()["reason"] == "party_mismatch"


async def test_a_credential_of_a_ca_that_is_not_pinned_does_not_match(server: Presenting) -> None:
    own = server.world.did(HOSPITAL)
    subject = {
        "id": own,
        "san": {"otherName": "2.16.528.1.1007.99.2110-1-990000102-S-90000102-00.000-06990102"},
        "subject": {"O": "x", "L": "y"},
    }
    fake = server.world.issue("X509Credential", by=HOSPITAL, subject=subject)
    good = await server.submission(server.vp())
    answer = await server.ask(server.vp([fake, *server.held()[1:]]), presentation_submission=good)
    code, error, reason, said = refused(answer)
    assert (code, error, reason) == (400, "invalid_request", "submission_invalid")
    assert "$.issuer: it is not a match of" in said


# --- what ends


def published(server: Presenting, revoked: list[int]) -> None:
    document = status.list_document("bitstring", LIST, server.world.did(REGISTER), revoked, server.clock.now())
    raw = server.world.keys[REGISTER].sign(credential.claims_of(document), typ="JWT", controller=server.world.did(REGISTER))
    server.world.web.put(LIST, raw)


async def test_a_token_dies_with_its_credential_at_the_next_use(server: Presenting) -> None:
    published(server, [])
    kind = server.world.issue(credentialStatus=status.entry("bitstring", LIST, 7))
    vp = server.vp([server.held()[0], kind, server.held()[2]])
    token = (await server.ask(vp)).json()["access_token"]
    assert (await server.introspect(token))["active"] is True
    published(server, [7])
    assert (await server.introspect(token)) == {"active": False}
    published(server, [])
    assert (await server.introspect(token))["active"] is True
    server.world.web.pages.pop(LIST)
    assert (await server.introspect(token))["reason"] == "credential_status"  # unknown is not active
    published(server, [7])
    revoked = await server.ask(server.vp([server.held()[0], kind, server.held()[2]]))
    assert refused(revoked)[:3] == (400, "invalid_request", "credential_revoked")


async def test_a_token_dies_with_the_certificate_behind_its_credential(server: Presenting) -> None:
    token = (await server.ask()).json()["access_token"]
    server.authority.revoke(server.world.rsa.serial)
    assert (await server.introspect(token)) == {"active": False}
    assert refused(await server.ask())[:3] == (400, "invalid_request", "certificate_revoked")


# --- what a wallet is told


async def test_the_presentation_definition(server: Presenting) -> None:
    found = (await server.definition()).json()
    assert found["id"] == "zorginzage-organization"
    assert server.world.did(REGISTER) in json.dumps(found)
    assert LOGIN in json.dumps(found)
    assert (await server.definition(owner="service_provider")).json()["id"] == "zorginzage-service-provider"
    for scope, owner, error in (
        ("nothing", "organization", "invalid_scope"),
        ("", "organization", "invalid_request"),
        (SCOPE, "user", "invalid_request"),
        ("medicatieoverdracht-gf", "service_provider", "invalid_request"),
        ("zorginzage medicatieoverdracht-gf", "organization", "invalid_scope"),
    ):
        answer = await server.definition(scope, owner)
        assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_the_metadata_in_both_places(server: Presenting) -> None:
    """RFC 8414 §2: the list of grants names jwt-bearer."""
    first = await server.call("GET", f"/.well-known/oauth-authorization-server/oauth2/{HOME}", party=HOSPITAL)
    second = await server.call("GET", f"/oauth2/{HOME}/.well-known/oauth-authorization-server", party=HOSPITAL)
    assert first.json() == second.json()
    told = first.json()
    assert {"vp_token-bearer", JWT_BEARER, "client_credentials"} <= set(told["grant_types_supported"])
    assert told["presentation_definition_endpoint"] == f"{ISSUER}/presentation_definition"
    assert told["vp_formats"] == told["vp_formats_supported"]
    algorithms = ["ES256", "EdDSA", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256"]
    assert told["vp_formats"]["jwt_vp_json"]["alg_values_supported"] == algorithms
    assert {"web", "key", "jwk", "x509"} <= set(told["did_methods_supported"])
    client = (await server.call("GET", f"/oauth2/{HOME}/oauth-client", party=HOSPITAL)).json()
    assert client["client_id_scheme"] == "entity_id"


async def test_an_unknown_subject_is_not_found_and_no_failure(server: Presenting) -> None:
    """nuts-node#3974: there it is a 500 at both ends."""
    for method, path in (("POST", "/oauth2/nobody/token"), ("GET", "/oauth2/nobody/presentation_definition?scope=zorginzage")):
        answer = await server.call(
            method, path, party=HOSPITAL, data={"grant_type": "vp_token-bearer"} if method == "POST" else None
        )
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")


async def test_a_proof_of_possession_binds_the_token_to_its_key(server: Presenting) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    headers = {"DPoP": dpop.make(key, "POST", f"{ISSUER}/token", datetime.now(UTC))}
    answer = await server.ask(headers=headers)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP"), answer.text
    assert list((await server.introspect(answer.json()["access_token"]))["cnf"]) == ["jkt"]
    wrong = await server.ask(headers={"DPoP": "x"})
    assert refused(wrong)[:2] == (400, "invalid_dpop_proof")
