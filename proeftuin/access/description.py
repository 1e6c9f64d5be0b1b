"""What OpenAPI says of a guarded route: who may call it, with which body, and how it refuses. Made from its requirement."""

from typing import Any

from proeftuin.access.requirement import Parameters, Requirement

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
    if requirement.query:
        described["parameters"] = [
            {"name": name, "in": "query", "required": name in requirement.required} | _text(about)
            for name, about in requirement.query.items()
        ]
    if requirement.media_types:
        schema = _fields(requirement.form, requirement.required) if requirement.form else {"type": "object"}
        content = {media_type: {"schema": schema} for media_type in sorted(requirement.media_types)}
        described["requestBody"] = {"required": True, "content": content}
    if requirement.media_types or requirement.query:
        described["responses"]["400"] = {"description": f"The body or a parameter is wrong. {answer['description']}"}
    return described


def _text(about: str) -> dict[str, Any]:
    return {"description": about, "schema": {"type": "string"}}


def _fields(form: Parameters, required: frozenset[str]) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": about} for name, about in form.items()}
    names = [name for name in form if name in required]
    return {"type": "object", "properties": properties} | ({"required": names} if names else {})
