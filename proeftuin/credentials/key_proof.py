"""The proof that a wallet has the key of the DID to which a credential is to be issued: `jwt` of OpenID4VCI 1.0, appendix F.1."""

from datetime import datetime
from typing import Any

from proeftuin.clock import Clock
from proeftuin.credentials import jose
from proeftuin.credentials.dids import Resolver, did_of, document_of_key
from proeftuin.credentials.jose import Jws, PublicKey
from proeftuin.reasons import KEY_PROOF, KEY_PROOF_NONCE, UPSTREAM, Refused
from proeftuin.tokens.dpop import NONCE_LIFETIME, Nonces
from proeftuin.tokens.keys import SigningKeys

MEDIA_TYPE = "openid4vci-proof+jwt"
METHODS = ("did:web", "did:jwk", "did:key")  # of which keys are proven; in the metadata: cryptographic_binding_methods_supported
_MAX_NONCE = 128


def make(keys: SigningKeys, did: str, issuer: str, nonce: str | None, client_id: str, clock: Clock) -> str:
    """Return a proof of the newest key of `did` for the credential issuer identifier `issuer`."""
    claims = {"iss": client_id, "aud": issuer, "iat": int(clock.real().timestamp())} | ({"nonce": nonce} if nonce else {})
    return keys.sign(claims, typ=MEDIA_TYPE, controller=did)


async def verify(
    raw: object, *, issuer: str, did: str, client_id: str, resolver: Resolver, nonces: Nonces, now: datetime
) -> str:  # fmt: skip
    """Return the nonce of a proof of a key of `did`, made by `client_id` for `issuer` (appendix F.4); it may have served before.

    Raises Refused: KEY_PROOF or KEY_PROOF_NONCE; DID_UNRESOLVABLE (as invalid_proof); UPSTREAM when the host of the DID is silent.
    """
    try:
        proof = jose.read(raw, (MEDIA_TYPE,), brings_key=True)
    except ValueError as error:
        raise Refused(KEY_PROOF, f"the key proof: {error}") from error
    claims = proof.claims
    if claims.get("aud") != issuer:
        raise Refused(KEY_PROOF, f"aud is not {issuer}")
    if claims.get("iss", client_id) != client_id:
        raise Refused(KEY_PROOF, f"iss is not {client_id}")
    made = claims.get("iat")
    if not isinstance(made, int | float) or isinstance(made, bool) or not abs(now.timestamp() - made) <= NONCE_LIFETIME:
        raise Refused(KEY_PROOF, f"iat is not within {NONCE_LIFETIME} seconds of this server's clock")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str):
        raise Refused(KEY_PROOF, "nonce is missing")
    if len(nonce) > _MAX_NONCE or not nonces.holds(nonce, now):
        raise Refused(KEY_PROOF_NONCE, "the nonce is not one of this issuer, or too old")
    try:
        jose.verify(proof, await _key(proof, did, resolver))
    except ValueError as error:
        raise Refused(KEY_PROOF, f"the key proof: {error}") from error
    except Refused as refused:
        refused.oauth = refused.oauth if refused.reason is UPSTREAM else KEY_PROOF.oauth
        raise
    return nonce


async def _key(proof: Jws, did: str, resolver: Resolver) -> PublicKey:
    """The one key that the header names, by `kid` (a DID URL) or `jwk`; it is a key of `did` or it is refused."""
    named: dict[str, Any] = {name: proof.header[name] for name in ("kid", "jwk", "x5c") if name in proof.header}
    if "jwk" in named and len(named) == 1:
        key = jose.public_key(named["jwk"])
        document = await resolver.document(did) if did.startswith("did:web:") else document_of_key(did)
        if key not in document.keys.values():
            raise ValueError("the jwk is no key of the DID to which the credential is offered")
        return key
    if "kid" not in named or len(named) != 1:
        raise ValueError("the header has one of kid (a DID URL) and jwk")
    if did_of(proof.kid) != did:
        raise ValueError("the kid is of another DID than the credential is offered to")
    return await resolver.key(proof, did)
