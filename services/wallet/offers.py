"""Offers of credentials under way: for which party, what, and what of it was given. The codes themselves stand nowhere."""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from proeftuin.reasons import CODE_INVALID, CODE_REPLAYED, OFFER_SPENT, PARTY_MISMATCH, Refused
from services.wallet.store import metadata

LIFETIME = 600  # seconds in which an offer is taken
KEPT = 86400  # seconds for which it is remembered after that, so that a replay is told from a guess
TRIES = 3  # of an offer with a transaction code
_ID = 32  # hexadecimal digits
offers = sa.Table(
    "credential_offer",
    metadata,
    sa.Column("id", sa.String(_ID), primary_key=True),
    sa.Column("client_id", sa.String(64), nullable=False),
    sa.Column("with_tx_code", sa.Boolean, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("taken", sa.Boolean, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False, index=True),
)
offered = sa.Table(
    "offered_credential",
    metadata,
    sa.Column("offer", sa.String(_ID), primary_key=True),
    sa.Column("type", sa.String(64), primary_key=True),
    sa.Column("asked", sa.Text, nullable=False),  # as the issuer's door takes it
    sa.Column("given", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer to the party `client_id`: what is asked to be issued, by type."""

    id: str
    client_id: str
    credentials: Mapping[str, dict[str, Any]]
    with_tx_code: bool
    expires_at: int


class Codes:
    """The codes of offers: made from the offer's id with a secret, so that who reads the database has none."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def code(self, offer: str) -> str:
        """Return the pre-authorized code."""
        return offer + self._mac("code", offer)

    def offer_of(self, code: str) -> str:
        """Return the id of the offer that `code` is of; raises Refused(CODE_INVALID)."""
        if not hmac.compare_digest(self.code(code[:_ID]).encode(), code.encode(errors="replace")):
            raise Refused(CODE_INVALID, "it is no pre-authorized code of this issuer")
        return code[:_ID]

    def tx_code(self, offer: str) -> str:
        """Return the transaction code: six digits."""
        return f"{int(self._mac('tx_code', offer), 16) % 1_000_000:06}"

    def is_tx_code(self, given: str, offer: str) -> bool:
        """Tell whether `given` is the transaction code."""
        return hmac.compare_digest(self.tx_code(offer).encode(), given.encode(errors="replace"))

    def _mac(self, kind: str, offer: str) -> str:
        return hmac.digest(self._secret, f"{kind} {offer}".encode(errors="replace"), "sha256").hex()


def new(client_id: str, credentials: Mapping[str, dict[str, Any]], with_tx_code: bool, now: datetime) -> Offer:
    """Return a new offer, not stored yet."""
    return Offer(secrets.token_hex(_ID // 2), client_id, credentials, with_tx_code, int(now.timestamp()) + LIFETIME)


def add(connection: sa.Connection, offer: Offer, now: datetime) -> None:
    """Store an offer, and forget those that nobody can mistake for one any more."""
    old = sa.select(offers.c.id).where(offers.c.expires_at < int(now.timestamp()) - KEPT)
    connection.execute(offered.delete().where(offered.c.offer.in_(old)))
    connection.execute(offers.delete().where(offers.c.id.in_(old)))
    connection.execute(offers.insert(), {
        "id": offer.id, "client_id": offer.client_id, "with_tx_code": offer.with_tx_code, "tries": 0, "taken": False,
        "expires_at": offer.expires_at,
    })  # fmt: skip
    rows = [
        {"offer": offer.id, "type": kind, "asked": json.dumps(asked), "given": False} for kind, asked in offer.credentials.items()
    ]
    connection.execute(offered.insert(), rows)


def find(connection: sa.Connection, offer: str, client_id: str, now: datetime) -> Offer:
    """Return an offer that waits for `client_id`; raises Refused: CODE_INVALID, PARTY_MISMATCH or CODE_REPLAYED."""
    row = connection.execute(sa.select(offers).where(offers.c.id == offer)).first()
    if row is None:
        raise Refused(CODE_INVALID, "there is no such offer")
    if row.client_id != client_id:
        raise Refused(PARTY_MISMATCH, "the offer is for another party than the certificate names")
    if row.taken:
        raise Refused(CODE_REPLAYED, "the pre-authorized code served before")
    if row.expires_at <= now.timestamp():
        raise Refused(CODE_INVALID, "the offer expired")
    if row.tries >= TRIES:
        raise Refused(CODE_INVALID, f"the transaction code was wrong {TRIES} times")
    parts = connection.execute(sa.select(offered).where(offered.c.offer == offer).order_by(offered.c.type))
    credentials = {part.type: json.loads(part.asked) for part in parts}
    return Offer(row.id, row.client_id, credentials, row.with_tx_code, row.expires_at)


def attempt(connection: sa.Connection, offer: Offer, *, right: bool) -> None:
    """Take an offer, once; or, where the transaction code was another (`right` false), count that. Raises Refused(CODE_REPLAYED).

    One statement looks and changes, so that of two at once one wins, and no more than TRIES are tried.
    """
    open_ = (offers.c.id == offer.id, offers.c.taken.is_(False), offers.c.tries < TRIES)
    tried = connection.execute(offers.update().where(*open_).values(tries=offers.c.tries + 1, taken=right))
    if tried.rowcount != 1:
        raise Refused(CODE_REPLAYED, "the pre-authorized code served, or was tried too often, in the meantime")


def asked(connection: sa.Connection, offer: str, kind: str) -> dict[str, Any]:
    """Return what is to be issued of this type, given or not; raises Refused(OFFER_SPENT) when the offer is forgotten."""
    found = connection.scalar(sa.select(offered.c.asked).where(offered.c.offer == offer, offered.c.type == kind))
    if found is None:
        raise Refused(OFFER_SPENT, "the offer is forgotten")
    content: dict[str, Any] = json.loads(found)
    return content


def give(connection: sa.Connection, offer: str, kind: str) -> None:
    """Mark a credential of an offer as given, once; raises Refused(OFFER_SPENT)."""
    waiting = (offered.c.offer == offer, offered.c.type == kind, offered.c.given.is_(False))
    if connection.execute(offered.update().where(*waiting).values(given=True)).rowcount != 1:
        raise Refused(OFFER_SPENT, f"the {kind} of this offer was given")
