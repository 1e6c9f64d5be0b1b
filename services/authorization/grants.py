"""The one model of a grant: what a door asks for in a protocol's own words comes in here as the same request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from proeftuin.parties import Party
from proeftuin.tokens.access_token import Confirmation, Person

GRANT, CONSENT, CREDENTIAL, MANDATE, CERTIFICATE, CODE = "grant", "consent", "credential", "mandate", "certificate", "code"


class Ground(NamedTuple):
    """Something that a grant stands on, and with which it dies.

    `kind` is one of those above. `id` names it: of a grant its jti, of a consent "Consent/<id>", of a credential where its status
    stands (`StatusRef.name`), of a mandate what its register calls it, of a certificate `Peer.certificate_id`, of an
    authorization code its digest.
    """

    kind: str
    id: str


def is_name(name: object) -> TypeGuard[str]:
    """Tell whether something can be the id of a ground: 1 to 300 printable characters."""
    return isinstance(name, str) and 0 < len(name) <= 300 and name.isprintable()


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """One request for one token, as each door makes it for `Issuer.grant`. The door has authenticated the client before.

    door            the protocol, as it stands in audit events and in extended introspection (a grant_type, by custom)
    client          the party to which the token is given: it authenticated, and the token is bound to it by `confirmation`
    confirmation    the binding of the token: `proven(admission)` gives it, of the DPoP proof or else of the certificate
    scopes          names of policies.toml, as they were asked; one bad one refuses them all
    resource        the audience (RFC 8707), a base address that the scopes are for
    patient         BSN of the one client of care whose data is opened, checked to be one
    purpose         code of v3-ActReason
    emergency       why an emergency cannot wait, in words; only with such a purpose
    lifetime        seconds asked; None or more than the policy of the scopes allows: as long as that allows
    not_before      seconds since 1970 from which it holds, at most DAY ahead; None: at once
    until           seconds since 1970 at which it ends at the latest, whatever else was asked (an exchanged token)
    person          the acting person, where the door established it (credential, code, exchanged token), else
    id_token        the identity statement on that person, for the issuer to verify when the scopes ask for a person
    principal       the party whose rights are used, when it is another than `client`; then with the `mandate` (its id)
    actors          client_ids of who acted before `client`, the latest first (RFC 8693 §4.1)
    stands_on       what the grant dies with, beside itself, the certificate, the mandate and the consents, which are added
    exchanged       jti of the grant for which this one is exchanged: it stands on all that that one stands on
    claims          further claims of the protocol, in the token and in introspection; never names of access_token.OWN_CLAIMS
    evidence        what the door was shown (presentations, definitions), for extended introspection only; JSON
    """

    door: str
    client: Party
    confirmation: Confirmation
    scopes: tuple[str, ...]
    resource: str
    patient: str | None = None
    purpose: str | None = None
    lifetime: int | None = None
    emergency: str | None = None
    not_before: int | None = None
    until: int | None = None
    person: Person | None = None
    id_token: str | None = None
    principal: Party | None = None
    mandate: str | None = None
    actors: tuple[str, ...] = ()
    stands_on: tuple[Ground, ...] = ()
    exchanged: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acts_for(self) -> Party:
        """The party whose rights are used."""
        return self.principal or self.client
