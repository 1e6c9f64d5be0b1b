"""A party as credential issuer and its own authorization server: OpenID4VCI 1.0 (final), pre-authorized code flow (§3.5).

The token endpoint is the wallet's own and not that of `services/authorization`: the code is state of the offer, which this database
keeps; parties issue that have no authorization server; and a token opens nothing but the credential endpoint (§12.2.4: an issuer
that names no `authorization_servers` is its own).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from proeftuin.access.admission import Admission
from proeftuin.access.possession import serve_once
from proeftuin.clock import instant
from proeftuin.credentials import key_proof, openid4vci
from proeftuin.credentials.jose import ALGORITHMS
from proeftuin.reasons import (
    CODE_INVALID,
    CREDENTIAL_REQUEST,
    CREDENTIAL_UNKNOWN,
    INSUFFICIENT_SCOPE,
    INVALID_REQUEST,
    ISSUANCE_NOT_ALLOWED,
    KEY_PROOF,
    KEY_PROOF_NONCE,
    TX_CODE,
    UNKNOWN_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    Refused,
)
from proeftuin.tokens.access_token import CERTIFICATE, Confirmation, Grant, issue
from proeftuin.tokens.dpop import NONCE_LIFETIME, Nonces
from proeftuin.tokens.keys import ALGORITHM, SigningKeys
from services.wallet import offers
from services.wallet.offers import Codes
from services.wallet.wallet import Wallet

TOKEN_LIFETIME = 300  # seconds
OFFER = "credential_offer"  # claim of the access token: the id of the offer that it was given on
_MEMBERS = {"client_id", "credentials", "tx_code"}


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer of one `wallet`; `keys` sign its access tokens, `clients` may be offered to. Its DID names the same address."""

    wallet: Wallet
    keys: SigningKeys
    codes: Codes
    nonces: Nonces
    clients: frozenset[str]

    @property
    def identifier(self) -> str:
        """The credential issuer identifier (§12.2.1)."""
        return self.wallet.tenant.audience

    # --- metadata

    def configurations(self) -> dict[str, Any]:
        """Return credential_configurations_supported (§12.2.4): what issuance.toml lets this party issue to others, by type."""
        proofs = {"jwt": {"proof_signing_alg_values_supported": list(ALGORITHMS)}}
        return {
            rule.type: {
                "format": openid4vci.FORMAT, "scope": rule.type, "credential_signing_alg_values_supported": [ALGORITHM],
                "cryptographic_binding_methods_supported": list(key_proof.METHODS), "proof_types_supported": proofs,
                "credential_definition": {"type": ["VerifiableCredential", rule.type]},
            }
            for rule in self.wallet.issuance.types(self.wallet.tenant.party) if not rule.to_self
        }  # fmt: skip

    def metadata(self) -> dict[str, Any]:
        """Return the credential issuer metadata (§12.2.4)."""
        return {
            "credential_issuer": self.identifier, "credential_endpoint": f"{self.identifier}/credential",
            "nonce_endpoint": f"{self.identifier}/nonce", "display": [{"name": self.wallet.tenant.party.name, "locale": "nl"}],
            "credential_configurations_supported": self.configurations(),
        }  # fmt: skip

    def server_metadata(self) -> dict[str, Any]:
        """Return the authorization server metadata (RFC 8414 §2, §12.3); without response types, for there are none (§12.2.4)."""
        return {
            "issuer": self.identifier, "token_endpoint": f"{self.identifier}/token",
            "grant_types_supported": [openid4vci.GRANT_TYPE], "token_endpoint_auth_methods_supported": ["tls_client_auth"],
            "tls_client_certificate_bound_access_tokens": True, "pre-authorized_grant_anonymous_access_supported": False,
        }  # fmt: skip

    # --- offers

    async def offer(self, admission: Admission, asked: dict[str, Any]) -> dict[str, Any]:
        """Offer `credentials` (each as the issuer's door takes it) to the party `client_id`, by value and by reference (§4.1).

        What cannot be issued is not offered. With `tx_code` true the answer has the code, which is sent another way than the offer.
        Raises Refused: INVALID_REQUEST, ISSUANCE_NOT_ALLOWED or CREDENTIAL_SHAPE.
        """
        client_id, with_tx_code = asked.get("client_id"), asked.get("tx_code", False)
        if asked.keys() - _MEMBERS or not isinstance(with_tx_code, bool):
            raise Refused(INVALID_REQUEST, "send client_id, credentials, and tx_code (true or false) or nothing more")
        if not isinstance(client_id, str) or client_id not in self.clients:
            raise Refused(INVALID_REQUEST, "client_id names no party of this network")
        wanted = self._wanted(asked.get("credentials"))
        now = self.wallet.tenant.clock.now()
        offer = offers.new(client_id, wanted, with_tx_code, now)
        admission.record.details |= {"offer": offer.id, "to": client_id, "types": " ".join(wanted)}
        await admission.write(offers.add, offer, now)
        uri = f"{self.identifier}/offers/{offer.id}"
        content = {
            "credential_offer": self._content(offer), "credential_offer_uri": uri, "link": openid4vci.link(uri),
            "expires_at": instant(now + timedelta(seconds=offers.LIFETIME)),
        }  # fmt: skip
        return content | ({"tx_code": self.codes.tx_code(offer.id)} if with_tx_code else {})

    def _wanted(self, credentials: object) -> dict[str, dict[str, Any]]:
        """Return what may be offered, by type; raises Refused as `offer` does."""
        if not isinstance(credentials, list) or not 0 < len(credentials) <= openid4vci.MOST:
            raise Refused(INVALID_REQUEST, f"credentials is a list of 1 to {openid4vci.MOST}")
        wanted = {}
        for each in credentials:
            if not isinstance(each, dict):
                raise Refused(INVALID_REQUEST, "each of credentials is an object")
            if self.wallet.rule(each).to_self:
                raise Refused(ISSUANCE_NOT_ALLOWED, "what a party issues to itself is not offered")
            made = self.wallet.drafted(each)
            if not made.subject.startswith(key_proof.METHODS):
                raise Refused(ISSUANCE_NOT_ALLOWED, f"what is offered goes to a {', '.join(key_proof.METHODS)}")
            wanted[made.type] = each
        if len(wanted) != len(credentials):
            raise Refused(INVALID_REQUEST, "an offer has one credential of a type")
        return wanted

    async def offered(self, admission: Admission, offer_id: str) -> dict[str, Any]:
        """Return the offer object to the party it is for (§4.1.3); raises Refused as `offers.find` does."""
        tenant = self.wallet.tenant
        return self._content(await tenant.database.read(offers.find, offer_id, admission.peer.client_id, tenant.clock.now()))

    def _content(self, offer: offers.Offer) -> dict[str, Any]:
        grant: dict[str, Any] = {"pre-authorized_code": self.codes.code(offer.id)}
        if offer.with_tx_code:
            grant["tx_code"] = {"input_mode": "numeric", "length": 6}
        return {
            "credential_issuer": self.identifier, "credential_configuration_ids": list(offer.credentials),
            "grants": {openid4vci.GRANT_TYPE: grant},
        }  # fmt: skip

    # --- token and credential

    async def token(self, admission: Admission, form: dict[str, str]) -> dict[str, Any]:
        """Take a code for a token that opens the credentials of its offer, to who has the certificate of the offer's party (§6).

        Raises Refused: UNSUPPORTED_GRANT_TYPE, UNKNOWN_CLIENT, INVALID_REQUEST, CODE_INVALID, CODE_REPLAYED, TX_CODE, and
        PARTY_MISMATCH (as invalid_grant, RFC 6749 §5.2), which takes no try of the party itself.
        """
        if form.get("grant_type") != openid4vci.GRANT_TYPE:
            raise Refused(UNSUPPORTED_GRANT_TYPE, "this issuer takes pre-authorized codes and nothing else")
        tenant, client_id = self.wallet.tenant, admission.peer.client_id
        if form.get("client_id") != client_id:
            raise Refused(UNKNOWN_CLIENT, f"client_id is absent or another's; the certificate is of {client_id}")
        if "pre-authorized_code" not in form:
            raise Refused(INVALID_REQUEST, "the form has no pre-authorized_code")
        code = form["pre-authorized_code"]
        try:
            offer = await tenant.database.read(offers.find, self.codes.offer_of(code), client_id, tenant.clock.now())
        except Refused as refused:
            refused.oauth, refused.status = CODE_INVALID.oauth, CODE_INVALID.status
            raise
        if ("tx_code" in form) != offer.with_tx_code:
            raise Refused(INVALID_REQUEST, f"this offer {'needs a' if offer.with_tx_code else 'has no'} tx_code")
        if offer.with_tx_code and not self.codes.is_tx_code(form["tx_code"], offer.id):
            await tenant.database.write(offers.attempt, offer, right=False)
            raise Refused(TX_CODE, "the transaction code is another")
        grant = Grant(
            client_id, self.identifier, frozenset(offer.credentials), Confirmation(CERTIFICATE, admission.peer.thumbprint),
            TOKEN_LIFETIME, claims={OFFER: offer.id},
        )  # fmt: skip
        given, scope = issue(self.keys, self.identifier, grant, tenant.clock), " ".join(sorted(grant.scopes))

        def take(connection: sa.Connection) -> None:
            offers.attempt(connection, offer, right=True)
            admission.record.token = given.policy
            admission.record.details |= {"grant_type": openid4vci.GRANT_TYPE, "scope": scope}

        await admission.write(take)
        return {"access_token": given.raw, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME, "scope": scope}

    def nonce(self) -> str:
        """Return a new c_nonce (§7.2)."""
        return self.nonces.new(self.wallet.tenant.clock.real())

    async def credential(self, admission: Admission, asked: dict[str, Any]) -> dict[str, Any]:
        """Issue one credential of the offer of the token, to the DID of which a key is proven (§8).

        Raises Refused: CREDENTIAL_REQUEST, CREDENTIAL_UNKNOWN, INSUFFICIENT_SCOPE, OFFER_SPENT, what `key_proof.verify` raises,
        and KEY_PROOF_NONCE for a nonce that served.
        """
        kind = asked.get("credential_configuration_id")
        if not isinstance(kind, str) or "credential_identifier" in asked:
            raise Refused(CREDENTIAL_REQUEST, "send credential_configuration_id, and no credential_identifier")
        if "credential_response_encryption" in asked:
            detail = "answers are encrypted by TLS alone"
            raise Refused(CREDENTIAL_REQUEST, detail, oauth="invalid_encryption_parameters")
        if kind not in self.configurations():
            raise Refused(CREDENTIAL_UNKNOWN, "there is no such credential configuration")
        if kind not in admission.token.grant.scopes:
            raise Refused(INSUFFICIENT_SCOPE, f"the offer of this token has no {kind}")
        match asked.get("proofs"):
            case {"jwt": [proof], **others} if not others:
                pass
            case _:
                raise Refused(KEY_PROOF, "proofs has one member, jwt, with one proof")
        tenant = self.wallet.tenant
        offer_id = str(admission.token.grant.claims.get(OFFER, ""))
        wanted = await tenant.database.read(offers.asked, offer_id, kind)
        now = tenant.clock.real()
        nonce = await key_proof.verify(
            proof, issuer=self.identifier, did=str(wanted["credentialSubject"]["id"]), client_id=admission.peer.client_id,
            resolver=self.wallet.resolver, nonces=self.nonces, now=now,
        )  # fmt: skip
        await serve_once(tenant, "c_nonce", nonce, now + timedelta(seconds=NONCE_LIFETIME), now, KEY_PROOF_NONCE)
        return {"credentials": [{"credential": await self.wallet.issue(admission, wanted, offer=offer_id)}]}
