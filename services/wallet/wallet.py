"""The wallet of one party: its DID and keys, what it issues and revokes, and what it holds and presents."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proeftuin.access.admission import Admission
from proeftuin.credentials import credential, shapes, status, x509_credential
from proeftuin.credentials.credential import Credential
from proeftuin.credentials.dids import AUTHORIZATION_SERVER, Resolver, write_document
from proeftuin.credentials.status import Dialect
from proeftuin.credentials.verifier import Verifier
from proeftuin.reasons import INVALID_REQUEST, ISSUANCE_NOT_ALLOWED, NOT_FOUND, Refused
from proeftuin.tenant import Tenant
from proeftuin.tokens.keys import SigningKeys
from proeftuin.transport.trust import Trust
from services.wallet import offers, store
from services.wallet.issuance import Issuance, Rule

_RENEW_BEFORE = status.VALIDITY / 4
_MEMBERS = {"@context", "type", "issuer", "credentialSubject", "expirationDate", "withStatusList2021Revocation", "format"}


@dataclass(slots=True)
class Wallet:
    """What belongs to one party (`tenant`): `did` with `keys`, the `folder` of its certificates, and the rules it issues by."""

    did: str
    tenant: Tenant
    keys: SigningKeys
    folder: Path
    trust: Trust
    issuance: Issuance
    verifier: Verifier
    resolver: Resolver
    authorization_server: str = ""
    _lists: dict[tuple[Dialect, int], tuple[list[int], float, str]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The DID document; a care provider's names its authorization server, which is its client_id in Nuts RFC021."""
        services = {AUTHORIZATION_SERVER: self.authorization_server} if self.authorization_server else {}
        return write_document(self.did, self.keys.jwks()["keys"], services)

    # --- issuer

    async def issue(self, admission: Admission, asked: dict[str, Any], offer: str | None = None) -> str:
        """Issue what `asked` describes (as the Nuts node's issuer takes it) and store it with its event; returns the JWT.

        With the id of an `offer` it is given as a credential of that offer, once.
        Raises Refused: ISSUANCE_NOT_ALLOWED, INVALID_REQUEST, CREDENTIAL_SHAPE or OFFER_SPENT.
        """
        rule = self.rule(asked)
        if rule.type == x509_credential.TYPE:
            raw, place = self._from_certificate(), None
        else:
            place = await self.tenant.database.read(store.allocate) if rule.revocable else None
            raw = self.sign(self._document(rule, asked, place))
        made = credential.read(raw)
        shapes.check(made)
        admission.record.details |= {"credential": made.id[-64:], "type": made.type, "subject": made.subject[:200]}
        await admission.write(_given, made, place, raw, self.tenant.clock.now(), offer)
        return raw

    def drafted(self, asked: dict[str, Any]) -> Credential:
        """Return what `issue` would issue now, without a place in a status list; raises Refused as that does."""
        made = credential.read(self.sign(self._document(self.rule(asked), asked, None)))
        shapes.check(made)
        return made

    def sign(self, document: dict[str, Any]) -> str:
        """Return a credential of this party as JWT."""
        return self.keys.sign(credential.claims_of(document), typ="JWT", controller=self.did)

    async def revoke(self, admission: Admission, credential_id: str) -> None:
        """Set the bit of a credential, and so end what stands on it; raises Refused(NOT_FOUND or INVALID_REQUEST)."""
        admission.record.details["credential"] = credential_id
        await admission.write(store.revoke, credential_id, self.tenant.clock.now())

    async def status_list(self, dialect: Dialect, page: int) -> tuple[str, str]:
        """Return a page of the status list as signed credential, and its ETag; the same one while it is fresh and unchanged.

        Raises Refused(NOT_FOUND) for a page on which nothing was issued.
        """
        bits, used = await self.tenant.database.read(store.revoked, page)
        if not used:
            raise Refused(NOT_FOUND, "there is no such page of this status list")
        now = self.tenant.clock.real()
        kept = self._lists.get((dialect, page))
        if kept is None or kept[0] != bits or now.timestamp() >= kept[1]:
            raw = self.sign(status.list_document(dialect, self._list_url(dialect, page), self.did, bits, now))
            kept = bits, (now + status.VALIDITY - _RENEW_BEFORE).timestamp(), raw
            self._lists[dialect, page] = kept
        return kept[2], f'"{hashlib.sha256(kept[2].encode()).hexdigest()[:32]}"'

    # --- holder

    async def hold(self, admission: Admission, raw: str) -> Credential:
        """Keep a credential that was issued to this party, once it verifies; raises Refused with the check that fails."""
        found = await self.verified(raw)
        admission.record.details |= {"credential": found.id[-64:], "type": found.type}
        await admission.write(store.hold, found, raw)
        return found

    async def verified(self, raw: str) -> Credential:
        """Return a credential that was issued to this party, once it verifies; raises Refused with the check that fails."""
        found = credential.read(raw)
        if found.subject != self.did:
            raise Refused(INVALID_REQUEST, "the credential was issued to another DID")
        await self.verifier.credential(found)
        return found

    async def held(self) -> list[tuple[Credential, str]]:
        """Return what is held and not expired, newest first, read and as it was given."""
        now = self.tenant.clock.now().timestamp()
        found = [(credential.read(raw), raw) for raw in await self.tenant.database.read(store.held_by)]
        return [(each, raw) for each, raw in found if each.expires is None or now < each.expires]

    def rule(self, asked: dict[str, Any]) -> Rule:
        """Return the rule by which this party issues what is asked; raises Refused: INVALID_REQUEST or ISSUANCE_NOT_ALLOWED."""
        if unknown := asked.keys() - _MEMBERS:
            raise Refused(INVALID_REQUEST, f"send {', '.join(sorted(_MEMBERS))}, not {', '.join(sorted(unknown))[:60]}")
        kind = asked.get("type")
        kind = next((each for each in kind if each != credential.BASE_TYPE), None) if isinstance(kind, list) else kind
        return self.issuance.rule(str(kind), self.tenant.party)

    def _document(self, rule: Rule, asked: dict[str, Any], place: tuple[int, int] | None) -> dict[str, Any]:
        subject = asked.get("credentialSubject")
        if not isinstance(subject, dict) or asked.get("issuer", self.did) != self.did or asked.get("format", "jwt_vc") != "jwt_vc":
            raise Refused(
                INVALID_REQUEST, f"send credentialSubject, format jwt_vc and issuer {self.did}, or leave the last two out"
            )
        if rule.to_self:
            subject = {"id": self.did} | subject
        if not str(subject.get("id", "")).startswith("did:") or (rule.to_self and subject["id"] != self.did):
            raise Refused(ISSUANCE_NOT_ALLOWED, f"a {rule.type} is issued to {'the own DID' if rule.to_self else 'a DID'}")
        now = self.tenant.clock.now()
        longest = now + timedelta(days=rule.days)
        contexts = [*shapes.SHAPES[rule.type]["contexts"]]
        document = credential.new_document(self.did, subject, rule.type, contexts, (now, longest))
        if "expirationDate" in asked:
            document["expirationDate"] = asked["expirationDate"]
            try:
                ends = credential.claims_of(document)["exp"]
            except (ValueError, TypeError) as error:
                raise Refused(INVALID_REQUEST, "expirationDate is an instant with a time zone") from error
            if not now.timestamp() < ends <= longest.timestamp():
                raise Refused(INVALID_REQUEST, f"expirationDate is within {rule.days} days from now")
        if place is not None:
            dialect: Dialect = "2021" if asked.get("withStatusList2021Revocation") is True else "bitstring"
            document["credentialStatus"] = status.entry(dialect, self._list_url(dialect, place[0]), place[1])
            if dialect == "2021":
                document["@context"].append(status.CONTEXT_2021)
        return document

    def _from_certificate(self) -> str:
        pem = (self.folder / "x509.pem").read_bytes()
        chain = [*x509.load_pem_x509_certificates(pem), self.trust.root()]
        key = load_pem_private_key((self.folder / "x509.key").read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("x509.key is no RSA key")
        return x509_credential.issue(chain, key, self.did, self.tenant.clock.real())

    def _list_url(self, dialect: Dialect, page: int) -> str:
        return f"{self.tenant.audience}/status/{dialect}/{page}"


def _given(
    connection: sa.Connection, made: Credential, place: tuple[int, int] | None, raw: str, now: datetime, offer: str | None
) -> None:  # fmt: skip
    if offer is not None:
        offers.give(connection, offer, made.type)
    store.add_issued(connection, made, place, raw, now)
