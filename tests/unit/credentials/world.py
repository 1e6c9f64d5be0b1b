"""A small world of DIDs for the tests: parties with keys and did:web documents, a CA, and the network between them stood in for."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from proeftuin import parties
from proeftuin.audit import interactions
from proeftuin.credentials import credential, dids, x509_credential
from proeftuin.credentials.dids import AUTHORIZATION_SERVER, Resolver
from proeftuin.credentials.status import StatusChecker
from proeftuin.credentials.verifier import Verifier
from proeftuin.pki.authority import Authority
from proeftuin.tokens import identity
from proeftuin.tokens.issuers import OwnKeys
from proeftuin.tokens.keys import SigningKeys
from proeftuin.transport.client import Answer, Unreachable
from proeftuin.transport.trust import Trust
from tests.harness import PARTIES, MovableClock

HOSPITAL, REGISTER, VENDOR = "ziekenhuis-de-linde", "cibg", "zorgsoft"
HOST = "https://wallet.test:8491"
LOGIN = f"{HOST}/oauth2/cibg"


class Web:
    """What stands at which address, in the place of a PeerClient; `asked` has every request."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def put(self, url: str, content: Any, *, status: int = 200, etag: str | None = None) -> None:
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.pages[url] = Answer(status, {"ETag": etag} if etag else {}, body)

    async def request(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **_rest: Any) -> Answer:
        interactions.of(method, url)  # as a Caller does: what nothing says how to log is not asked
        self.asked.append((url, headers or {}))
        if url not in self.pages:
            raise Unreachable(f"{method} {url}")
        page = self.pages[url]
        if (headers or {}).get("If-None-Match") == page.headers.get("ETag", ""):
            return Answer(304, page.headers, b"")
        return page


class World:
    """Parties with DIDs, and a verifier that knows only the network and the CA."""

    def __init__(self, folder: Path, clock: MovableClock | None = None, authority: Authority | None = None) -> None:
        self.folder = folder
        self.clock = clock or MovableClock()
        self.web = Web()
        self.seed = parties.load(PARTIES)
        self.authority = authority or Authority(folder / "pki")
        self.authority.create()
        self.trust = Trust(self.authority.trust_folder)
        self.keys: dict[str, SigningKeys] = {}
        for party in (HOSPITAL, REGISTER, VENDOR):
            self.keys[party] = SigningKeys(folder / party, self.clock)
            self.publish(party)
        self.login = SigningKeys(folder / "login", self.clock)
        client: Any = self.web
        self.resolver = Resolver(client, self.trust, self.clock)
        self.checker = StatusChecker(self.resolver, client, self.clock)
        self.verifier = Verifier(self.resolver, self.checker, self.trust, self.clock, {LOGIN: OwnKeys(self.login)})
        self.rsa = self.authority.issue(self.seed.party(HOSPITAL), folder=folder / "rsa", key_type="rsa2048")

    def did(self, party: str) -> str:
        return dids.web_did(f"{HOST}/iam/{party}")

    def publish(self, party: str) -> None:
        services = {AUTHORIZATION_SERVER: f"{HOST}/oauth2/{party}"}
        document = dids.write_document(self.did(party), self.keys[party].jwks()["keys"], services)
        self.web.put(f"{HOST}/iam/{party}/did.json", document)

    def document(self, kind: str, subject: dict[str, Any], *, by: str = REGISTER, days: float = 30, **extra: Any) -> dict[str, Any]:
        now = self.clock.now()
        contexts = extra.pop("contexts", [])
        return credential.new_document(self.did(by), subject, kind, contexts, (now, now + timedelta(days=days))) | extra

    def issue(self, kind: str = "HealthcareProviderRoleTypeCredential", by: str = REGISTER, **extra: Any) -> str:
        subject = extra.pop("subject", {"id": self.did(HOSPITAL), "roleCodeNL": "V4"})
        document = self.document(kind, subject, by=by, **extra)
        return self.keys[by].sign(credential.claims_of(document), typ="JWT", controller=self.did(by))

    def chain(self) -> list[x509.Certificate]:
        pem = self.rsa.certificate.read_bytes() + (self.authority.trust_folder / "root.pem").read_bytes()
        return x509.load_pem_x509_certificates(pem)

    def x509_credential(self, **changes: Any) -> str:
        key = load_pem_private_key(self.rsa.key.read_bytes(), None)
        return x509_credential.issue(self.chain(), key, self.did(HOSPITAL), self.clock.now(), **changes)  # type: ignore[arg-type]

    def statement(self, party: str = HOSPITAL) -> str:
        nurse = next(each for each in self.seed.professionals if each.employer == party)
        return identity.state(
            self.login, LOGIN, self.seed.party(party), identity.of_professional(nurse, self.seed.party(party)), self.clock
        )

    def der(self) -> list[bytes]:
        return [each.public_bytes(Encoding.DER) for each in self.chain()]
