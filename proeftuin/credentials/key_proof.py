"""The proof that a wallet has the key of the DID to which a credential is to be issued: `jwt` of OpenID4VCI 1.0, appendix F.1."""

from datetime import datetime

from proeftuin.clock import Clock
from proeftuin.credentials import jose
from proeftuin.credentials.dids import Resolver, did_of
from proeftuin.reasons import KEY_PROOF, KEY_PROOF_NONCE, UPSTREAM, Refused
from proeftuin.tokens.dpop import NONCE_LIFETIME, Nonces
from proeftuin.tokens.keys import SigningKeys

MEDIA_TYPE = "openid4vci-proof+jwt"
METHODS = ("did:web", "did:jwk", "did:key")  # of which keys are proven; in the metadata: cryptographic_binding_methods_supported


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
        proof = jose.read(raw, (MEDIA_TYPE,))
    except ValueError as error:
        raise Refused(KEY_PROOF, f"the key proof: {error}") from error
    claims = proof.claims
    if claims.get("aud") != issuer:
        raise Refused(KEY_PROOF, f"aud is not {issuer}")
    if claims.get("iss", client_id) != client_id:
        raise Refused(KEY_PROOF, f"iss is not {client_id}")
    made = claims.get("iat")
    if not isinstance(made, int | float) or abs(int(now.timestamp()) - made) > NONCE_LIFETIME:
        raise Refused(KEY_PROOF, f"iat is not within {NONCE_LIFETIME} seconds of this server's clock")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str):
        raise Refused(KEY_PROOF, "nonce is missing")
    if not nonces.holds(nonce, now):
        raise Refused(KEY_PROOF_NONCE, "the nonce is not one of this issuer, or too old")
    if did_of(proof.kid) != did or "x5c" in proof.header:
        raise Refused(KEY_PROOF, "the header names, by kid alone, a key of the DID that the credential is offered to")
    try:
        jose.verify(proof, await resolver.key(proof, did))
    except ValueError as error:
        raise Refused(KEY_PROOF, f"the key proof: {error}") from error
    except Refused as refused:
        refused.oauth = refused.oauth if refused.reason is UPSTREAM else KEY_PROOF.oauth
        raise
    return nonce
