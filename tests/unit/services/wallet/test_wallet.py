"""The wallet: what is published, who issues what, what is held, what is presented, and what a revocation changes."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest

from proeftuin.credentials import credential, dids, presentation, status
from proeftuin.credentials.dids import Resolver
from proeftuin.credentials.status import StatusChecker, StatusRef
from proeftuin.reasons import Refused
from proeftuin.tokens import identity
from proeftuin.tokens.keys import SigningKeys
from proeftuin.transport.client import Answer
from proeftuin.transport.trust import Trust
from services.wallet.app import create_app
from tests.harness import BASE, Harness

pytestmark = pytest.mark.anyio
HOSPITAL, REGISTER, VENDOR = "ziekenhuis-de-linde", "cibg", "zorgsoft"
JSON = {"Content-Type": "application/json"}


class Wallets(Harness):
    """The wallets of a hospital, the register and a vendor in one instance, which they also reach as each other's network."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path, "wallet", [HOSPITAL, REGISTER, VENDOR])
        tenants = [
            each.model_copy(update={"audience": f"{BASE}/iam/{each.party}", "authorization_server": f"{BASE}/oauth2/{each.party}"})
            for each in self.settings.tenants
        ]
        self.settings = self.settings.model_copy(update={"tenants": tenants})
        self.authority.issue(self.seed.party(HOSPITAL), folder=tenants[0].folder, name="x509", key_type="rsa2048")
        self.app = create_app(self.settings, replace(self.wiring, key_source=None))  # they verify tokens of their own
        for each in self.app.state.service.tenants.values():
            each.client.request = partial(self._request, each.party.id)

    async def _request(
        self, party: str, method: str, url: str, *, headers: Any = None, form: Any = None, content: Any = None,
        token: str | None = None, about: Any = None,
    ) -> Answer:  # fmt: skip
        """Stand in for the mTLS between the wallets."""
        assert url.startswith(BASE), about
        path = url.removeprefix(BASE)
        answer = await self.call(method, path, party=party, token=token, headers=headers, data=form, json=content)
        return Answer(answer.status_code, answer.headers, answer.content)

    def did(self, party: str) -> str:
        return dids.web_did(f"{BASE}/iam/{party}")

    async def send(self, method: str, party: str, path: str, content: Any = None, by: str | None = None) -> httpx.Response:
        body = None if content is None else json.dumps(content).encode()
        return await self.call(method, f"/iam/{party}/{path}", party=by or party, content=body, headers=JSON if body else None)

    async def issue(self, party: str, kind: str, subject: Any = None, **rest: Any) -> Any:
        content = {"type": kind} | rest | ({"credentialSubject": subject} if subject is not None else {})
        return await self.send("POST", party, "issuer/vc", content)

    async def provided(self) -> str:
        """Give the hospital its credentials; returns the one on its type."""
        own = (await self.issue(HOSPITAL, "X509Credential")).json()
        kind = (await self.issue(REGISTER, "HealthcareProviderRoleTypeCredential", self.type_of())).json()
        for raw in (own, kind):
            assert (await self.send("POST", HOSPITAL, "holder/vc", raw)).status_code == 204
        return str(kind)

    def type_of(self) -> dict[str, str]:
        return {"id": self.did(HOSPITAL), "roleCodeNL": "V4"}


@pytest.fixture
async def wallets(tmp_path: Path) -> AsyncIterator[Wallets]:
    made = Wallets(tmp_path)
    async with made.running(made.app):
        yield made


# --- what is published (GFI-001, GFI-003)


async def test_the_did_document_has_the_keys_and_the_authorization_server(wallets: Wallets) -> None:
    answer = await wallets.send("GET", HOSPITAL, "did.json", by=VENDOR)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/did+json")
    document = dids.read_document(answer.json(), wallets.did(HOSPITAL))
    assert len(document.keys) == 1
    assert document.services == {"oauth-authorization-server": f"{BASE}/oauth2/{HOSPITAL}"}


async def test_a_did_document_that_is_not_there_is_404_with_an_empty_body(wallets: Wallets) -> None:
    answer = await wallets.send("GET", "nobody", "did.json", by=VENDOR)
    assert (answer.status_code, answer.content, answer.headers["X-Reason"]) == (404, b"", "not_found")


async def test_a_rotated_key_signs_and_what_the_old_one_signed_still_verifies(wallets: Wallets) -> None:
    raw = (await wallets.issue(REGISTER, "HealthcareProviderRoleTypeCredential", wallets.type_of())).json()
    wallets.clock.forward(days=1)
    folder = next(each.folder for each in wallets.settings.tenants if each.party == REGISTER)
    SigningKeys(folder / "keys" / "did", wallets.clock, retired=86400.0 * 366).rotate()
    wallets.authority.write_crls(365)
    wallets.clock.forward(days=30)
    assert len((await wallets.send("GET", REGISTER, "did.json")).json()["assertionMethod"]) == 2
    assert (await wallets.send("POST", HOSPITAL, "holder/vc", raw)).status_code == 204


async def test_a_status_list_changes_with_a_revocation_and_not_before(wallets: Wallets) -> None:
    raw = await wallets.provided()
    found = credential.read(raw)
    (ref,) = status.refs_of(found)
    assert ref.url == f"{BASE}/iam/{REGISTER}/status/bitstring/1"
    path = "status/bitstring/1"
    first = await wallets.send("GET", REGISTER, path, by=VENDOR)
    assert first.headers["content-type"] == "application/vc+jwt"
    headers = {"If-None-Match": first.headers["ETag"]}
    assert (await wallets.call("GET", f"/iam/{REGISTER}/{path}", party=VENDOR, headers=headers)).status_code == 304
    checker = checker_of(wallets)
    await checker.check(ref)
    assert (await wallets.send("DELETE", REGISTER, f"issuer/vc/{found.id.rpartition('#')[2]}")).status_code == 204
    assert (await wallets.call("GET", f"/iam/{REGISTER}/{path}", party=VENDOR, headers=headers)).status_code == 200
    with pytest.raises(Refused, match="credential_revoked"):
        await checker.check(ref)
    wallets.clock.forward(hours=17)
    before = (await wallets.send("GET", REGISTER, path)).text
    wallets.clock.forward(hours=2)  # less than a quarter of its day is left: it is issued anew
    assert credential.read((await wallets.send("GET", REGISTER, path)).text).expires != credential.read(before).expires


def checker_of(wallets: Wallets) -> StatusChecker:
    client: Any = wallets.app.state.service.tenants[VENDOR].client
    return StatusChecker(Resolver(client, Trust(wallets.settings.trust), wallets.clock), client, wallets.clock)


async def test_the_dialect_of_the_nuts_node_on_request(wallets: Wallets) -> None:
    answer = await wallets.issue(
        REGISTER, "HealthcareProviderRoleTypeCredential", wallets.type_of(), withStatusList2021Revocation=True
    )
    found = credential.read(answer.json())
    (ref,) = status.refs_of(found)
    assert (ref.dialect, found.document["@context"][-1]) == ("2021", "https://w3id.org/vc/status-list/2021/v1")
    await checker_of(wallets).check(ref)


@pytest.mark.parametrize(
    "path", ["status/bitstring/2", "status/else/1", "status/bitstring/x", "status/2021/-1", "status/bitstring/123456"]
)
async def test_a_status_list_that_is_not_there(wallets: Wallets, path: str) -> None:
    await wallets.provided()
    assert (await wallets.send("GET", REGISTER, path)).status_code == 404


# --- who issues what


async def test_an_issued_credential_is_kept_and_its_event_logged(wallets: Wallets) -> None:
    await wallets.logged()
    raw = (await wallets.issue(REGISTER, "HealthcareProviderRoleTypeCredential", wallets.type_of())).json()
    found = credential.read(raw)
    assert (found.issuer, found.subject, found.claims["roleCodeNL"]) == (wallets.did(REGISTER), wallets.did(HOSPITAL), "V4")
    (event,) = await wallets.logged()
    assert event["subtype"][0]["code"] == "issue-credential"
    (listed,) = (await wallets.send("GET", REGISTER, f"issuer/vc?type={found.type}&subject={quote(found.subject)}")).json()
    assert (listed["raw"], "revoked_at" in listed) == (raw, False)
    assert (await wallets.send("GET", REGISTER, "issuer/vc?type=Else")).json() == []


@pytest.mark.parametrize(
    ("reason", "party", "kind", "subject", "rest"),
    [
        ("issuance_not_allowed", HOSPITAL, "HealthcareProviderRoleTypeCredential", {"id": "did:web:a", "roleCodeNL": "V4"}, {}),
        ("issuance_not_allowed", VENDOR, "NutsUraCredential", {"id": "did:web:a"}, {}),
        ("issuance_not_allowed", REGISTER, "X509Credential", None, {}),
        ("issuance_not_allowed", REGISTER, "Anything", {"id": "did:web:a"}, {}),
        ("issuance_not_allowed", HOSPITAL, "PatientEnrollmentCredential", {"id": "did:web:a"}, {}),
        ("issuance_not_allowed", REGISTER, "HealthcareProviderRoleTypeCredential", {"roleCodeNL": "V4"}, {}),
        ("issuance_not_allowed", REGISTER, "HealthcareProviderRoleTypeCredential", {"id": "urn:x", "roleCodeNL": "V4"}, {}),
        ("credential_shape", REGISTER, "HealthcareProviderRoleTypeCredential", {"id": "did:web:a"}, {}),
        (
            "credential_shape",
            REGISTER,
            "NutsUraCredential",
            {"id": "did:web:a", "organization": {"ura": "1", "name": "a", "city": "b"}},
            {},
        ),
        (
            "credential_shape",
            REGISTER,
            "NutsUraCredential",
            {"id": "did:web:a", "organization": {"ura": "90000101", "name": " ", "city": "b"}},
            {},
        ),
        ("invalid_request", REGISTER, "HealthcareProviderRoleTypeCredential", None, {}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"issuer": "did:web:else"}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"format": "ldp_vc"}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"unknown": 1}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"expirationDate": "2099-01-01T00:00:00Z"}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"expirationDate": "2020-01-01T00:00:00Z"}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"expirationDate": "tomorrow"}),
        ("invalid_request", REGISTER, "NutsUraCredential", {"id": "did:web:a"}, {"expirationDate": 1}),
    ],
)
async def test_what_is_not_issued(wallets: Wallets, reason: str, party: str, kind: str, subject: Any, rest: dict[str, Any]) -> None:
    await wallets.logged()
    answer = await wallets.issue(party, kind, subject, **rest)
    assert answer.json()["reason"] == reason, answer.text
    (event,) = await wallets.logged()
    assert event["outcomeDesc"].startswith(f"{reason}:")
    assert (await wallets.send("GET", party, "issuer/vc")).json() == []


async def test_only_the_party_itself_uses_its_wallet(wallets: Wallets) -> None:
    for method, path in (
        ("POST", "issuer/vc"),
        ("GET", "issuer/vc"),
        ("DELETE", "issuer/vc/1"),
        ("POST", "holder/vc"),
        ("GET", "holder/vc"),
        ("DELETE", "holder/vc/1"),
        ("POST", "holder/vp"),
    ):
        answer = await wallets.send(method, HOSPITAL, path, {} if method == "POST" else None, by=VENDOR)
        assert answer.json()["reason"] == "party_mismatch", path


async def test_a_revocation_of_what_is_not_there_or_ends_with_its_certificate(wallets: Wallets) -> None:
    own = credential.read((await wallets.issue(HOSPITAL, "X509Credential")).json())
    await wallets.logged()
    for credential_id, reason in (("unknown", "not_found"), (own.id.rpartition("#")[2], "invalid_request")):
        assert (await wallets.send("DELETE", HOSPITAL, f"issuer/vc/{credential_id}")).json()["reason"] == reason
        (event,) = await wallets.logged()
        assert event["outcomeDesc"].startswith(f"{reason}:")


async def test_the_places_in_a_status_list_are_all_different_and_in_no_order(wallets: Wallets) -> None:
    refs: list[StatusRef] = []
    for _ in range(12):
        raw = (await wallets.issue(REGISTER, "HealthcareProviderRoleTypeCredential", wallets.type_of())).json()
        refs += status.refs_of(credential.read(raw))
    places = [each.index for each in refs]
    assert len(set(places)) == 12
    assert places != sorted(places)


# --- what is held and presented


async def test_only_what_verifies_and_is_ones_own_is_held(wallets: Wallets) -> None:
    kind = (await wallets.issue(REGISTER, "HealthcareProviderRoleTypeCredential", wallets.type_of())).json()
    assert (await wallets.send("POST", VENDOR, "holder/vc", kind)).json()["reason"] == "invalid_request"
    keys = SigningKeys(wallets.folder / "thief", wallets.clock)
    forged = keys.sign(jwt.decode(kind, options={"verify_signature": False}), typ="JWT", controller=wallets.did(REGISTER))
    for raw, reason in ((forged, "did_unresolvable"), ("x", "credential_malformed"), ({"a": 1}, "malformed")):
        assert (await wallets.send("POST", HOSPITAL, "holder/vc", raw)).json()["reason"] == reason
    bad = await wallets.call("POST", f"/iam/{HOSPITAL}/holder/vc", party=HOSPITAL, content=b"{", headers=JSON)
    assert bad.json()["reason"] == "malformed"
    for _ in range(2):
        assert (await wallets.send("POST", HOSPITAL, "holder/vc", kind)).status_code == 204
    (held,) = (await wallets.send("GET", HOSPITAL, "holder/vc")).json()
    assert held["raw"] == kind
    await wallets.send("DELETE", REGISTER, f"issuer/vc/{held['id'].rpartition('#')[2]}")
    assert (await wallets.send("DELETE", HOSPITAL, f"holder/vc/{held['id'].rpartition('#')[2]}")).status_code == 204
    assert (await wallets.send("POST", HOSPITAL, "holder/vc", kind)).json()["reason"] == "credential_revoked"
    assert (await wallets.send("DELETE", HOSPITAL, "holder/vc/1")).json()["reason"] == "not_found"


def asks(kind: str, issuer: str | None = None) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [{"path": ["$.type"], "filter": {"type": "string", "const": kind}}]
    fields += [{"path": ["$.issuer"], "filter": {"type": "string", "const": issuer}}] if issuer else []
    fields += [{"id": "who", "path": ["$.credentialSubject.id"]}]
    return {"id": "d", "input_descriptors": [{"id": "one", "constraints": {"fields": fields}}]}


async def test_a_presentation_has_what_was_asked_and_no_more(wallets: Wallets) -> None:
    await wallets.provided()
    await wallets.logged()
    asked = {"audience": "https://as", "nonce": "n", "presentation_definition": asks("X509Credential")}
    answer = (await wallets.send("POST", HOSPITAL, "holder/vp", asked)).json()
    made = presentation.read(answer["vp"])
    assert [each.type for each in made.credentials] == ["X509Credential"]
    assert (made.audience, made.nonce, made.holder) == (("https://as",), "n", wallets.did(HOSPITAL))
    assert answer["presentation_submission"]["descriptor_map"] == [
        {"id": "one", "format": "jwt_vc", "path": "$.verifiableCredential[0]"}
    ]
    assert answer["fields"] == {"who": wallets.did(HOSPITAL)}
    (event,) = await wallets.logged()
    assert event["subtype"][0]["code"] == "present"
    by_type = await wallets.send(
        "POST", HOSPITAL, "holder/vp", {"audience": "a", "types": ["HealthcareProviderRoleTypeCredential"]}
    )
    assert len(presentation.read(by_type.json()["vp"]).credentials) == 1


async def test_what_is_not_held_is_explained(wallets: Wallets) -> None:
    await wallets.provided()
    asked = {"audience": "a", "presentation_definition": asks("NutsUraCredential")}
    answer = await wallets.send("POST", HOSPITAL, "holder/vp", asked)
    assert (answer.status_code, answer.json()["reason"]) == (412, "credential_missing")
    (considered,) = answer.json()["explanation"]
    assert [each["lacks"] for each in considered["candidates"]] == [["$.type: it is not 'NutsUraCredential'"]] * 2
    missing = await wallets.send("POST", HOSPITAL, "holder/vp", {"audience": "a", "types": ["NutsUraCredential"]})
    assert missing.status_code == 412


async def test_what_the_party_attests_itself_and_the_statement_on_a_professional(wallets: Wallets) -> None:
    nurse = next(each for each in wallets.seed.professionals if each.employer == HOSPITAL)
    about = identity.of_professional(nurse, wallets.seed.party(HOSPITAL))
    statement = identity.state(wallets.keys, "https://login", wallets.seed.party(HOSPITAL), about, wallets.clock)
    enrollment = {
        "type": "PatientEnrollmentCredential",
        "credentialSubject": {"patientId": "http://fhir.nl/fhir/NamingSystem/bsn|999910000", "registeredBy": "x|1"},
    }
    asked = {
        "audience": "a",
        "types": ["PatientEnrollmentCredential", "DeziUserCredential"],
        "credentials": [enrollment],
        "id_token": statement,
    }
    await wallets.logged()
    made = presentation.read((await wallets.send("POST", HOSPITAL, "holder/vp", asked)).json()["vp"])
    assert [each.format for each in made.credentials] == ["self_attested", "dezi"]
    assert {each.subject for each in made.credentials} == {wallets.did(HOSPITAL)}
    (event,) = await wallets.logged()
    assert "999910000" in json.dumps(event["entity"])  # the event is about the client who is enrolled


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": ""},
        {"audience": None},
        {"types": "x"},
        {"types": [1]},
        {"presentation_definition": {}},
        {"unknown": 1},
        {"nonce": 1},
        {"credentials": [1]},
        {"credentials": [{"type": "PatientEnrollmentCredential"}]},
        {"credentials": [{"type": "PatientEnrollmentCredential", "credentialSubject": {"id": "did:web:else"}}]},
        {"credentials": [{"type": "PatientEnrollmentCredential", "credentialSubject": {}, "issuer": "x"}]},
        {"credentials": [{"type": "PatientEnrollmentCredential", "credentialSubject": {}, "proof": {}}]},
        {"credentials": [{"type": "X509Credential", "credentialSubject": {}}]},
    ],
)
async def test_a_presentation_that_is_not_made(wallets: Wallets, changes: dict[str, Any]) -> None:
    await wallets.provided()
    asked = {"audience": "a", "types": ["X509Credential"]} | changes
    answer = await wallets.send("POST", HOSPITAL, "holder/vp", asked)
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request"), answer.text


async def test_an_expired_credential_is_not_presented(wallets: Wallets) -> None:
    soon = (wallets.clock.now() + timedelta(minutes=1)).isoformat()
    raw = (await wallets.issue(REGISTER, "HealthcareProviderRoleTypeCredential", wallets.type_of(), expirationDate=soon)).json()
    await wallets.send("POST", HOSPITAL, "holder/vc", raw)
    asked = {"audience": "a", "types": ["HealthcareProviderRoleTypeCredential"]}
    assert (await wallets.send("POST", HOSPITAL, "holder/vp", asked)).status_code == 200
    wallets.clock.forward(minutes=1)
    assert (await wallets.send("POST", HOSPITAL, "holder/vp", asked)).status_code == 412
