"""The X509Credential (Nuts RFC023): what a certificate of the UZI register says, issued to a DID with the certificate's own key.

The spec knows PS256 and RS256 (the UZI register issues RSA); PS256 is taken here.
"""

import base64
import uuid
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from proeftuin.credentials import credential, did_x509, jose

TYPE = "X509Credential"


def issue(
    chain: Sequence[x509.Certificate],
    key: rsa.RSAPrivateKey,
    holder: str,
    now: datetime,
    *,
    subject: Sequence[str] = ("O", "L"),
    san: Sequence[str] = ("otherName",),
) -> str:
    """Return the credential of `holder` (DID) on these names of the certificate, valid for as long as that is.

    `chain` runs from leaf to root; the DID names the CA that issued the leaf, not the root above it (nuts-node#3587).
    Raises ValueError when the certificate lacks a name.
    """
    issuer = did_x509.mint(chain[1], chain[0], subject, san)
    stated: dict[str, dict[str, str]] = {}
    for kind, name, value in did_x509.parse(issuer).policies:
        stated.setdefault(kind, {})[name] = value
    begin = max(now, chain[0].not_valid_before_utc)
    document = credential.new_document(issuer, {"id": holder} | stated, TYPE, [], (begin, chain[0].not_valid_after_utc))
    document["id"] = f"{issuer}#{uuid.uuid4()}"
    header = {
        "typ": "JWT", "kid": f"{issuer}#0", "x5t#S256": did_x509.fingerprint(chain[0]),
        "x5c": [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain],
    }  # fmt: skip
    return jose.sign(credential.claims_of(document), key, "PS256", **header)
