"""What both ends of OpenID for Verifiable Credential Issuance 1.0 (final, 2025-09-16) share: names, addresses, links of offers."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
FORMAT = "jwt_vc_json"  # appendix A.1.1
ISSUER_METADATA, SERVER_METADATA = "openid-credential-issuer", "oauth-authorization-server"
SCHEME = "openid-credential-offer"


def well_known(name: str, identifier: str) -> str:
    """Return where a document about `identifier` stands: between its host and its path (§12.2.2, RFC 8414 §3.1)."""
    parts = urlsplit(identifier)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"


def link(uri: str) -> str:
    """Return the link by which a wallet is invoked with an offer by reference (§4.1.3)."""
    return f"{SCHEME}://?{urlencode({'credential_offer_uri': uri})}"


def read_link(text: str) -> dict[str, Any]:
    """Return `{"credential_offer": object}` or `{"credential_offer_uri": text}` of a link (§4.1); raises ValueError."""
    parts = urlsplit(text)
    found = {name: values for name, values in parse_qs(parts.query).items() if name.startswith("credential_offer")}
    if parts.scheme != SCHEME or len(found) != 1 or any(len(values) != 1 for values in found.values()):
        raise ValueError(f"it is no {SCHEME} link with credential_offer or credential_offer_uri")
    ((name, (value,)),) = found.items()
    return {name: json.loads(value) if name == "credential_offer" else value}
