"""What OpenAPI says of a guarded route: who may call it, with which body, and how it refuses. Made from its requirement."""

from typing import Any

from proeftuin.access.requirement import Requirement

SECURITY_SCHEMES = {
    "certificate": {"type": "mutualTLS", "description": "A certificate of the network's CA, over TLS 1.3."},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
              "description": "RFC 9068, bound to the certificate (RFC 8705), or to a key and sent with a DPoP proof (RFC 9449)."},
}  # fmt: skip


def describe(requirement: Requirement) -> dict[str, Any]:
    """Return the members of the OpenAPI operation of a route with this requirement."""
    refusals = {"401": "The certificate or the token does not hold."}
    words = []
    if requirement.scopes is not None:
        words.append(f"Needs a token with scope {' or '.join(f'`{scope}`' for scope in sorted(requirement.scopes))}.")
        refusals["403"] = "The token does not allow this."
    if requirement.patient:
        words.append("The token is for one client.")
    if requirement.own_party:
        words.append("For the party itself alone.")
        refusals["403"] = "The caller is another party."
    answer = {"description": "Header X-Reason has the reason code; docs/reasons.md says what to change."}
    described: dict[str, Any] = {
        "x-requirement": " ".join(words) or "A certificate is enough.",
        "security": [{"certificate": []} | ({} if requirement.scopes is None else {"token": sorted(requirement.scopes)})],
        "responses": {status: {"description": f"{text} {answer['description']}"} for status, text in refusals.items()},
    }
    if requirement.media_types:
        content = {media_type: {"schema": {"type": "object"}} for media_type in sorted(requirement.media_types)}
        described["requestBody"] = {"required": True, "content": content}
        described["responses"]["400"] = {"description": f"The body or a parameter is wrong. {answer['description']}"}
    return described
