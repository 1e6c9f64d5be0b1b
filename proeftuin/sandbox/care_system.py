"""The system of one party, seen from outside: it has a certificate and the address of addressing, and finds the rest.

This is what a vendor's EPD/ECD does against the network; nothing in it knows the topology.
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from proeftuin import pseudonym
from proeftuin.audit import outbox
from proeftuin.audit.calling import About, Caller
from proeftuin.audit.delivery import deliver_to
from proeftuin.audit.record import System
from proeftuin.clock import SystemClock, instant
from proeftuin.fhir.search import date_range
from proeftuin.identifiers import BSN_SYSTEM, UZI_SYSTEM
from proeftuin.parties import Party
from proeftuin.sandbox.hops import Hop, Hops, milliseconds_since
from proeftuin.storage.database import Database
from proeftuin.tokens import identity
from proeftuin.tokens.access_token import Person
from proeftuin.tokens.client import TokenClient
from proeftuin.transport.client import Answer, PeerClient, Unreachable
from proeftuin.transport.tracing import CURRENT, Trace
from proeftuin.transport.trust import Trust, client_context

SERVICE_SYSTEM = "https://proeftuin.example/CodeSystem/service"
LIST_SUBJECT = "http://minvws.github.io/generiekefuncties-docs/NamingSystem/nvi-identifier"
CUSTODIAN = "http://minvws.github.io/generiekefuncties-docs/StructureDefinition/nl-gf-localization-custodian"
CATEGORIES = "http://minvws.github.io/generiekefuncties-docs/CodeSystem/nl-gf-data-categories-cs"
NVI_SCOPE = "nationale-verwijsindex"


class Stopped(Exception):  # noqa: N818 - the exchange cannot go on: a hop did not end as expected
    """A hop of the exchange had another outcome than it should, so the next one has nothing to go on."""


class CareSystem:
    """The system of `party` with the certificate in `folder`; every call that it makes is a hop in `hops`.

    Its own end of each call is logged with what the token of the call is for; those events are delivered once `discover` found
    the log.
    """

    def __init__(
        self,
        party: Party,
        folder: Path,
        trust: Path,
        addressing: str,
        hops: Hops | None = None,
        *,
        certificate: str = "certificate",
        connect_to: Mapping[str, str] | None = None,
    ) -> None:
        self.party = party
        self.addressing = addressing
        self.hops = hops or Hops()
        context = client_context(folder / f"{certificate}.pem", folder / f"{certificate}.key", Trust(trust))
        self.services: dict[str, str] = {}
        self.database = Database(f"sqlite:///{folder / 'system.sqlite'}")
        outbox.metadata.create_all(self.database.engine)
        self._clock = SystemClock()
        self._courier: outbox.Courier | None = None
        self._about: dict[str, About] = {}  # what each token is for
        here = System(party.identifiers[0], party.name, "127.0.0.1")
        peers = PeerClient(context, connect_to=connect_to)
        self.client = Caller(peers, here, party.client_id, self.database, self._clock, self._wake)

    # --- the hop itself

    async def call(
        self,
        what: str,
        target: str,
        method: str,
        url: str,
        *,
        expected: str = "ok",
        name: str = "",
        **rest: Any,  # noqa: ANN401 - passed on to PeerClient.request
    ) -> Answer | None:
        """Make one call, log it and add it to the hops; returns None when there was no HTTP answer.

        What a token that this system asked for is about need not be said: `about` is for calls without one.
        """
        started = time.perf_counter()
        trace = CURRENT.get() or Trace.new()
        before = CURRENT.set(trace)
        token = rest.get("token") or (rest.get("form") or {}).get("token", "")  # used, or handed in to be revoked
        rest.setdefault("about", self._about.get(token, About()))
        answer: Answer | None = None
        try:
            answer = await self.client.request(method, url, **rest)
            status, reason = answer.status, reason_of(answer)
        except Unreachable as error:
            status, reason = 0, error.refusal.code if error.refusal else "unreachable"
        finally:
            CURRENT.reset(before)
        taken = milliseconds_since(started)
        self.hops.add(
            Hop(name or self.hops.scenario or what, self.party.id, target, what, status, reason, taken, expected, trace.trace_id)
        )
        return answer

    async def get(self, what: str, target: str, method: str, url: str, **rest: Any) -> Any:  # noqa: ANN401 - JSON is any
        """Make one call that must succeed and return its JSON; raises Stopped."""
        answer = await self.call(what, target, method, url, **rest)
        if answer is None or answer.status >= 300:
            last = self.hops.all[-1]
            raise Stopped(f"{what} at {target}: {last.status} {last.reason}{told(answer)}")
        return answer.json() if answer.body else None

    # --- addressing

    async def discover(self) -> None:
        """Find the national services and their authorization server in addressing."""
        bundle = await self.get(
            "find the services of the network", "addressing", "GET", f"{self.addressing}/fhir/Endpoint?identifier={SERVICE_SYSTEM}|"
        )
        for entry in bundle["entry"]:
            endpoint = entry["resource"]
            for identifier in endpoint.get("identifier", []):
                if identifier.get("system") == SERVICE_SYSTEM:
                    self.services[identifier["value"]] = endpoint["address"]
        self.know(self.services)

    def know(self, services: Mapping[str, str]) -> None:
        """Take the addresses of services as known, `authorization` and `logging` among them, and begin to deliver events."""
        self.services |= services
        if self._courier is None:
            tokens = TokenClient(self.services["authorization"], self.party.client_id, self.client)
            self._courier = outbox.Courier(self.database, deliver_to(self.services["logging"], self.client, tokens))
            self._courier.start()

    async def look_up(self, ura: str) -> dict[str, str]:
        """Find a care provider by URA: its name, and the addresses of its active endpoints by kind (`fhir`, `oauth2`)."""
        url = f"{self.addressing}/fhir/Organization?identifier=http://fhir.nl/fhir/NamingSystem/ura|{ura}"
        bundle = await self.get(
            "look the organisation up, with its endpoints", "addressing", "GET", f"{url}&_include=Organization:endpoint"
        )
        found: dict[str, str] = {}
        for entry in bundle["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "Organization":
                found["name"] = resource["name"]
            elif resource["status"] == "active" and in_period(resource.get("period", {}), self._clock.now()):
                found[resource["connectionType"]["code"]] = resource["address"]
        return found

    # --- tokens and identity

    async def log_in(self, provider: str, **who: str) -> str:
        """Log a person in (`professional=` UZI number or `client=` BSN) and return the identity statement."""
        form = {"client_id": self.party.client_id} | who
        (number,) = who.values()
        about = About(person=Person(number, UZI_SYSTEM if "professional" in who else BSN_SYSTEM))
        url = f"{self.services[provider]}/login"
        answer = await self.get("log the person in", "identity provider", "POST", url, form=form, about=about)
        return str(answer["id_token"])

    async def token(
        self,
        issuer: str,
        resource: str,
        scope: str,
        *,
        target: str = "authorization",
        expected: str = "ok",
        name: str = "",
        **bounds: Any,  # noqa: ANN401 - see token_form
    ) -> str | None:
        """Ask for a token; returns None when it was refused."""
        form = token_form(self.party.client_id, resource, scope, **bounds)
        what, url = f"ask a token for {scope}", f"{issuer}/token"
        about = about_token(**bounds)
        answer = await self.call(what, target, "POST", url, form=form, about=about, expected=expected, name=name)
        if answer is None or answer.status != 200:
            return None
        token = str(answer.json()["access_token"])
        self._about[token] = about
        return token

    async def national_token(self, service: str, scope: str, **bounds: Any) -> str:  # noqa: ANN401 - see token_form
        """Ask the network's own authorization server for a token; raises Stopped."""
        token = await self.token(self.services["authorization"], self.services[service], scope, target="vws", **bounds)
        if token is None:
            raise Stopped(f"no token for {scope} at {service}")
        return token

    # --- localization

    async def pseudonym(self, bsn: str, recipient: str) -> str:
        """Blind the BSN, have it evaluated for the register `recipient` (organisation id), and return the token for it."""
        token = await self.national_token("pseudonymisation", "prs:read")
        blinded = pseudonym.blind(pseudonym.derive(bsn, recipient, NVI_SCOPE))
        content = {
            "blinded_input": _b64url(blinded.blinded_input),
            "recipient_organization": recipient,
            "recipient_scope": NVI_SCOPE,
        }
        url = f"{self.services['pseudonymisation']}/evaluate"
        answer = await self.get(
            "evaluate the blinded pseudonym", "pseudonymisation", "POST", url, content=content, token=token, about=About((bsn,))
        )
        return pseudonym.encode_token(answer["evaluated_output"], blinded.blind_factor)

    async def localize(self, bsn: str, category: str, recipient: str) -> list[str]:
        """Return the URAs of the parties that hold data of `category` on this client."""
        subject = await self.pseudonym(bsn, recipient)
        token = await self.national_token("localization", "nvi:localize")
        bundle = await self.get(
            f"localize {category}",
            "localization",
            "POST",
            f"{self.services['localization']}/fhir/List/_search",
            form={"subject:identifier": f"{LIST_SUBJECT}|{subject}", "code": category},
            token=token,
            about=About((bsn,), details={"category": category}),
        )
        return [
            extension["valueReference"]["identifier"]["value"]
            for entry in bundle.get("entry", [])
            for extension in entry["resource"]["extension"]
            if extension["url"] == CUSTODIAN
        ]

    async def register(self, bsn: str, category: str, recipient: str) -> None:
        """Tell localization that this party holds data of `category` on this client; to have told it before is well."""
        subject = await self.pseudonym(bsn, recipient)
        token = await self.national_token("localization", "nvi:create")
        resource = {
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "code": {"coding": [{"system": CATEGORIES, "code": category}]},
            "subject": {"identifier": {"system": LIST_SUBJECT, "value": subject, "use": "temp"}},
            "extension": [
                {
                    "url": CUSTODIAN,
                    "valueReference": {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/ura", "value": self.party.ura}},
                }
            ],
            "source": {
                "identifier": {
                    "system": "http://minvws.github.io/generiekefuncties-docs/NamingSystem/oauth-client-id",
                    "value": self.party.client_id,
                }
            },
            "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "withheld"}]},
        }
        url = f"{self.services['localization']}/fhir/List"
        about = About((bsn,), details={"category": category})
        answer = await self.call(
            f"register {category}", "localization", "POST", url, content=resource, content_type="application/fhir+json",
            token=token, about=about,
        )  # fmt: skip
        if answer is None or answer.status not in (201, 409):
            raise Stopped(f"localization did not register {category}: {self.hops.all[-1]}")

    # --- delivery of what it logged

    async def drained(self) -> None:
        """Wait until every event of this end is in the log."""
        while await self.database.read(outbox.undelivered):
            self.courier.wake()  # another system of this party may have stored them
            await asyncio.sleep(0.02)

    def _wake(self) -> None:
        if self._courier is not None:
            self._courier.wake()

    @property
    def courier(self) -> outbox.Courier:
        """The way of this end's events to the log; known once the network is discovered."""
        if self._courier is None:
            raise Stopped("discover the network first")
        return self._courier

    async def close(self) -> None:
        """Deliver what is left and close."""
        if self._courier is not None:
            await self._courier.stop()
        await self.client.close()
        await self.database.close()


def token_form(
    client_id: str,
    resource: str,
    scope: str,
    *,
    patient: str | None = None,
    purpose: str | None = None,
    id_token: str | None = None,
    lifetime: int | None = None,
    reason: str | None = None,
) -> dict[str, str]:
    """Return the form of a token request (authorization README): bounded by scope, and by client, purpose and time when given.

    `reason`: why an emergency cannot wait, in words.
    """
    form = {"grant_type": "client_credentials", "client_id": client_id, "scope": scope, "resource": resource}
    if patient is not None:
        details: dict[str, Any] = {"type": "client_data", "patient": {"system": BSN_SYSTEM, "value": patient}}
        if purpose is not None:
            details["purpose_of_use"] = purpose
        if lifetime is not None:
            details["expires_in"] = lifetime
        if reason is not None:
            details["reason"] = reason
        form["authorization_details"] = json.dumps([details])
    if id_token is not None:
        form["id_token"] = id_token
    return form


def reason_of(answer: Answer) -> str:
    """Return "ok", or the reason code of a refusal."""
    return "ok" if answer.status < 300 else answer.headers.get("X-Reason", f"http_{answer.status}")


def about_token(
    *, patient: str | None = None, purpose: str | None = None, id_token: str | None = None, **_: object
) -> About:  # fmt: skip
    """Return what a token that is asked with these bounds (see token_form) is for, as its holder logs it."""
    return About((patient,) if patient else (), identity.told(id_token) if id_token else None, purpose)


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def in_period(period: dict[str, str], now: datetime) -> bool:
    """Tell whether an endpoint serves now (contract addressing §1: R4 has no search parameter for it); the end is exclusive."""
    start, end = (date_range(period[name])[0] if name in period else None for name in ("start", "end"))
    return (start is None or start <= instant(now)) and (end is None or instant(now) < end)


def told(answer: Answer | None) -> str:
    """Return what a refusal says to a person: each issue of an OperationOutcome, or detail and remedy, on lines of their own."""
    try:
        content = answer.json() if answer else {}
        lines = [_placed(issue["diagnostics"], issue.get("expression", [])) for issue in content.get("issue", [])]
        lines += [content[name] for name in ("detail", "error_description", "remedy") if name in content]
    except (ValueError, KeyError, TypeError, AttributeError):  # no answer of this network's
        lines = []
    return "".join(f"\n  {line}" for line in lines)


def _placed(diagnostics: str, expression: list[str]) -> str:
    """Say of which element an issue is, unless its words begin with that."""
    return diagnostics if not expression or diagnostics.startswith(expression[0]) else f"{expression[0]}: {diagnostics}"
