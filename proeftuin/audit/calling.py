"""The calling end of every call: made, logged by who calls (both ends record, IHE BALP), and only then answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt

from proeftuin.audit import interactions, outbox
from proeftuin.audit.entries import entries_of
from proeftuin.audit.events import NODE_AUTHENTICATION, REFUSAL, REST, TRANSACTION, EventType
from proeftuin.audit.interactions import Interaction
from proeftuin.audit.record import MAJOR_FAILURE, MINOR_FAILURE, SERIOUS_FAILURE, Record, System, named_data
from proeftuin.clock import Clock
from proeftuin.reasons import CATALOGUE, UPSTREAM
from proeftuin.storage.database import Database
from proeftuin.tokens.access_token import Person
from proeftuin.transport.client import Answer, PeerClient, Unreachable
from proeftuin.transport.tracing import CURRENT, Trace


@dataclass(frozen=True, slots=True)
class About:
    """What only the caller knows of a call: on whose data (BSNs), for whom and for what.

    `interaction`: what the call is, where the address is one that another chose (a notification) and says nothing of it.
    """

    patients: tuple[str, ...] = ()
    person: Person | None = None
    purpose: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    interaction: Interaction | None = None


NOTHING = About()

SEE_OTHER = 303  # the one redirect that is a success: after a login the browser goes back to its client


class Caller:
    """Calls others as one party (`here`) and puts its own end of each call in that party's outbox, before the answer is used.

    `peers` makes the calls, unlogged. `wake` is called when something was stored.
    """

    def __init__(
        self, peers: PeerClient, here: System, client_id: str, database: Database, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self.peers = peers
        self._here = here
        self._client_id = client_id
        self._database = database
        self._clock = clock
        self._wake = wake

    async def request(self, method: str, url: str, *, about: About = NOTHING, **rest: Any) -> Answer:  # noqa: ANN401 - see PeerClient
        """Make one call, as PeerClient.request does, and store its event; an answer that cannot be logged is not given.

        Raises Unreachable, UndeclaredInteractionError, and what the database raises.
        """
        interaction, content = about.interaction or interactions.of(method, url), rest.get("content")
        entries = entries_of(content) if interaction.event is TRANSACTION and isinstance(content, dict) else []
        unlogged = interaction.event is TRANSACTION and not entries and isinstance(content, dict) and content.get("type") == "batch"
        kind = None if unlogged else interaction.event  # a batch is but a wrapping: audit events on their way to the log
        exchange = CURRENT.get()
        trace = exchange.child() if exchange else Trace.new()
        parts = urlsplit(url)
        record = Record(
            _as_seen_by_the_caller(kind or REFUSAL), trace, self._here, System(None, parts.netloc, f"{parts.scheme}://{parts.netloc}"),
            self._here, list(about.patients), about.person, about.purpose, _policy(rest.get("token")), self._client_id,
            details=dict(about.details), entries=entries,
        )  # fmt: skip
        _describe(record, interaction, url, rest)
        try:
            answer = await self.peers.request(method, url, trace=trace, **rest)
        except Unreachable as error:
            if error.refusal is not None:  # no request was made, so neither end tells what it would have been
                alert = Record(NODE_AUTHENTICATION, trace, self._here, record.server, self._here, client_id=self._client_id)
                alert.refuse(error.refusal, "the TLS handshake was refused")
                await self._store(alert)
            elif kind is not None and exchange is not None:  # what a service asks of itself is tried again until it succeeds
                record.refuse(UPSTREAM, "there was no answer")
                await self._store(record)
            raise
        if answer.server is not None:
            record.server = replace(record.server, identifier=answer.server.identifier, name=answer.server.common_name)
        _judge(record, answer, logged=kind is not None)
        if kind is not None or record.reason is not None:
            await self._store(record)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self.peers.close()

    async def _store(self, record: Record) -> None:
        now = self._clock.now()
        await self._database.write(outbox.store, record.to_events(now), now)
        self._wake()


def _as_seen_by_the_caller(event: EventType) -> EventType:
    """BALP's profiles of other than REST events are of the server's end: they demand that it is the observer."""
    return event if event.type is REST else replace(event, profile=None)


def _describe(record: Record, interaction: Interaction, url: str, sent: Mapping[str, Any]) -> None:
    """Add what the request itself tells: data, clients, and the search parameters without their values, which may be a BSN."""
    if interaction.reference is not None:
        record.data = [named_data(interaction.reference)]
    elif interaction.resource_type is not None and record.event.subtype["code"] in ("search-type", "history-type"):
        in_url = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
        names = [*in_url, *(sent.get("params") or {}), *(sent.get("form") or {})]
        record.query = f"{interaction.resource_type}?{'&'.join(names)}".encode()
    elif interaction.resource_type is not None:
        record.data = [named_data(interaction.resource_type)]
    record.patients = sorted({patient for entry in record.entries for patient in entry.patients} | set(record.patients))


def _judge(record: Record, answer: Answer, *, logged: bool) -> None:
    """Make the event tell how it ended, as the other end logs it: X-Reason and X-Outcome say so, also of a no that is a 200."""
    code, outcome = answer.headers.get("X-Reason"), answer.headers.get("X-Outcome", "")
    if code is not None or 400 <= answer.status < 500 or (logged and answer.status >= 300 and answer.status != SEE_OTHER):
        failure = outcome if outcome in (MINOR_FAILURE, SERIOUS_FAILURE, MAJOR_FAILURE) else SERIOUS_FAILURE
        record.refuse(CATALOGUE.get(code or "", UPSTREAM), f"{record.server.name} answered {answer.status}", failure)
    elif answer.status == 201 and (created := interactions.reference_in(answer.headers.get("Location", ""))):
        record.data = [named_data(created)]


def _policy(token: str | None) -> str | None:
    """The id of a token, as a policy: its holder reads it unverified, and never logs the token itself."""
    try:
        claims = jwt.decode(token or "", options={"verify_signature": False, "verify_exp": False, "verify_aud": False})
    except jwt.InvalidTokenError:
        return None
    return f"urn:ietf:params:oauth:jti:{claims['jti']}" if isinstance(claims.get("jti"), str) else None
