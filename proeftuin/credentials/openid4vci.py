"""What both ends of OpenID for Verifiable Credential Issuance 1.0 (final, 2025-09-16) share: names, addresses, links of offers."""

from urllib.parse import urlencode, urlsplit

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
FORMAT = "jwt_vc_json"  # appendix A.1.1
ISSUER_METADATA, SERVER_METADATA = "openid-credential-issuer", "oauth-authorization-server"
SCHEME = "openid-credential-offer"
MOST = 10  # credentials of one offer, as either end takes it


def well_known(name: str, identifier: str) -> str:
    """Return where a document about `identifier` stands: between its host and its path (§12.2.2, RFC 8414 §3.1)."""
    parts = urlsplit(identifier)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path.rstrip('/')}"


def link(uri: str) -> str:
    """Return the link by which a wallet is invoked with an offer by reference (§4.1.3)."""
    return f"{SCHEME}://?{urlencode({'credential_offer_uri': uri})}"
